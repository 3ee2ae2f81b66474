//! Payment cards: 13 to 19 digits of an issuer's range, grouped as on a card, whose check digit is right.

use std::ops::Range;

use super::numbers::{Group, digits};
use super::words::{char_before, ends_word, starts_word};

const LONGEST: usize = 19;

pub(super) fn find(text: &str, groups: &[Group]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut first = 0;
    while first < groups.len() {
        let taken = card(text, &groups[first..]);
        if let Some(last) = taken.checked_sub(1) {
            found.push(groups[first].range.start..groups[first + last].range.end);
        }
        first += taken.max(1);
    }
    found
}

/// How many groups, from the first on, are the longest card number; 0 for none.
fn card(text: &str, groups: &[Group]) -> usize {
    let start = groups[0].range.start;
    if !starts_word(text, start) || is_fraction(text, start) {
        return 0;
    }
    let mut number = Vec::with_capacity(LONGEST);
    let mut longest = 0;
    for (at, group) in groups.iter().enumerate() {
        if number.len() + group.count > LONGEST || at > 0 && separator(text, groups, at) != separator(text, groups, 1) {
            break;
        }
        if at > 0 && separator(text, groups, at).is_none() {
            break;
        }
        number.extend(digits(&text[group.range.clone()]));
        if grouped(&groups[..=at]) && issued(&number) && checks(&number) && ends_word(text, group.range.end) {
            longest = at + 1;
        }
    }
    longest
}

/// Whether the digits from `start` on are the fraction of a decimal number.
fn is_fraction(text: &str, start: usize) -> bool {
    let mut before = text[..start].chars().rev();
    before.next().is_some_and(|c| matches!(c, '.' | ',')) && before.next().is_some_and(|c| c.is_ascii_digit())
}

/// The one character between group `at` and the one before, where there is just one and it can separate.
fn separator(text: &str, groups: &[Group], at: usize) -> Option<char> {
    let between = &text[groups.get(at - 1)?.range.end..groups.get(at)?.range.start];
    let c = char_before(between, between.len())?;
    (c.len_utf8() == between.len() && (c.is_whitespace() && c != '\n' || "-‐‑–.·_/".contains(c))).then_some(c)
}

/// As printed on cards: all together, fours with a shorter end, American Express and Diners (4-6-5, 4-6-4), halves.
fn grouped(groups: &[Group]) -> bool {
    let counts: Vec<usize> = groups.iter().map(|group| group.count).collect();
    match counts.as_slice() {
        [_] | [4, 6, 4 | 5] | [8, 8] | [6, 7..=13] => true,
        [fours @ .., last] => fours.iter().all(|count| *count == 4) && *last <= 4,
        [] => false,
    }
}

/// Whether an issuer gives out such numbers, of this length.
fn issued(number: &[u8]) -> bool {
    let prefix = |length: usize| number.iter().take(length).fold(0, |value, digit| value * 10 + u32::from(*digit));
    let length = number.len();
    match (prefix(1), prefix(2), prefix(3), prefix(4)) {
        (4, ..) => matches!(length, 13 | 16 | 19), // Visa
        (_, 34 | 37, ..) => length == 15,          // American Express
        (_, 36 | 38 | 39, ..) | (_, _, 300..=305 | 309, _) => (14..=19).contains(&length), // Diners
        (_, _, _, 3528..=3589) => (16..=19).contains(&length), // JCB
        (_, 51..=55, ..) | (_, _, _, 2221..=2720) => length == 16, // Mastercard
        (_, _, _, 2200..=2204) => (16..=19).contains(&length), // Mir
        (_, _, _, 9792) => length == 16,           // Troy
        (_, 60 | 62 | 64 | 65 | 81 | 82, ..) => (16..=19).contains(&length), // Discover, UnionPay, RuPay
        (_, 50 | 56..=58 | 63 | 67, ..) => (13..=19).contains(&length), // Maestro
        _ => false,
    }
}

/// The check digit (Luhn): from the right, every second digit doubled, its digits summed; a multiple of ten.
fn checks(number: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let values = number.iter().rev().enumerate().map(|(at, digit)| if at % 2 == 1 { doubled(*digit) } else { *digit });
    values.map(u32::from).sum::<u32>() % 10 == 0
}
