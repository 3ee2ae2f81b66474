//! Telephone numbers: international and national shapes, and plain ones beside a word for calling.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::lexicon::{Keywords, PHONE, any_of};
use super::numbers::{Group, digits};
use super::words::{after, before, char_after, char_before, joins, unspaced};

/// Words after which, or before which, a number is one to call.
static CUES: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(PHONE, &["cue"]));

/// Words for numbers of any kind.
static VAGUE: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(PHONE, &["vague"]));

/// What numbers are called that nobody calls, at the end of what stands before one.
static OTHERWISE: LazyLock<Regex> = LazyLock::new(|| {
    let words = any_of(PHONE, &["other"]);
    Regex::new(&format!(r"(?i)(?:^|\P{{L}}){words}(?:\s+(?:no|number|nr|is|was|of)){{0,2}}[\s.:#=]{{0,3}}$"))
        .expect("a constant pattern")
});

/// The most digits of a number (E.164), with the `00` of some countries before.
const MOST: usize = 17;
/// How far a cue may stand before a number, and after it, in bytes.
const BEFORE: usize = 28;
const AFTER: usize = 16;

pub(super) fn find(text: &str, groups: &[Group]) -> Vec<Range<usize>> {
    let cues: Vec<Range<usize>> = CUES.find(text).map(|word| word.range).collect();
    let vague: Vec<Range<usize>> = VAGUE.find(text).map(|word| word.range).collect();
    let mut found = Vec::new();
    let mut first = 0;
    while first < groups.len() {
        let end = segment(text, groups, first);
        let number = Candidate::new(text, &groups[first..end]).filter(|number| number.is_phone(&cues, &vague));
        found.extend(number.map(|number| number.range));
        first = end;
    }
    found
}

/// Where the groups end that are written as one number with group `first`.
fn segment(text: &str, groups: &[Group], first: usize) -> usize {
    let mut total = groups[first].count;
    for at in first + 1..groups.len() {
        let between = &text[groups[at - 1].range.end..groups[at].range.start];
        let mut beginning = digits(&text[groups[at].range.clone()]);
        let trunk = beginning.next() == Some(0) && beginning.next() != Some(0);
        let anew = between.contains(['+', '(']) && total >= 7
            || trunk && total >= 10 && (groups[at].count >= 3 || groups.len() > at + 3)
            || trunk && groups[at].count >= 3 && total <= 2 && !text[..groups[first].range.start].ends_with(['+', '(']);
        if anew || !is_joint(between) {
            return at;
        }
        total += groups[at].count;
    }
    groups.len()
}

/// Whether a stretch between two groups keeps them one number.
fn is_joint(between: &str) -> bool {
    let sign = |c: char| "-‐‑–./".contains(c);
    let signs = between.chars().filter(|c| sign(*c)).count();
    let known = between.chars().all(|c| sign(c) || matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '(' | ')'));
    known && signs <= 1 && between.chars().count() <= 3 && (!between.contains('.') || between == ".")
}

struct Candidate<'a> {
    text: &'a str,
    range: Range<usize>,
    digits: Vec<u8>,
    /// The digits of each group.
    counts: Vec<usize>,
    plus: bool,
    parenthesis: bool,
    /// All separators are the same white space, or there is none.
    spaced: bool,
}

impl<'a> Candidate<'a> {
    fn new(text: &'a str, groups: &[Group]) -> Option<Self> {
        let counts: Vec<usize> = groups.iter().map(|group| group.count).collect();
        let (mut start, end) = (groups[0].range.start, groups[groups.len() - 1].range.end);
        if !(7..=MOST).contains(&counts.iter().sum()) {
            return None;
        }
        let spaced = !text[start..end].contains(['-', '‐', '‑', '–', '.', '/', '(', ')']);
        let parenthesis = text[start..end].contains(')');
        if parenthesis && text[..start].ends_with('(') {
            start -= 1;
        }
        let plus = char_before(text, start).filter(|c| matches!(c, '+' | '＋'));
        start -= plus.map_or(0, char::len_utf8);
        let digits = digits(&text[start..end]).collect();
        Some(Self { text, range: start..end, digits, counts, plus: plus.is_some(), parenthesis, spaced })
    }

    fn is_phone(&self, cues: &[Range<usize>], vague: &[Range<usize>]) -> bool {
        if !self.is_free() || self.is_date() {
            return false;
        }
        let cue = self.has_cue(cues) || self.is_grouped() && self.has_cue(vague);
        let shaped = self.is_international() || self.is_national();
        shaped && (cue || !self.is_named_otherwise()) || cue && self.could_be_called() && !self.is_named_otherwise()
    }

    /// Not part of a word, a longer number, an amount or a time.
    fn is_free(&self) -> bool {
        let (text, Range { start, end }) = (self.text, self.range.clone());
        let before = char_before(text, start);
        let further = before.map_or(start, |c| start - c.len_utf8());
        let bound = match before {
            Some(c @ ('-' | '.' | ',' | '/' | '+' | '=' | '&' | '_' | '*' | '~' | '^')) => {
                let inner = char_before(text, further);
                inner.is_some_and(|inner| {
                    inner.is_ascii_digit() || "-_./".contains(inner) && c != '/' || c == '-' && joins(inner)
                })
            }
            Some(c) => joins(c) || "$€£¥₹#".contains(c),
            None => false,
        };
        let next = char_after(text, end);
        let second = next.and_then(|c| char_after(text, end + c.len_utf8()));
        let runs_on = match next {
            Some('.' | ',' | ':' | '-' | '/') => second.is_some_and(|c| c.is_ascii_alphanumeric()),
            Some(c) => joins(c) || "%€$£°".contains(c),
            None => false,
        };
        !bound && !runs_on
    }

