//! Whether the characters of a text are in any order.

use std::collections::{BTreeMap, HashSet};

use super::alphabet::Alphabet;
use super::ngrams::{Counts, Ngrams, Normalized, Scored};
use crate::random::Random;

/// Characters below which chance may order any text, or disorder it.
pub(super) const JUDGED_CHARACTERS: usize = 9;

/// Different characters that a random string has at least: "hahaha" and "!!! :)" have fewer.
const FEWEST_DIFFERENT: usize = 5;

/// Characters of an alphabet in the rest of the history below which nothing can be said about a text in it: someone who
/// writes a few lines of another language is no generator of random characters.
const KNOWN_ALPHABET: usize = 1000;

/// Bits a character by which its neighbours have to make it more likely; any language gives 1 or more.
const ORDERED: f64 = 0.15;

/// The same in large alphabets, where the choice of characters counts instead: frequent ones out of all there are.
const CHOSEN: f64 = 1.0;

/// Share of a text in a large alphabet from which on it is judged by its characters.
const MOSTLY_LARGE: f64 = 0.3;

/// Shuffled copies that a text is compared with.
const SHUFFLES: usize = 32;

/// Characters of a text that are shuffled.
const SHUFFLED_CHARACTERS: usize = 64;

/// Bits that a sequence of two to four characters adds when it comes again in the same text.
const REPEATED: f64 = 2.0;

/// Standard deviations by which a text has to be better ordered than its shuffled copies.
const DISTINCT: f64 = 3.0;

/// The same for a text whose characters do not predict one another.
const DISTINCT_IF_DOUBTFUL: f64 = 3.5;

/// Whether `text` is a random string. `counted`: the statistics contain the text, which then must not speak for itself.
///
/// Two questions, neither of which needs to know the language:
/// 1. Is it likelier than characters drawn evenly from those it consists of? No random string is, in any alphabet, and
///    nearly all language is: then it is language.
/// 2. If not (short texts, few different characters): is the order of its characters better than chance? A random string
///    and its shuffled copies are equally likely, whatever the history is full of, so that this test (Fisher's permutation
///    test) knows how often it errs. Where the characters do not predict one another better than by their frequency
///    alone, the order has to be the clearer.
///
/// In a large alphabet a short text hardly has an order that the history knows. There the choice of characters tells:
/// language takes the frequent ones, a random string any.
///
/// `expected`: most of the history is random, so that what fails the first question is not asked the second.
pub(super) fn looks_random(ngrams: &Ngrams, text: &Normalized, counted: bool, expected: bool) -> bool {
    let own = counted.then(|| Counts::of(text));
    let scored: Vec<Scored> = ngrams.score(text, own.as_ref());
    let characters = &scored[..text.len()];
    let judged: Vec<&Scored> = characters.iter().filter(|scored| scored.alphabet != Alphabet::Symbols).collect();
    let n = judged.len() as f64;
    if judged.len() < JUDGED_CHARACTERS {
        return false;
    }
    let in_context = judged.iter().map(|scored| scored.in_context).sum::<f64>() / n;
    let mut different: Vec<char> = judged.iter().map(|scored| scored.character).collect();
    different.sort_unstable();
    different.dedup();
    if different.len() < FEWEST_DIFFERENT {
        return false;
    }
    if in_context + (different.len() as f64).log2() >= 0.0 || !is_known(ngrams, &judged, counted) {
        return false;
    }
    if expected {
        return true;
    }
    let by_chance = judged.iter().map(|scored| by_chance(ngrams, scored)).sum::<f64>() / n;
    let large = judged.iter().filter(|scored| scored.alphabet.is_large()).count() as f64 / n;
    if large >= MOSTLY_LARGE {
        return in_context - by_chance < large * CHOSEN;
    }
    let doubtful = in_context - by_chance < ORDERED;
    beyond_shuffled(ngrams, text, own.as_ref()) < if doubtful { DISTINCT_IF_DOUBTFUL } else { DISTINCT }
}

/// log₂ of a character's probability in a string without order: by its frequency, and in a large alphabet by that of
/// the alphabet as a whole.
fn by_chance(ngrams: &Ngrams, scored: &Scored) -> f64 {
    if !scored.alphabet.is_large() {
        return scored.alone;
    }
    let share = ngrams.of_alphabet(scored.alphabet).max(1) as f64 / ngrams.characters().max(1) as f64;
    (share / scored.alphabet.size()).log2()
}

/// Whether the rest of the history has enough of the alphabet that most of the text is in.
fn is_known(ngrams: &Ngrams, judged: &[&Scored], counted: bool) -> bool {
    let mut alphabets: BTreeMap<Alphabet, usize> = BTreeMap::new();
    judged.iter().for_each(|scored| *alphabets.entry(scored.alphabet).or_default() += 1);
    let main = alphabets.into_iter().max_by_key(|&(_, characters)| characters);
    main.is_some_and(|(alphabet, characters)| {
        let own = if counted { characters } else { 0 };
        ngrams.of_alphabet(alphabet).saturating_sub(own) >= KNOWN_ALPHABET
    })
}

/// How much better ordered a text is than its shuffled copies, in their standard deviations. A bit is added to the
/// deviation, so that a string of nearly one character, whose copies are all alike, does not stand out by rounding.
fn beyond_shuffled(ngrams: &Ngrams, text: &Normalized, own: Option<&Counts>) -> f64 {
    let body = &text.body()[..text.len().min(SHUFFLED_CHARACTERS)];
    let mut random = Random::new(body.len() as u64);
    let mut shuffled = body.to_vec();
    let copies: Vec<f64> = (0..SHUFFLES)
        .map(|_| {
            random.shuffle(&mut shuffled);
            order(ngrams, &shuffled, None)
        })
        .collect();
    let mean = copies.iter().sum::<f64>() / SHUFFLES as f64;
    let variance = copies.iter().map(|copy| (copy - mean).powi(2)).sum::<f64>() / (SHUFFLES - 1) as f64;
    (order(ngrams, body, own) - mean) / (variance.sqrt() + 1.0)
}

/// How well ordered characters are, in bits: how likely the history makes them, and how much they repeat themselves,
/// as "hahaha" does and code, whether the history knows it or not.
fn order(ngrams: &Ngrams, body: &[char], own: Option<&Counts>) -> f64 {
    let likelihood: f64 = ngrams.score(&Normalized::of(body), own).iter().map(|scored| scored.in_context).sum();
    let mut seen = HashSet::new();
    let repeated = (2..=4).flat_map(|length| body.windows(length)).filter(|sequence| !seen.insert(*sequence)).count();
    likelihood + REPEATED * repeated as f64
}
