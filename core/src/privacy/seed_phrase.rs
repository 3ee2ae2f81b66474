//! Seed phrases of wallets (BIP-39): 12 to 24 words of one of the standard's lists whose checksum is right.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use bip39::Language;
use sha2::{Digest, Sha256};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// How many words a phrase has, the longest first.
const LENGTHS: [usize; 5] = [24, 21, 18, 15, 12];

/// How many characters may stand between two words: `12. `, a comma, a line's end.
const BETWEEN: usize = 8;

/// The longest word of all lists, in bytes as people may write it; longer ones are not looked up.
const LONGEST: usize = 48;

/// How many bits a word stands for.
const BITS: usize = 11;

/// The words of all lists in order, each with its list and its place there.
static WORDS: LazyLock<Vec<(&'static str, Language, u16)>> = LazyLock::new(|| {
    let of = |language: Language| (0..).zip(language.word_list()).map(move |(place, word)| (*word, language, place));
    let mut words: Vec<_> = Language::ALL.iter().flat_map(|language| of(*language)).collect();
    words.sort_unstable_by_key(|(word, _, place)| (*word, *place));
    words
});

/// The lists that have a word, and its places there.
fn listed(word: &str) -> &'static [(&'static str, Language, u16)] {
    let from = WORDS.partition_point(|(known, ..)| *known < word);
    let found = WORDS[from..].partition_point(|(known, ..)| *known == word);
    &WORDS[from..from + found]
}

/// Words of one language's list, one behind another.
#[derive(Default)]
struct Run {
    places: Vec<u16>,
    ranges: Vec<Range<usize>>,
}

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    // Most texts are shorter than any phrase, and need no list.
    if words(text).count() < LENGTHS[LENGTHS.len() - 1] {
        return found;
    }
    let mut runs: HashMap<Language, Run> = HashMap::new();
    for word in words(text) {
        let plain: String = match word.len() {
            ..=LONGEST => text[word.clone()].nfkd().flat_map(char::to_lowercase).collect(),
            _ => String::new(),
        };
        let listed = listed(&plain);
        runs.retain(|language, run| {
            let last = run.ranges.last().map_or(0, |last| last.end);
            let goes_on = listed.iter().any(|(_, own, _)| own == language)
                && text[last..word.start].chars().take(BETWEEN + 1).count() <= BETWEEN;
            if !goes_on {
                found.extend(phrases(run));
            }
            goes_on
        });
        for (_, language, place) in listed {
            let run = runs.entry(*language).or_default();
            run.places.push(*place);
            run.ranges.push(word.clone());
        }
    }
    found.extend(runs.values().flat_map(phrases));
    found
}

/// The words of a text: letters with their marks.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let base = text.as_ptr() as usize;
    text.split(|c: char| !c.is_alphabetic() && !is_combining_mark(c)).filter(|word| !word.is_empty()).map(move |word| {
        let start = word.as_ptr() as usize - base;
        start..start + word.len()
    })
}

/// The phrases among words of one list. A word before may make a checksum right by chance, so phrases may overlap.
fn phrases(run: &Run) -> Vec<Range<usize>> {
    let phrase = |first: usize| {
        let length = LENGTHS.into_iter().find(|length| run.places[first..].get(..*length).is_some_and(checks))?;
        Some(run.ranges[first].start..run.ranges[first + length - 1].end)
    };
    (0..run.places.len()).filter_map(phrase).collect()
}

/// Of 33 bits 32 are the secret's, and the last ones together are the first of its SHA-256.
fn checks(places: &[u16]) -> bool {
    let bit = |at: usize| places[at / BITS] >> (BITS - 1 - at % BITS) & 1;
    let secret = places.len() * BITS / 33 * 32;
    let bytes: Vec<u8> =
        (0..secret / 8).map(|byte| (0..8).fold(0, |value, at| value << 1 | bit(byte * 8 + at) as u8)).collect();
    let hash = Sha256::digest(&bytes);
    (secret..places.len() * BITS).zip(0..).all(|(at, check)| bit(at) == u16::from(hash[0] >> (7 - check) & 1))
}
