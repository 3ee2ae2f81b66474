//! The character statistics of a history.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use super::alphabet::Alphabet;
use crate::random::Random;

/// Characters before one that its probability depends on.
const ORDER: usize = 4;

/// Characters of a text that are looked at.
const LONGEST: usize = 128;

/// The same character in a row, at most: how long someone stretches a word says nothing.
const STRETCH: usize = 3;

/// The start of a text, a line of its own in small letters, spacing and stretching aside.
#[derive(Debug, Clone)]
pub(super) struct Normalized(Vec<char>);

impl Normalized {
    pub fn new(text: &str) -> Self {
        let mut kept: Vec<char> = Vec::new();
        let respaced = text.trim().chars().map(|c| if c.is_whitespace() { ' ' } else { c });
        for c in respaced.flat_map(char::to_lowercase) {
            if kept.len() == LONGEST {
                break;
            }
            let most = if c == ' ' { 1 } else { STRETCH };
            if kept.iter().rev().take_while(|&&before| before == c).count() < most {
                kept.push(c);
            }
        }
        Self::of(&kept)
    }

    /// Characters of the text.
    pub fn len(&self) -> usize {
        self.0.len() - 2
    }

    /// The text without its line ends.
    pub fn body(&self) -> &[char] {
        &self.0[1..self.0.len() - 1]
    }

    /// The characters of `body` as a text.
    pub fn of(body: &[char]) -> Self {
        Self(['\n'].iter().chain(body).chain(&['\n']).copied().collect())
    }
}

/// One character's place in a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scored {
    pub character: char,
    pub alphabet: Alphabet,
    /// log₂ of its probability after those before it.
    pub in_context: f64,
    /// log₂ of its probability wherever it stands.
    pub alone: f64,
}

/// Counts of all sequences of up to [`ORDER`] + 1 characters, and the probabilities that follow from them.
///
/// The probability of a character c after the context h is interpolated (Witten and Bell, 1991, method C): with n(h)
/// the characters seen after h and t(h) the different ones,
/// `p(c | h) = (n(h c) + t(h) · p(c | h′)) / (n(h) + t(h))`, h′ being h without its first character, and the prior of
/// the character's alphabet at the end.
#[derive(Debug, Default)]
pub(super) struct Ngrams {
    counts: Counts,
    alphabets: BTreeMap<Alphabet, usize>,
    characters: usize,
}

impl Ngrams {
    pub fn add(&mut self, text: &Normalized) {
        self.counts.add(text);
        self.characters += text.0.len() - 1;
        for &c in &text.0[1..] {
            *self.alphabets.entry(Alphabet::of(c)).or_default() += 1;
        }
    }

    /// Characters of an alphabet that were counted.
    pub fn of_alphabet(&self, alphabet: Alphabet) -> usize {
        self.alphabets.get(&alphabet).copied().unwrap_or(0)
    }

    /// Characters that were counted.
    pub fn characters(&self) -> usize {
        self.characters
    }

    /// The probability of every character of a text; `own` is what it contributed itself, which must not count for it.
    pub fn score(&self, text: &Normalized, own: Option<&Counts>) -> Vec<Scored> {
        (1..text.0.len()).map(|i| self.score_after(&text.0[..i], text.0[i], own)).collect()
    }

    /// The probability of `character` after `before`.
    fn score_after(&self, before: &[char], character: char, own: Option<&Counts>) -> Scored {
        let alphabet = Alphabet::of(character);
        let (mut probability, mut alone) = (alphabet.prior(), None);
        for (context, gram) in keys(before, character) {
            let own_context = own.map_or(Context::default(), |own| own.context(context));
            let Context { followers, kinds } = self.counts.context(context);
            let followers = followers.saturating_sub(own_context.followers);
            if followers == 0 {
                break;
            }
            let seen = self.counts.gram(gram).saturating_sub(own.map_or(0, |own| own.gram(gram)));
            let (followers, kinds) = (f64::from(followers), f64::from(kinds.min(followers)));
            probability = (f64::from(seen) + kinds * probability) / (followers + kinds);
            alone.get_or_insert(probability);
        }
        let alone = alone.unwrap_or(probability);
        Scored { character, alphabet, in_context: probability.log2(), alone: alone.log2() }
    }
}

