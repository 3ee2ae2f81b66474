//! What is said to be the value of a keyword: `password: x`, `the password for the router is x`, `password x`, and
//! `x is the password`.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::lexicon::{GRAMMAR, Keyword, Set, any_of};
use super::words::{after, before, char_before, split, unspaced};

/// How far after its keyword a value may begin or end, in bytes.
const REACH: usize = 240;

/// How many words a sentence may have between a keyword and its value.
const WORDS: usize = 10;

/// How many of them may be unknown.
const UNKNOWN: usize = 3;

/// The longest word that an equals sign may end, in bytes.
const LONGEST_NAME: usize = 16;

/// How the text ties a value to its keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tie {
    /// `keyword: value`, `keyword = value`.
    Assigned,
    /// `keyword is value`, in some languages.
    Stated,
    /// `keyword value`.
    Beside,
}

/// What may be the value of a keyword.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a> {
    pub text: &'a str,
    pub tie: Tie,
    /// It stands between quotation marks.
    pub quoted: bool,
}

static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^(?:\\?["'`”»\])]){0,2}\s{0,3}(?::=|=>|->|[:=：→⇒➜])\s{0,3}"#).expect("a constant pattern")
});

static GLUED: LazyLock<Regex> = LazyLock::new(|| {
    let copulas = any_of(GRAMMAR, &["copula_glued"]);
    Regex::new(&format!(r"^\s{{0,2}}{copulas}\s{{0,2}}")).expect("a constant pattern")
});

static COPULA: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "copula"));
static FILLER: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "filler"));
static PREPOSITION: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "preposition"));
static THING: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "thing"));
static MODAL: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "modal"));
static AS: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "as"));

/// Whether a word, in small letters, says that the value of such a keyword follows.
pub(super) fn is_copula(word: &str, languages: &[&str]) -> bool {
    static OWN: LazyLock<Vec<(&str, Set)>> = LazyLock::new(|| {
        let languages = super::lexicon::rows(GRAMMAR).filter(|[_, kind, _]| *kind == "copula_own");
        languages.map(|[language, kind, _]| (language, Set::of(GRAMMAR, kind, language))).collect()
    });
    COPULA.has(word) || OWN.iter().any(|(language, words)| words.has(word) && languages.contains(language))
}

/// The stretch that follows the keyword and that `accept` takes for its value.
pub(super) fn value_after(
    text: &str, keyword: &Keyword<'_>, accept: impl Fn(Value<'_>) -> bool,
) -> Option<Range<usize>> {
    let at = keyword.range.end;
    let tail = after(text, at, REACH);
    let taken = |from: usize, tie: Tie| {
        let (mut value, quoted) = value(tail, from);
        if opened_by(text, keyword.range.start, &['?', '&']) {
            value.end = tail[value.clone()].find(['&', '#']).map_or(value.end, |end| value.start + end);
        }
        let text = &tail[value.clone()];
        accept(Value { text, tie, quoted }).then_some(at + value.start..at + value.end)
    };
    if let Some(sign) = ASSIGNED.find(tail) {
        return taken(sign.end(), Tie::Assigned);
    }
    // `<password>x</password>`
    if tail.starts_with('>') && opened_by(text, keyword.range.start, &['<']) {
        return taken(1, Tie::Assigned);
    }
    if let Some(copula) = GLUED.find(tail) {
        return taken(copula.end(), Tie::Stated);
    }
    if char_before(text, at).is_some_and(unspaced) && tail.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return taken(0, Tie::Beside);
    }
    let line = tail.lines().next().unwrap_or_default();
    let found = match line.strip_prefix("'s ").or_else(|| line.strip_prefix("’s ")) {
        Some(rest) => in_sentence(line, line.len() - rest.len(), Tie::Stated, keyword, accept),
        // Any letter goes on with the keyword, which then is another word.
        None if line.starts_with([' ', '\t', '\u{a0}', ',']) => in_sentence(line, 0, Tie::Beside, keyword, accept),
        None => None,
    }?;
    Some(at + found.start..at + found.end)
}

/// The value among the words that follow the keyword in its sentence.
fn in_sentence(
    line: &str, from: usize, mut tie: Tie, keyword: &Keyword<'_>, accept: impl Fn(Value<'_>) -> bool,
) -> Option<Range<usize>> {
    let words: Vec<Range<usize>> = split(&line[from..], from).take(WORDS).collect();
    let lower = |place: usize| words.get(place).map(|word| line[word.clone()].to_lowercase());
    // Whether what the value is for has been begun, as in `password for the router`.
    let (mut qualified, mut unknown) = (false, 0);
    for (place, word) in words.iter().enumerate() {
        let spelled = lower(place)?;
        // The padding of a key is no sign.
        let named = spelled.len() <= LONGEST_NAME;
        let bare = spelled.trim_end_matches(|c| matches!(c, ':' | '：') || c == '=' && named);
        let sign = bare.len() < spelled.len();
        if bare.trim_start_matches(['-', '–', '—', '→', '>']).is_empty() {
            tie = match tie {
                Tie::Beside if place > 0 && !qualified => Tie::Stated,
                _ if sign || bare.contains(['→', '>']) => Tie::Assigned,
                tie => tie,
            };
            continue;
        }
        if tie != Tie::Assigned && is_copula(bare, keyword.languages) {
            tie = if sign { Tie::Assigned } else { Tie::Stated };
            continue;
        }
        let next = lower(place + 1).unwrap_or_default();
        let leads = tie == Tie::Beside && (is_copula(next.trim_end_matches(':'), keyword.languages) || next == ":");
        if !sign && !leads && (tie != Tie::Beside || place == 0 || qualified) {
            let (value, quoted) = value(line, word.start);
            if accept(Value { text: &line[value.clone()], tie, quoted }) {
                return Some(value);
            }
        }
        if !sign && spelled.ends_with(['.', '!', '?', ';']) {
            return None;
        }
        match tie {
            _ if sign => tie = if qualified || tie == Tie::Stated { Tie::Assigned } else { Tie::Stated },
            _ if FILLER.has(bare) => qualified = true,
            Tie::Beside if PREPOSITION.has(bare) || THING.has(bare) => qualified = true,
            Tie::Beside if leads && place == 0 && !MODAL.has(bare) => {}
            Tie::Beside if qualified && unknown < UNKNOWN => unknown += 1,
            _ => return None,
        }
    }
    None
}

