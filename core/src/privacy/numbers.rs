//! Groups of digits: what cards, codes, telephone and house numbers are made of.

use std::ops::Range;

/// A run of digits with none beside it.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub range: Range<usize>,
    /// How many digits.
    pub count: usize,
}

/// All groups of digits of a text.
pub(super) fn groups(text: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (at, c) in text.char_indices().filter(|(_, c)| digit(*c).is_some()) {
        match groups.last_mut().filter(|group| group.range.end == at) {
            Some(group) => {
                group.range.end += c.len_utf8();
                group.count += 1;
            }
            None => groups.push(Group { range: at..at + c.len_utf8(), count: 1 }),
        }
    }
    groups
}

/// The value of a decimal digit: ASCII, Arabic, Persian, Devanagari, Bengali, Thai, full-width.
pub(super) fn digit(c: char) -> Option<u8> {
    let zeros = ['0', '\u{660}', '\u{6f0}', '\u{966}', '\u{9e6}', '\u{e50}', '\u{ff10}'];
    zeros.into_iter().find_map(|zero| {
        let value = (c as u32).checked_sub(zero as u32).filter(|value| *value < 10)?;
        u8::try_from(value).ok()
    })
}

/// The values of the digits of a stretch.
pub(super) fn digits(text: &str) -> impl Iterator<Item = u8> {
    text.chars().filter_map(digit)
}

/// A day as eight digits in either order.
pub(super) fn is_day(number: &str) -> bool {
    let part = |range: Range<usize>| number.get(range).and_then(|part| part.parse::<u32>().ok()).unwrap_or(0);
    let day = |day: u32, month: u32, year: u32| {
        (1..=31).contains(&day) && (1..=12).contains(&month) && (1900..2100).contains(&year)
    };
    number.len() == 8 && (day(part(6..8), part(4..6), part(0..4)) || day(part(0..2), part(2..4), part(4..8)))
}
