//! What is said to be the value of a keyword: `password: x`, `the password for the router is x`, `password x`.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::words::{after, listed, split, unspaced};

/// How far after its keyword a value may begin or end, in bytes.
const REACH: usize = 240;

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

static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^(?:\\?["'`”»\])]){0,2}\s{0,3}(?::=|=>|->|[:=：])\s{0,3}"#).expect("a constant pattern")
});

/// Copulas of languages that need no space around them.
static GLUED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s{0,2}(?:是|为|為|は|が|는|은|가)\s{0,2}").expect("a constant pattern"));

const COPULAS: &str =
    "is was be iz ist lautet war est c'est c’est es era è é e' jest är er adalah ialah itu это là הוא هو هي है";

/// Words that begin what a password is for.
const PREPOSITIONS: &str = "\
    for from used changed set now of on at in to code number für zum zur vom von des pour du de la del para per della do da voor van \
    til till för do od на от для к untuk için dal";

/// The stretch that follows the keyword ending at `at` and that `accept` takes for its value.
pub(super) fn value_after(text: &str, at: usize, accept: impl Fn(&str, Tie) -> bool) -> Option<Range<usize>> {
    let tail = after(text, at, REACH);
    for (pattern, tie) in [(&ASSIGNED, Tie::Assigned), (&GLUED, Tie::Stated)] {
        if let Some(sign) = pattern.find(tail) {
            let value = value(tail, sign.end());
            return accept(&tail[value.clone()], tie).then_some(at + value.start..at + value.end);
        }
    }
    // Any letter goes on with the keyword, which then is another word.
    if !tail.starts_with([' ', '\t', '\u{a0}']) {
        return None;
    }
    let line = tail.lines().next().unwrap_or_default();
    let (mut tie, mut qualified) = (Tie::Beside, false);
    for (place, word) in split(line, 0).take(7).enumerate() {
        let lower = line[word.clone()].to_lowercase();
        let bare = lower.trim_end_matches([':', '：']);
        if tie == Tie::Beside && listed(COPULAS, bare) {
            tie = Tie::Stated;
            continue;
        }
        let value = value(line, word.start);
        if (tie == Tie::Stated || place == 0 || qualified) && accept(&line[value.clone()], tie) {
            return Some(at + value.start..at + value.end);
        }
        match tie {
            Tie::Beside if bare.len() < lower.len() => tie = Tie::Assigned,
            Tie::Beside if place == 0 && listed(PREPOSITIONS, bare) => qualified = true,
            Tie::Beside if qualified && place < 4 => {}
            _ => return None,
        }
    }
    None
}

/// The value that begins at `start`: what is quoted, or what has no white space, comma or semicolon, without the
/// punctuation of the sentence that it ends.
fn value(text: &str, start: usize) -> Range<usize> {
    let rest = &text[start..];
    let quote = rest.chars().next().and_then(|c| match c {
        '"' | '\'' | '`' => Some((c, c)),
        '“' | '„' => Some((c, '”')),
        '«' => Some((c, '»')),
        '「' => Some((c, '」')),
        _ => None,
    });
    if let Some((open, close)) = quote {
        let start = start + open.len_utf8();
        // Without its end it is an apostrophe.
        if let Some(end) = text[start..].find([close, '\n']).filter(|end| text[start + end..].starts_with(close)) {
            return start..start + end;
        }
    }
    let end = rest.find(|c: char| c.is_whitespace() || unspaced(c) || ",;".contains(c)).unwrap_or(rest.len());
    let trimmed = rest[..end].trim_end_matches(|c| ".:)]}>\"'?»”`".contains(c));
    start..start + trimmed.len()
}