/// The value that stands before its keyword and that `accept` takes: `x is my password`, `use x as the password`.
pub(super) fn value_before(
    text: &str, keyword: &Keyword<'_>, accept: impl Fn(Value<'_>) -> bool,
) -> Option<Range<usize>> {
    // More words make another noun: `… is password protected`, `… is the password hash`.
    let tail = after(text, keyword.range.end, 32);
    let next = tail.split_whitespace().next().unwrap_or_default().to_lowercase();
    if tail.starts_with(' ') && !PREPOSITION.has(&next) && !FILLER.has(&next) || tail.starts_with(['-', '\'', ':']) {
        return None;
    }
    let head = before(text, keyword.range.start, 128);
    let offset = keyword.range.start - head.len();
    let line = head.rfind('\n').map_or(0, |at| at + 1);
    let words: Vec<Range<usize>> = split(&head[line..], offset + line).collect();
    for (between, word) in words.iter().rev().enumerate().take(4) {
        let lower = text[word.clone()].to_lowercase();
        if AS.has(&lower) || between > 0 && is_copula(&lower, keyword.languages) {
            let end = text[..word.start].trim_end_matches([' ', ',']).len();
            let (start, end, quoted) = value_ending(&text[offset + line..end], offset + line)?;
            return accept(Value { text: &text[start..end], tie: Tie::Beside, quoted }).then_some(start..end);
        }
        if !lower.chars().all(|c| c.is_alphabetic() || matches!(c, '-' | '\'')) {
            return None;
        }
    }
    None
}

/// What is quoted, or without white space, at the end of a stretch.
fn value_ending(stretch: &str, offset: usize) -> Option<(usize, usize, bool)> {
    let close = stretch.chars().next_back()?;
    if let Some((open, _)) = QUOTES.iter().find(|(_, closing)| closing.contains(close)) {
        let inner = &stretch[..stretch.len() - close.len_utf8()];
        let start = inner.rfind(*open)? + open.len_utf8();
        return Some((offset + start, offset + inner.len(), true));
    }
    let start = stretch.rfind(|c: char| c.is_whitespace() || c == ',').map_or(0, |at| at + 1);
    stretch.is_char_boundary(start).then_some((offset + start, offset + stretch.len(), false))
}

/// What stands before the identifier that a keyword ends: `?token=x&page=2`, `<password>x</password>`.
fn opened_by(text: &str, start: usize, signs: &[char]) -> bool {
    let name = before(text, start, 32).trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    name.ends_with(signs)
}

/// Opening quotation marks, each with those that close it.
const QUOTES: [(char, &str); 10] = [
    ('"', "\""),
    ('\'', "'"),
    ('`', "`"),
    ('“', "”"),
    ('„', "“”\""),
    ('‘', "’"),
    ('«', "»"),
    ('»', "«"),
    ('「', "」"),
    ('『', "』"),
];

/// The value that begins at `start`, and whether it is quoted: what is between quotation marks, or what has no white
/// space, comma or semicolon, without the punctuation of the sentence that it ends.
fn value(text: &str, start: usize) -> (Range<usize>, bool) {
    let rest = &text[start..];
    let first = rest.chars().next();
    if let Some((open, close)) = QUOTES.iter().find(|(open, _)| first == Some(*open)) {
        let inner = &rest[open.len_utf8()..];
        let end = inner.find(|c| close.contains(c) || c == '\n').filter(|end| !inner[*end..].starts_with('\n'));
        // Without its end it is an apostrophe.
        if let Some(end) = end {
            let quoted = inner[..end].trim();
            let start = start + open.len_utf8() + (inner[..end].len() - inner[..end].trim_start().len());
            return (start..start + quoted.len(), true);
        }
    }
    let end = rest.find(|c: char| c.is_whitespace() || unspaced(c) || ",;".contains(c)).unwrap_or(rest.len());
    let end = rest[..end].find("</").unwrap_or(end);
    let trimmed = rest[..end].trim_end_matches(|c| ".:)]}>\"'?»”`".contains(c));
    (start..start + trimmed.len(), false)
}