    /// Day, month and year in any order, together or apart, anywhere in the number.
    fn is_date(&self) -> bool {
        let value = |from: usize, count: usize| {
            self.digits[from..from + count].iter().fold(0_u32, |value, digit| value * 10 + u32::from(*digit))
        };
        let year = |value: u32| (1900..2100).contains(&value);
        let day = |value: u32| (1..=31).contains(&value);
        let mut from = 0;
        for counts in self.counts.windows(3) {
            let parts: Vec<u32> = counts
                .iter()
                .scan(from, |at, count| {
                    *at += count;
                    Some(if *count <= 4 { value(*at - count, *count) } else { 0 })
                })
                .collect();
            let dated = match counts {
                [1 | 2, 1 | 2, 4] => day(parts[0]) && day(parts[1]) && year(parts[2]),
                [4, 1 | 2, 1 | 2] => year(parts[0]) && day(parts[1]) && day(parts[2]),
                _ => false,
            };
            if dated {
                return true;
            }
            from += counts[0];
        }
        match self.counts.as_slice() {
            [8] => year(value(0, 4)) && day(value(4, 2)) && day(value(6, 2)) && value(4, 2) <= 12,
            [4, 4] => year(value(0, 4)) && year(value(4, 4)),
            _ => false,
        }
    }

    /// `+` or `00`, then a country and a number, 8 to 15 digits together.
    fn is_international(&self) -> bool {
        let zeros = self.digits.starts_with(&[0, 0]) && self.counts[0] >= 2;
        let rest = if zeros { &self.digits[2..] } else { &self.digits };
        let least = if self.counts.len() == 1 { 9 } else { 8 };
        (self.plus || zeros && self.counts.len() > 1) && rest[0] != 0 && (least..=15).contains(&rest.len())
    }

    /// The shapes of national numbers that little else has.
    fn is_national(&self) -> bool {
        let (digits, counts) = (self.digits.as_slice(), self.counts.as_slice());
        let trunk = digits[0] == 0 && digits[1] != 0 && (counts[0] >= 2 || self.parenthesis);
        let fits = match counts {
            [together] => (10..=11).contains(together),
            _ if counts.iter().all(|count| *count == 2) => digits.len() == 10,
            _ => (9..=12).contains(&digits.len()),
        };
        if trunk {
            return fits;
        }
        match counts {
            [3, 3, 4] => digits[0] >= 2,                         // North America, Italy's mobiles
            [1, 3, 3, 4] => digits[0] == 1,                      // North America
            [1, 3, 3, 2, 2] => matches!(digits[0], 7 | 8),       // Russia
            [2, 5, 4] if digits[2] == 9 && !self.spaced => true, // Brazil's mobiles
            [2, 4 | 5, 4] => self.parenthesis,                   // Brazil
            [3, 7] => digits[0] == 3 && digits[1] >= 2,          // Italy's mobiles
            [4, 3, 3] => matches!(digits, [1, 3 | 8, 0, 0, ..]), // Australia
            [3, 4, 4] => digits[0] == 1 && digits[1] >= 3,       // China
            _ => false,
        }
    }

    /// Ten or eleven digits as people write them for others to call.
    fn is_grouped(&self) -> bool {
        matches!(self.counts.as_slice(), [10 | 11] | [5, 5] | [5, 6] | [3, 3, 4] | [4, 3, 3] | [3, 4, 4] | [4, 4, 3])
            || self.counts.len() == 5 && self.counts.iter().all(|count| *count == 2)
    }

    /// What is a number to call only where a word says so.
    fn could_be_called(&self) -> bool {
        let length = self.digits.len();
        match self.counts.as_slice() {
            [together] => (8..=13).contains(together),
            [3, 4] => self.digits[0] >= 2,
            parts => (8..=13).contains(&length) && parts.len() <= 6 && parts.iter().all(|count| *count >= 2),
        }
    }

    fn has_cue(&self, cues: &[Range<usize>]) -> bool {
        let next = cues.partition_point(|cue| cue.start < self.range.start);
        let near = |between: &str| !between.contains(|c: char| c == '\n' || c.is_ascii_digit());
        let preceding = next.checked_sub(1).map(|at| &cues[at]).is_some_and(|cue| {
            cue.end <= self.range.start
                && self.range.start - cue.end <= BEFORE
                && near(&self.text[cue.end..self.range.start])
        });
        let following = cues.get(next).is_some_and(|cue| {
            cue.start >= self.range.end
                && cue.start - self.range.end <= AFTER
                && near(&self.text[self.range.end..cue.start])
        });
        preceding || following
    }

    fn is_named_otherwise(&self) -> bool {
        is_named_otherwise(self.text, self.range.start)
            || after(self.text, self.range.end, 8).trim_start().starts_with("bytes")
    }
}

/// Whether a number is what follows a word for orders, pages and other things that nobody calls.
pub(super) fn is_named_otherwise(text: &str, start: usize) -> bool {
    let before = before(text, start, 32);
    !before.ends_with(unspaced) && OTHERWISE.is_match(before)
}
