//! Words for passwords that were typed in a hurry: `passwrod`, `pasword`, `contraeña`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use super::lexicon::{SECRETS, Set, entries, rows};
use super::words::joins;

/// The shortest word that is known by most of its letters, in characters: one letter makes others of shorter ones.
const SHORTEST: usize = 8;

static NO_SLIP: LazyLock<Set> = LazyLock::new(|| Set::new(SECRETS, "no_slip"));

/// The words, as characters, by their first one.
static WORDS: LazyLock<HashMap<char, Vec<Vec<char>>>> = LazyLock::new(|| {
    let mut words: HashMap<char, Vec<Vec<char>>> = HashMap::new();
    for [_, _, names] in rows(SECRETS).filter(|[_, kind, _]| *kind == "password") {
        for name in entries(names).filter(|name| name.chars().count() >= SHORTEST && name.chars().all(joins)) {
            words.entry(name.chars().next().unwrap_or_default()).or_default().push(name.chars().collect());
        }
    }
    words
});

/// The words of a text that one slip makes of a word for passwords.
pub(super) fn find(text: &str) -> impl Iterator<Item = Range<usize>> {
    let base = text.as_ptr() as usize;
    text.split(|c| !joins(c)).filter(|word| is_misspelt(word)).map(move |word| {
        let start = word.as_ptr() as usize - base;
        start..start + word.len()
    })
}

fn is_misspelt(word: &str) -> bool {
    let length = word.len();
    let first = word.chars().next().and_then(|first| first.to_lowercase().next());
    let Some(words) = first.and_then(|first| WORDS.get(&first)).filter(|_| (SHORTEST - 1..=48).contains(&length))
    else {
        return false;
    };
    let lower = word.to_lowercase();
    let word: Vec<char> = lower.chars().collect();
    !words.contains(&word) && !NO_SLIP.has(&lower) && words.iter().any(|known| is_slip(&word, known))
}

/// Whether a letter was left out, doubled, mistaken, or changed places with the next.
fn is_slip(word: &[char], known: &[char]) -> bool {
    let same = word.iter().zip(known).take_while(|(a, b)| a == b).count();
    let (word, known) = (&word[same..], &known[same..]);
    match (word, known) {
        ([_, rest @ ..], _) if rest == known => true,
        (_, [_, rest @ ..]) if rest == word => true,
        ([_, a @ ..], [_, b @ ..]) if a == b => true,
        ([a, b, rest @ ..], [c, d, other @ ..]) => a == d && b == c && rest == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_is_forgiven() {
        for (word, expected) in [
            ("passwrod", true),
            ("Pasword", true),
            ("passsword", true),
            ("passwird", true),
            ("contraeña", true),
            ("password", false),
            ("Passport", false),
            ("passage", false),
            ("", false),
        ] {
            assert_eq!(is_misspelt(word), expected, "{word}");
        }
    }
}
