//! Passports: the number beside the word, and the lines that machines read (ICAO 9303), which visas and identity cards
//! have too.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::lexicon::{IDENTITY, Keywords};
use super::numbers::is_day;
use super::words::{char_after, char_before, ends_word, starts_word};

/// How far the word may stand before a number, and after it, in bytes.
const BEFORE: usize = 40;
const AFTER: usize = 24;

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = machine_read(text);
    static WORDS: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(IDENTITY, &["passport"]));
    let words: Vec<Range<usize>> = WORDS.find(text).map(|word| word.range).collect();
    if words.is_empty() {
        return found;
    }
    // Russia's have a series and a number, with a word or a sign between.
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        let series = r"(?:[0-9]{2} ?[0-9]{2}[^0-9\n]{1,12}[0-9]{6}|[0-9]{2}[^0-9\n]{1,12}[0-9]{7})(?-u:\b)";
        Regex::new(&format!("{series}|[A-Z]{{1,3}} [0-9]{{6,8}}|[A-Za-z0-9]+")).expect("a constant pattern")
    });
    let numbers = NUMBER.find_iter(text).filter(|number| {
        is_number(number.as_str()) && is_free(text, &number.range()) && is_beside(text, &number.range(), &words)
    });
    found.extend(numbers.map(|number| number.range()));
    found
}

/// What countries number passports with: seven to ten letters and digits; only digits where they are eight or nine and
/// no day. Numbers in parts are of such a shape already.
fn is_number(number: &str) -> bool {
    if let Some((_, last)) = number.rsplit_once(' ') {
        return !is_day(last);
    }
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let small = number.contains(|c: char| c.is_ascii_lowercase());
    match number.len() {
        8 | 9 if digits == number.len() => !is_day(number),
        length => digits < length && (7..=10).contains(&length) && digits >= if small { 6 } else { 3 },
    }
}

/// Not a part of a longer word, number or address.
fn is_free(text: &str, number: &Range<usize>) -> bool {
    let bound = char_before(text, number.start).is_some_and(|c| "-./@+$€£_".contains(c));
    let runs_on = char_after(text, number.end).is_some_and(|c| "-/@_€".contains(c));
    starts_word(text, number.start) && ends_word(text, number.end) && !bound && !runs_on
}

fn is_beside(text: &str, number: &Range<usize>, words: &[Range<usize>]) -> bool {
    let next = words.partition_point(|word| word.start < number.start);
    let near = |between: Range<usize>, reach: usize| {
        between.start <= between.end
            && between.len() <= reach
            && !text[between].contains(|c: char| c == '\n' || c.is_ascii_digit())
    };
    next.checked_sub(1).is_some_and(|at| near(words[at].end..number.start, BEFORE))
        || words.get(next).is_some_and(|word| near(number.end..word.start, AFTER))
}

/// The lines that machines read: those whose check digits are right, and the line of names beside one.
fn machine_read(text: &str) -> Vec<Range<usize>> {
    static LINE: LazyLock<Regex> = LazyLock::new(|| Regex::new("[A-Z0-9<]{30,}").expect("a constant pattern"));
    let lines: Vec<Range<usize>> = LINE
        .find_iter(text)
        .map(|line| line.range())
        .filter(|line| matches!(line.len(), 30 | 36 | 44) && starts_word(text, line.start) && ends_word(text, line.end))
        .collect();
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let beside = |other: Option<&Range<usize>>| {
            other.is_some_and(|other| {
                let between = &text[line.end.min(other.end)..line.start.max(other.start)];
                other.len() == line.len() && between.trim().is_empty() && is_data(&text[other.clone()])
            })
        };
        let own = &text[line.clone()];
        let names = own.contains("<<") && !own.contains(|c: char| c.is_ascii_digit());
        // The names stand before the data of passports, and behind those of cards.
        let held = names && (beside(lines.get(at + 1)) || beside(at.checked_sub(1).map(|at| &lines[at])));
        let title =
            names && line.len() == 44 && own.starts_with('P') && own[2..5].chars().all(|c| c.is_ascii_uppercase());
        if is_data(own) || held || title {
            found.push(line.clone());
        }
    }
    found
}

/// Whether a line has numbers and days with the right check digits, at the places of its length.
fn is_data(line: &str) -> bool {
    let bytes = line.as_bytes();
    // A field from one place to another, where its check digit stands.
    let right =
        |fields: &[(usize, usize)]| fields.iter().all(|&(from, to)| check_digit(&bytes[from..to]) == Some(bytes[to]));
    let sex = |at: usize| matches!(bytes[at], b'M' | b'F' | b'X' | b'<');
    match bytes.len() {
        44 | 36 => sex(20) && right(&[(0, 9), (13, 19), (21, 27)]),
        30 => {
            let letters = bytes[15..18].iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'<');
            let card =
                matches!(bytes[0], b'I' | b'A' | b'C') && bytes.contains(&b'<') && bytes[5].is_ascii_alphanumeric();
            card && right(&[(5, 14)]) || letters && sex(7) && right(&[(0, 6), (8, 14)])
        }
        _ => false,
    }
}

/// The values of the characters by the weights 7, 3 and 1 in turn, by ten.
fn check_digit(field: &[u8]) -> Option<u8> {
    let value = |byte: u8| if byte == b'<' { Some(0) } else { char::from(byte).to_digit(36) };
    let weighted = field.iter().zip([7, 3, 1].into_iter().cycle()).map(|(byte, weight)| Some(value(*byte)? * weight));
    let sum = weighted.sum::<Option<u32>>()?;
    char::from_digit(sum % 10, 10).and_then(|digit| u8::try_from(digit).ok())
}
