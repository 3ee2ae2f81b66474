//! What is said to be the value of a keyword: `password: x`, `the password for the router is x`, `password x`, and
//! `x is the password`.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::lexicon::{GRAMMAR, Keyword, Set, any_of};
use super::striking::is_before_name;
use super::words::{after, before, char_before, split, unspaced};

/// How far after its keyword a value may begin or end, in bytes.
const REACH: usize = 240;

/// How many words a sentence may have between a keyword and its value.
const WORDS: usize = 10;

/// How many of them may be unknown.
const UNKNOWN: usize = 3;

/// How many letters of writing without spaces may stand between.
const GLUED_WORDS: usize = 6;

/// How many of them may end a glued copula.
const GLUED_ENDING: usize = 3;

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
    /// How many words of no list stand between, without a preposition that would say what the keyword is for.
    pub unknown: usize,
}

static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^(?:\\?["'`”»\])]){0,2}\s{0,3}(?::=|=>|->|[:=：→⇒➜])\s{0,3}"#).expect("a constant pattern")
});

static GLUED: LazyLock<Regex> = LazyLock::new(|| {
    let copulas = any_of(GRAMMAR, &["copula_glued"]);
    Regex::new(&format!(r"^\s{{0,2}}{copulas}\s{{0,2}}")).expect("a constant pattern")
});

static COPULA: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "copula"));
static FINAL: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "copula_final"));
static FILLER: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "filler"));
static PREPOSITION: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "preposition"));
static THING: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "thing"));
static MODAL: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "modal"));
static ARTICLE: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "article"));
static AS: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "as"));

/// Whether a word, in small letters, says that the value of such a keyword follows.
pub(super) fn is_copula(word: &str, languages: &[&str]) -> bool {
    static OWN: LazyLock<Vec<(&str, Set)>> = LazyLock::new(|| {
        let languages = super::lexicon::rows(GRAMMAR).filter(|[_, kind, _]| *kind == "copula_own");
        languages.map(|[language, kind, _]| (language, Set::of(GRAMMAR, kind, language))).collect()
    });
    COPULA.has(word)
        || FINAL.has(word)
        || OWN.iter().any(|(language, words)| words.has(word) && languages.contains(language))
}

/// The stretch that follows the keyword and that `accept` takes for its value.
pub(super) fn value_after(
    text: &str,
    keyword: &Keyword<'_>,
    accept: impl Fn(Value<'_>) -> bool,
) -> Option<Range<usize>> {
    let at = keyword.range.end;
    let tail = after(text, at, REACH);
    let taken = |from: usize, tie: Tie| {
        let (mut value, quoted) = value(tail, from);
        if opened_by(text, keyword.range.start, &['?', '&']) {
            value.end = tail[value.clone()].find(['&', '#']).map_or(value.end, |end| value.start + end);
        }
        let text = &tail[value.clone()];
        accept(Value { text, tie, quoted, unknown: 0 }).then_some(at + value.start..at + value.end)
    };
    if let Some(sign) = ASSIGNED.find(tail) {
        // `Pass::Kind` is a path of code.
        let path = sign.as_str() == ":" && tail[sign.end()..].starts_with(':');
        return if path { None } else { taken(sign.end(), Tie::Assigned) };
    }
    // `<password>x</password>`
    if tail.starts_with('>') && opened_by(text, keyword.range.start, &['<']) {
        return taken(1, Tie::Assigned);
    }
    if let Some(copula) = GLUED.find(tail) {
        let ending = tail[copula.end()..].chars().take(GLUED_ENDING).take_while(|c| unspaced(*c)).map(char::len_utf8);
        return taken(copula.end() + ending.sum::<usize>(), Tie::Stated);
    }
    // What a colon announces may stand on the next line.
    let first = tail.lines().next().unwrap_or_default();
    let announced = first.trim_end().ends_with([':', '：']);
    let second = || tail.match_indices('\n').nth(1).map_or(tail.len(), |(at, _)| at);
    let line = if announced { &tail[..second()] } else { first };
    if char_before(text, at).is_some_and(unspaced) {
        // What the keyword is for, or what happened to it, and then a value in another writing.
        let words = line.chars().take(GLUED_WORDS).take_while(|c| unspaced(*c)).map(char::len_utf8).sum();
        let spaces = line[words..].len() - line[words..].trim_start().len();
        if line[words + spaces..].starts_with(|c: char| c.is_ascii_alphanumeric()) && (words > 0 || spaces == 0) {
            return taken(words + spaces, if words == 0 { Tie::Stated } else { Tie::Beside });
        }
    }
    let found = match line.strip_prefix("'s ").or_else(|| line.strip_prefix("’s ")) {
        Some(rest) => in_sentence(line, line.len() - rest.len(), Tie::Stated, keyword, accept),
        // Any letter goes on with the keyword, which then is another word.
        None if line.trim_start_matches('?').starts_with(' ') && line.starts_with('?') => {
            in_sentence(line, line.len() - line.trim_start_matches('?').len(), Tie::Stated, keyword, accept)
        }
        None if line.starts_with([' ', '\t', '\u{a0}', ',']) => in_sentence(line, 0, Tie::Beside, keyword, accept),
        None => None,
    }?;
    Some(at + found.start..at + found.end)
}

/// The value among the words that follow the keyword in its sentence.
fn in_sentence(
    line: &str,
    from: usize,
    mut tie: Tie,
    keyword: &Keyword<'_>,
    accept: impl Fn(Value<'_>) -> bool,
) -> Option<Range<usize>> {
    let words: Vec<Range<usize>> = split(&line[from..], from).take(WORDS).collect();
    let lower = |place: usize| words.get(place).map(|word| line[word.clone()].to_lowercase());
    // Whether what the value is for has been begun, as in `password for the router`.
    let (mut qualified, mut filled) = (false, false);
    let (mut unknown, mut purpose) = (0, 0);
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
            qualified = true;
            continue;
        }
        if tie != Tie::Assigned && is_copula(bare, keyword.languages) {
            tie = if sign { Tie::Assigned } else { Tie::Stated };
            continue;
        }
        let ties =
            |word: &String| is_copula(word, keyword.languages) && !FINAL.has(word) || word.ends_with([':', '：']);
        let leads = tie == Tie::Beside && lower(place + 1).is_some_and(|next| ties(&next));
        let names = tie == Tie::Beside && place > 0 && lower(place - 1).is_some_and(|last| is_before_name(&last));
        if !sign && !leads && !names && (tie != Tie::Beside || place == 0 || qualified) {
            let opened = usize::from(spelled.starts_with('(') && spelled.ends_with(')'));
            let (value, quoted) = value(line, word.start + opened);
            if accept(Value { text: &line[value.clone()], tie, quoted, unknown }) {
                return Some(value);
            }
        }
        if spelled.ends_with(['.', '!', ';']) {
            return None;
        }
        let stops = spelled.ends_with('?');
        let (known, filling) = (PREPOSITION.has(bare) || THING.has(bare), FILLER.has(bare));
        match tie {
            // A question, then its answer.
            Tie::Beside if stops && place < UNKNOWN => tie = Tie::Stated,
            _ if stops => return None,
            _ if sign => tie = if qualified || tie == Tie::Stated { Tie::Assigned } else { Tie::Stated },
            Tie::Beside if known || filling => qualified = true,
            Tie::Stated if filling || ARTICLE.has(bare) || filled && known => {}
            Tie::Beside if leads && place == 0 && !MODAL.has(bare) => unknown += 1,
            // `password my brother's router: x`
            Tie::Beside if place == 0 && !MODAL.has(bare) && lower(2).is_some_and(|word| word.ends_with(':')) => {
                unknown += 1
            }
            Tie::Beside if place == 1 && unknown == 1 && leads => unknown += 1,
            Tie::Beside if qualified && purpose < UNKNOWN => purpose += 1,
            _ => return None,
        }
        filled = filling;
    }
    None
}