/// How often each sequence of characters occurs, by its hash.
#[derive(Debug, Default)]
pub(super) struct Counts {
    grams: HashMap<u64, u32, BuildHasherDefault<AlreadyHashed>>,
    contexts: HashMap<u64, Context, BuildHasherDefault<AlreadyHashed>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Context {
    /// Characters seen after it.
    followers: u32,
    /// Different ones.
    kinds: u32,
}

impl Counts {
    /// The counts of one text.
    pub fn of(text: &Normalized) -> Self {
        let mut counts = Self::default();
        counts.add(text);
        counts
    }

    fn add(&mut self, text: &Normalized) {
        for i in 1..text.0.len() {
            for (context, gram) in keys(&text.0[..i], text.0[i]) {
                let count = self.grams.entry(gram).or_default();
                *count += 1;
                let context = self.contexts.entry(context).or_default();
                context.followers += 1;
                context.kinds += u32::from(*count == 1);
            }
        }
    }

    fn gram(&self, key: u64) -> u32 {
        self.grams.get(&key).copied().unwrap_or(0)
    }

    fn context(&self, key: u64) -> Context {
        self.contexts.get(&key).copied().unwrap_or_default()
    }
}

/// The keys of the contexts that end with `before`, from the empty one on, and those of each with `character` after it.
fn keys(before: &[char], character: char) -> impl Iterator<Item = (u64, u64)> {
    let contexts = before.iter().rev().take(ORDER).scan(0, |key, &c| {
        *key = mix(*key ^ u64::from(u32::from(c)));
        Some(*key)
    });
    // A bit that no character has keeps "what follows" apart from "what stands before".
    let gram = move |context: u64| (context, mix(context ^ u64::from(u32::from(character)) ^ 1 << 32));
    std::iter::once(0).chain(contexts).map(gram)
}

fn mix(key: u64) -> u64 {
    Random::new(key).next_u64()
}

/// Keys that are hashes already.
#[derive(Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = mix(self.0 ^ u64::from(byte)));
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_and_respaced() {
        for (text, expected) in [("", "\n\n"), ("  a \n B\t", "\na b\n"), ("a", "\na\n"), ("Soooooo ok", "\nsooo ok\n")]
        {
            assert_eq!(Normalized::new(text).0, expected.chars().collect::<Vec<_>>());
        }
        for text in ["xy".repeat(500), "ab ".repeat(500), "a ".repeat(500)] {
            assert_eq!(Normalized::new(&text).len(), LONGEST);
        }
    }

    #[test]
    fn probabilities_follow_the_formula_and_leave_the_text_itself_out() {
        let mut ngrams = Ngrams::default();
        let text = Normalized::new("ab");
        ngrams.add(&text);
        ngrams.add(&text);
        // Alone: n = 6 (a, b, line end, twice), t = 3. After the line start: n = 2, t = 1, both a.
        let alone = (2.0 + 3.0 * 0.4 / 200.0) / 9.0;
        let after = (2.0 + alone) / 3.0;
        let scored = ngrams.score(&text, None)[0];
        assert!((scored.alone - f64::log2(alone)).abs() < 1e-12, "{scored:?}");
        assert!((scored.in_context - f64::log2(after)).abs() < 1e-12, "{scored:?}");

        let mut once = Ngrams::default();
        once.add(&text);
        let own = Counts::of(&text);
        let unseen = once.score(&text, Some(&own))[0];
        assert_eq!(unseen.in_context, Alphabet::Latin.prior().log2(), "nothing is known but the prior");
    }
}
