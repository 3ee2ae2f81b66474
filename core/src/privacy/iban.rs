//! International bank account numbers (ISO 13616): a country's structure, and a remainder of 1 by 97.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::lexicon::{IBANS, rows};
use super::words::starts_word;

/// What may stand between two characters of a number, and how much of it.
const SEPARATORS: &str = "- \t‐‑–.\u{a0}\u{202f}\u{2009}";
const SEPARATED: usize = 3;

/// The digits that a number has after its country; the structures of some countries would do without.
const DIGITS: usize = 6;

static BEGINNING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(&format!("[A-Za-z]{{2}}[{SEPARATORS}]{{0,{SEPARATED}}}[0-9]")).expect("a constant pattern")
});

/// What follows the check digits, by country: so many characters of a kind (`n`, `a` or `c`).
static STRUCTURES: LazyLock<HashMap<&str, Vec<(usize, char)>>> = LazyLock::new(|| {
    let part = |part: &str| {
        let kind = part.chars().next_back()?;
        Some((part.trim_end_matches(kind).parse().ok()?, kind))
    };
    rows(IBANS).map(|[country, _, structure]| (country, structure.split(' ').filter_map(part).collect())).collect()
});

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for beginning in BEGINNING.find_iter(text) {
        found.extend(account(text, beginning.start()).map(|end| beginning.start()..end));
    }
    found
}

/// The end of the account number that begins at `start`.
fn account(text: &str, start: usize) -> Option<usize> {
    if !starts_word(text, start) {
        return None;
    }
    let country = text[start..start + 2].to_ascii_uppercase();
    let structure = STRUCTURES.get(country.as_str())?;
    let kinds = structure.iter().flat_map(|(count, kind)| std::iter::repeat_n(*kind, *count));
    let mut kinds = ['a', 'a', 'n', 'n'].into_iter().chain(kinds).peekable();
    let mut number = Vec::with_capacity(34);
    let mut separated = 0;
    let mut rest = text[start..].char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        if SEPARATORS.contains(c) && separated < SEPARATED {
            separated += 1;
            continue;
        }
        let fits = match kinds.next()? {
            'n' => c.is_ascii_digit(),
            'a' => c.is_ascii_alphabetic(),
            _ => c.is_ascii_alphanumeric(),
        };
        if !fits {
            return None;
        }
        number.push(c.to_digit(36)?);
        separated = 0;
        if kinds.peek().is_none() {
            // Letters may run on, as in `…00THANKS`; further digits are those of another number.
            let ends = !rest
                .peek()
                .is_some_and(|(_, next)| next.is_ascii_digit() || c.is_ascii_alphabetic() && next.is_alphanumeric());
            let digits = number[2..].iter().filter(|digit| **digit < 10).count() >= DIGITS;
            return (ends && digits && checks(&number)).then_some(start + at + 1);
        }
    }
    None
}

/// The first four characters moved to the end, letters as 10 to 35: the remainder by 97 is 1.
fn checks(number: &[u32]) -> bool {
    let (head, body) = number.split_at(4);
    let value = |rest: u32, digit: &u32| (rest * if *digit > 9 { 100 } else { 10 } + digit) % 97;
    head.iter().fold(body.iter().fold(0, value), value) == 1
}