/// The value that stands before its keyword and that `accept` takes: `x is my password`, `use x as the password`.
pub(super) fn value_before(
    text: &str,
    keyword: &Keyword<'_>,
    accept: impl Fn(Value<'_>) -> bool,
) -> Option<Range<usize>> {
    // More words make another noun: `… is password protected`, `… is the password hash`.
    let tail = after(text, keyword.range.end, 32);
    let next = tail.split_whitespace().next().unwrap_or_default().to_lowercase();
    if tail.starts_with(' ') && !PREPOSITION.has(&next) && !FILLER.has(&next) || tail.starts_with(['-', '\'', ':']) {
        return None;
    }
    let head = before(text, keyword.range.start, 128);
    let offset = keyword.range.start - head.len();
    let line = offset + head.rfind('\n').map_or(0, |at| at + 1);
    let ending_at = |end: usize, tie: Tie| {
        let (range, quoted) = value_ending(text, line..line + text[line..end].trim_end_matches([' ', ',']).len())?;
        accept(Value { text: &text[range.clone()], tie, quoted, unknown: 0 }).then_some(range)
    };
    // `x (password for the router)`
    if let Some(open) = text[line..keyword.range.start].rfind('(') {
        let inside = &text[line + open + 1..keyword.range.start];
        let plain = inside.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | '-'));
        return if plain { ending_at(line + open, Tie::Stated) } else { None };
    }
    let words: Vec<Range<usize>> = split(&text[line..keyword.range.start], line).collect();
    for (between, word) in words.iter().rev().enumerate().take(5) {
        let lower = text[word.clone()].to_lowercase();
        if AS.has(&lower) {
            return ending_at(word.start, Tie::Assigned);
        }
        if between > 0 && is_copula(&lower, keyword.languages) {
            return ending_at(word.start, Tie::Stated);
        }
        if !lower.chars().all(|c| c.is_alphabetic() || matches!(c, '-' | '\'')) {
            // `is x still the password?`
            let asked = words.len().checked_sub(between + 2).map(|at| text[words[at].clone()].to_lowercase());
            let asked = between > 0 && asked.is_some_and(|word| is_copula(&word, keyword.languages));
            return if asked { ending_at(word.end, Tie::Stated) } else { None };
        }
    }
    None
}

/// What is quoted, or without white space, at the end of a stretch.
fn value_ending(text: &str, stretch: Range<usize>) -> Option<(Range<usize>, bool)> {
    let close = text[stretch.clone()].chars().next_back()?;
    if let Some((open, _)) = QUOTES.iter().find(|(_, closing)| closing.contains(close)) {
        let end = stretch.end - close.len_utf8();
        let start = stretch.start + text[stretch.start..end].rfind(*open)? + open.len_utf8();
        return Some((start..end, true));
    }
    Some((split(&text[stretch.clone()], stretch.start).next_back()?, false))
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
pub(super) fn value(text: &str, start: usize) -> (Range<usize>, bool) {
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
