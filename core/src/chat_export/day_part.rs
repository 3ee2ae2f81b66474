//! The words for parts of the day that stand beside a time on the clock of twelve hours.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::plain::is_direction;
use super::table::{alternatives, rows};

/// A part of the day, as the hours that it has in the languages that use its word: from the first and before the
/// second, over midnight where that is the smaller.
#[derive(Debug, Clone, Copy)]
pub(super) struct DayPart(&'static [(u32, u32)]);

impl DayPart {
    /// The part that `word` names, in any language, however it is spaced and cased: `p. m.`, `μ.μ.`, `晚上`.
    pub fn of(word: &str) -> Option<Self> {
        static WORDS: LazyLock<HashMap<String, Vec<(u32, u32)>>> = LazyLock::new(|| {
            let mut words: HashMap<String, Vec<(u32, u32)>> = HashMap::new();
            for row in rows(include_str!("marks/day_parts.tsv")) {
                let hour = |cell: &str| cell.parse().expect("an hour in a constant table");
                let span = (hour(row[1]), hour(row[2]));
                alternatives(row[3]).for_each(|word| words.entry(key(word)).or_default().push(span));
            }
            words
        });
        WORDS.get(&key(word)).map(|spans| Self(spans))
    }

    /// The hour of the day of an hour beside this word. Who writes `21:41 PM` or `0:05 PM` is understood; and as the
    /// hours of a word are not the same everywhere, one out of them is taken in the half of the day in which they begin.
    pub fn hour(self, written: u32) -> Option<u32> {
        let within = |hour: u32, (from, before): (u32, u32)| match from < before {
            true => (from..before).contains(&hour),
            false => hour >= from || hour < before,
        };
        let candidates = if written > 12 { vec![written] } else { vec![written % 12, written % 12 + 12] };
        let found = self.0.iter().find_map(|span| candidates.iter().find(|hour| **hour < 24 && within(**hour, *span)));
        let half = || self.0.first().filter(|_| written <= 12).map(|(from, _)| written % 12 + from / 12 * 12);
        found.copied().or_else(half)
    }
}

/// A word as words are compared here: without case, spaces, full stops and apostrophes.
fn key(word: &str) -> String {
    let letters = word.chars().filter(|c| !c.is_whitespace() && !is_direction(*c) && !matches!(c, '.' | '\'' | '’'));
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_beside_words() {
        for (word, hour, expected) in [
            ("PM", 9, Some(21)),
            ("p.\u{a0}m.", 12, Some(12)),
            ("a. m.", 12, Some(0)),
            ("AM", 0, Some(0)),
            ("pm", 0, Some(12)),
            ("PM", 21, Some(21)),
            ("AM", 13, None),
            ("μ.μ.", 9, Some(21)),
            ("ÖS", 9, Some(21)),
            ("öö", 9, Some(9)),
            ("de.", 9, Some(9)),
            ("晚上", 9, Some(21)),
            ("凌晨", 1, Some(1)),
            ("中午", 12, Some(12)),
            ("오후", 9, Some(21)),
            ("م", 9, Some(21)),
            ("ص", 9, Some(9)),
            ("at night", 11, Some(23)),
            // Once the Tamil word for pm, now that for the hours from two to four.
            ("பிற்பகல்", 9, Some(21)),
            ("பிற்பகல்", 3, Some(15)),
            // Over midnight.
            ("밤", 1, Some(1)),
            ("밤", 11, Some(23)),
        ] {
            assert_eq!(DayPart::of(word).unwrap().hour(hour), expected, "{hour} {word}");
        }
        assert!(DayPart::of("klo").is_none() && DayPart::of("").is_none());
    }
}
