//! International bank account numbers (ISO 13616): a country's length, and a remainder of 1 by 97.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::words::{ends_word, starts_word};

static BEGINNING: LazyLock<Regex> = LazyLock::new(|| Regex::new("[A-Za-z]{2}[0-9]{2}").expect("a constant pattern"));

/// Countries by the length of their numbers.
const LENGTHS: [(usize, &str); 18] = [
    (15, "NO"),
    (16, "BE BI"),
    (18, "DK FI FK FO GL NL SD"),
    (19, "MK SI"),
    (20, "AT BA EE KZ LT LU MN XK"),
    (21, "CH HR LI LV"),
    (22, "BG BH CR DE GB GE IE ME RS VA"),
    (23, "AE GI IL IQ OM SO TL"),
    (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
    (25, "LY PT ST"),
    (26, "IS TR"),
    (27, "BF DJ FR GR IT MC MR SM"),
    (28, "AL AZ BJ BY CI CM CY DO GT HN HU LB MA ML NE NI PL SN SV TG"),
    (29, "BR EG PS QA UA"),
    (30, "JO KW MU YE"),
    (31, "MT SC"),
    (32, "LC"),
    (33, "RU"),
];

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    BEGINNING.find_iter(text).filter_map(|found| Some(found.start()..account(text, found.start())?)).collect()
}

/// The end of the account number that begins at `start`.
fn account(text: &str, start: usize) -> Option<usize> {
    if !starts_word(text, start) {
        return None;
    }
    let country = text[start..start + 2].to_ascii_uppercase();
    let length = LENGTHS.iter().find(|(_, countries)| countries.split(' ').any(|code| code == country))?.0;
    let mut number = Vec::with_capacity(length);
    let mut separated = false;
    for (at, c) in text[start..].char_indices() {
        if c.is_ascii_alphanumeric() {
            number.push(c.to_digit(36)?);
            separated = false;
        } else if !separated && matches!(c, ' ' | '-' | '.' | '\u{a0}' | '\u{202f}') {
            separated = true;
        } else {
            return None;
        }
        if number.len() == length {
            let end = start + at + 1;
            return (checks(&number) && ends_word(text, end)).then_some(end);
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
