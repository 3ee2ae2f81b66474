//! Values that look like secrets, beside a keyword that no grammar ties to them: `the password i gave the plumber last
//! week was Quail9Sparrow`, `Quail9Sparrow <- thats the admin password`.

use std::ops::Range;
use std::sync::LazyLock;

use super::api_key::is_issued;
use super::lexicon::{GRAMMAR, Set};
use super::said::value;
use super::words::{after, before, split, unspaced};

/// How far from its keyword such a value may stand: in bytes, and in words after it and before it.
const REACH: usize = 160;
const AFTER: usize = 12;
const BEFORE: usize = 9;

/// What is longer is a token, in characters.
const LONGEST: usize = 32;

/// How many words a question may have behind its keyword, for the next line to be the answer.
const QUESTION: usize = 3;

static COMPOUND: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "compound"));
static PRODUCT: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "product"));
static INDEFINITE: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "indefinite"));
static NETWORK: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "network_before"));
static NAMED: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "name_before"));

/// The value in the keyword's sentence, behind it or else before it.
pub(super) fn near(text: &str, keyword: &Range<usize>) -> Option<Range<usize>> {
    let tail = after(text, keyword.end, REACH);
    let next = tail.split_whitespace().next().unwrap_or_default().to_lowercase();
    // More words make another noun: `password manager`.
    let compound =
        tail.starts_with(['-', '_', '=', '(']) || COMPOUND.has(next.trim_end_matches(['.', ',', '?', '!', ':']));
    if compound { None } else { following(text, keyword.end).or_else(|| preceding(text, keyword.start)) }
}

/// The value that a sentence goes on with behind a keyword or another value: `from Quail9Sparrow to Heron7Finch`.
pub(super) fn following(text: &str, start: usize) -> Option<Range<usize>> {
    let tail = after(text, start, REACH);
    let first = tail.lines().next().unwrap_or_default();
    let asks = first.split_whitespace().count() <= QUESTION;
    // The answer may stand below an empty line.
    let skipped = tail[first.len()..].len() - tail[first.len()..].trim_start().len();
    let below = first.len() + skipped;
    let line = if asks { &tail[..tail[below..].find('\n').map_or(tail.len(), |end| below + end)] } else { first };
    let mut named = false;
    for word in split(line, start).take(AFTER) {
        let spelled = &text[word.clone()];
        let glued: usize = spelled.chars().take_while(|c| unspaced(*c)).map(char::len_utf8).sum();
        let opened = usize::from(spelled[glued..].starts_with(['(', '[']));
        let (range, _) = value(line, word.start - start + glued + opened);
        if start + range.end <= word.end && is_striking(&line[range.clone()]) && !named {
            return Some(start + range.start..start + range.end);
        }
        if spelled.ends_with(['.', '!', ';']) && spelled.contains(char::is_alphanumeric) {
            return None;
        }
        named = is_before_name(&spelled.to_lowercase());
    }
    None
}

fn preceding(text: &str, end: usize) -> Option<Range<usize>> {
    let head = before(text, end, REACH);
    let offset = end - head.len();
    // The word that begins a stretch may be cut.
    let head = if offset > 0 { head.split_once(char::is_whitespace).map_or("", |(_, rest)| rest) } else { head };
    let offset = end - head.len();
    let line = head.trim_end().rfind('\n').map_or(0, |at| at + 1);
    let alone = |line: &str| line.split_whitespace().count() == 1;
    let above = head[..line].trim_end().rfind('\n').map_or(0, |at| at + 1);
    let from = if alone(&head[above..line]) { above } else { line };
    let words: Vec<Range<usize>> = split(&head[from..], offset + from).collect();
    for (place, word) in words.iter().enumerate().rev().take(BEFORE) {
        let (range, _) = value(head, word.start - offset);
        let last = place.checked_sub(1).map(|last| text[words[last].clone()].to_lowercase());
        let named = last.is_some_and(|last| is_before_name(&last) || NETWORK.has(last.trim_end_matches(':')));
        if offset + range.end <= word.end && is_striking(&head[range.clone()]) && !named {
            return Some(offset + range.start..offset + range.end);
        }
        // `Quail9Sparrow is a bad password` is about passwords.
        let spelled = &text[word.clone()];
        if spelled.ends_with(['.', '!', ';', '?']) || INDEFINITE.has(&spelled.to_lowercase()) {
            return None;
        }
    }
    None
}

/// Whether a word looks like a password: letters with digits or signs, and nothing else that is written so.
pub(super) fn is_striking(word: &str) -> bool {
    let count = |test: fn(char) -> bool| word.chars().filter(|c| test(*c)).count();
    let (letters, digits) = (count(char::is_alphabetic), count(|c| c.is_ascii_digit()));
    let inner = word.trim_matches(|c: char| !c.is_alphanumeric());
    let signs = inner.chars().filter(|c| "!@#$%^&*+?~".contains(*c)).count();
    let capital = count(char::is_uppercase);
    let length = word.chars().count();
    let plain = word.starts_with(char::is_alphanumeric)
        && !word.contains(['/', '\\', '(', ')', '<', '>', '{', '}', '[', ']', '=', '|', '"', ':', '`', ','])
        && count(|c| c == '.') <= 1;
    let commit = length >= 7 && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    let number_first = word.trim_start_matches(|c: char| c.is_ascii_digit() || ".,-".contains(c));
    let measure = number_first.len() < word.len() && number_first.chars().count() <= 4;
    // Capitals and a number are an order's or a flight's, unless they make a word.
    let cased = word.chars().any(|c| c.is_alphabetic() && !c.is_uppercase()) || letters >= 6 && !word.contains('-');
    plain
        && !is_file(word)
        && !commit
        && !measure
        && cased
        && !is_product(word)
        && (6..=LONGEST).contains(&length)
        && !is_issued(word)
        && letters >= 3
        && (digits >= 2 || digits == 1 && (signs > 0 || capital > 0 && length >= 8) || signs > 0 && capital > 0)
}

/// A name with a version: `sha256`, `win10`, `1Password`.
pub(super) fn is_product(word: &str) -> bool {
    let stem = word.trim_start_matches(|c: char| !c.is_alphabetic());
    PRODUCT.has(&stem.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default().to_lowercase())
}

/// A file or a host: `report2.pdf`, `mybank24.com`.
pub(super) fn is_file(word: &str) -> bool {
    static ENDING: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "file_ending"));
    word.rsplit_once('.').is_some_and(|(_, ending)| ENDING.has(ending))
}

/// Whether a word, in small letters, goes before the name of an account.
pub(super) fn is_before_name(word: &str) -> bool {
    NAMED.has(word.trim_end_matches(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_told_from_other_names_with_numbers() {
        for (word, expected) in [
            ("Quail9Sparrow", true),
            ("kittens77", true),
            ("Tr0ut_harbour", true),
            ("Chai@garam21", true),
            ("KITTENS77", true),
            ("kittens", false),
            ("20231105", false),
            ("iphone15", false),
            ("sha256sum", false),
            ("9f3c2ab71e", false),
            ("INV-20241", false),
            ("1500ms", false),
            ("mybank24.com", false),
            ("src/page24b", false),
            ("key=value24", false),
        ] {
            assert_eq!(is_striking(word), expected, "{word}");
        }
    }
}
