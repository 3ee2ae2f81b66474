//! Codes of doors, safes and alarms where no word says "code": `the safe is 4471`, `press 4471# at the gate`.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::lexicon::{GRAMMAR, Keywords, SECRETS, any_of};
use super::one_time_code::{is_counted, is_year};
use super::said::is_copula;
use super::words::{after, before};

/// How far from its number a lock may be named, in bytes.
const NEAR: usize = 64;

/// What stands before the number that one types.
static TYPED: LazyLock<Regex> = LazyLock::new(|| {
    let typed = any_of(GRAMMAR, &["typed"]);
    Regex::new(&format!(r"(?i)(?:^|\P{{L}}){typed}\s(?:in\s)?$")).expect("a constant pattern")
});

/// What follows it.
static GOES_ON: LazyLock<Regex> = LazyLock::new(|| {
    let next = any_of(GRAMMAR, &["preposition", "typed", "typed_next"]);
    Regex::new(&format!(r"(?i)^\s?(?:$|[#*,.;!)\n]|{next}(?:\P{{L}}|$))")).expect("a constant pattern")
});

static OPENS_WITH: LazyLock<Regex> = LazyLock::new(|| {
    let opens = any_of(GRAMMAR, &["opens_with"]);
    Regex::new(&format!(r"(?i)^(?:\s{opens}\s?[:=-]?|\s?[:=]|\s?->|\s?→|\s[–—-])\s?$")).expect("a constant pattern")
});

/// From a copula's number on to the lock: `it's 4471 for the garage`.
static FOR: LazyLock<Regex> = LazyLock::new(|| {
    let preposition = any_of(GRAMMAR, &["preposition"]);
    Regex::new(&format!(r"(?i)^[#*]?\s{preposition}\s?(?:\p{{L}}{{1,4}}['’\s])?$")).expect("a constant pattern")
});

/// The words for what opens with a code.
pub(super) struct Locks<'a> {
    text: &'a str,
    words: Vec<(Range<usize>, &'a [&'static str])>,
}

impl<'a> Locks<'a> {
    pub fn of(text: &'a str) -> Self {
        static PLACE: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(SECRETS, &["code_place", "lock"]));
        Self { text, words: PLACE.find(text).map(|word| (word.range, word.languages)).collect() }
    }

    /// Whether a number is said to open one of them.
    pub fn open_with(&self, number: &Range<usize>) -> bool {
        let text = self.text;
        let digits = &text[number.clone()];
        if !(4..=6).contains(&digits.len()) || is_counted(text, number.end) {
            return false;
        }
        let next = self.words.partition_point(|(word, _)| word.start < number.start);
        let last = next.checked_sub(1).map(|at| &self.words[at]).filter(|(word, _)| {
            word.end <= number.start && word.end + NEAR > number.start && !text[word.end..number.start].contains('\n')
        });
        let next = self.words.get(next).filter(|(word, _)| {
            word.start >= number.end
                && number.end + NEAR > word.start
                && !text[number.end..word.start].contains(['.', '\n', '?'])
        });
        let head = before(text, number.start, 24);
        // A lock's keys have these signs.
        let tail = after(text, number.end, 2);
        let bold = tail.starts_with("**") || head.ends_with("**");
        let keyed = !bold && (tail.starts_with(['#', '*']) || head.ends_with('*'));
        if keyed && (last.is_some() || next.is_some()) {
            return true;
        }
        // Prices are round.
        if is_year(digits) || is_time(digits) || digits.ends_with("00") || digits.ends_with("99") {
            return false;
        }
        if TYPED.is_match(head) && GOES_ON.is_match(after(text, number.end, 24)) && (last.is_some() || next.is_some()) {
            return true;
        }
        let tied = last.is_some_and(|(word, languages)| {
            let between = &text[word.end..number.start];
            let copula = between.trim().to_lowercase();
            is_copula(&copula, languages)
                || OPENS_WITH.is_match(between)
                || between == " " && self.is_note(word, number)
        });
        let stated = next.is_some_and(|(word, _)| {
            let last = head.split_whitespace().next_back().unwrap_or_default().to_lowercase();
            is_copula(&last, &[]) && FOR.is_match(&text[number.end..word.start])
        });
        tied || stated
    }

    /// `gate 4471`, with nothing else between two commas.
    fn is_note(&self, word: &Range<usize>, number: &Range<usize>) -> bool {
        let head = before(self.text, word.start, 24);
        let clause = head.rsplit([',', '\n', ';', ':', '.', '&']).next().unwrap_or_default();
        let end = after(self.text, number.end, 4);
        clause.split_whitespace().count() <= 1
            && (clause.len() < head.len() || word.start <= head.len())
            && (end.is_empty() || end.starts_with(['\n', ',', ';', '.', '!', '#', '*']))
    }
}

/// A time of the day as four digits: `1430`.
fn is_time(digits: &str) -> bool {
    let (Some(hour), Some(minute)) = (digits.get(..2), digits.get(2..)) else { return false };
    let value = |part: &str| part.parse::<u8>().unwrap_or(u8::MAX);
    digits.len() == 4 && value(hour) < 24 && value(minute) < 60 && value(minute) % 5 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_open_are_told_from_others() {
        for (text, number, expected) in [
            ("the safe is 4471", "4471", true),
            ("gate: 4471", "4471", true),
            ("reminder: milk, gym locker 4471", "4471", true),
            ("press 4471 to open the garage", "4471", true),
            ("it's 4471 for the garage", "4471", true),
            ("c'est 4471 pour l'alarme", "4471", true),
            ("front door 1430*", "1430", true),
            ("the lockbox opens with 8802", "8802", true),
            ("alarm: 0645", "0645", false),
            ("parking is 4500 a month", "4500", false),
            ("the garage was built in 1987", "1987", false),
            ("press 5123 copies for the entrance", "5123", false),
            ("the garage has **1251** entries", "1251", false),
            ("the door count on that day was 4471", "4471", false),
        ] {
            let at = text.find(number).unwrap();
            assert_eq!(Locks::of(text).open_with(&(at..at + number.len())), expected, "{text}");
        }
    }
}
