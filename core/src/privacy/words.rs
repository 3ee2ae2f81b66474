//! Where words begin and end, and bounded stretches around a place.

use std::ops::Range;

/// Letters of scripts that are written without spaces, or that glue endings to foreign words (Hangul): a number or a
/// Latin word beside one of them stands alone.
pub(super) fn unspaced(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}'
        | '\u{20000}'..='\u{3ffff}')
}

/// Whether a character continues a word that it stands beside.
pub(super) fn joins(c: char) -> bool {
    c == '_' || c.is_alphanumeric() && !unspaced(c)
}

pub(super) fn char_before(text: &str, at: usize) -> Option<char> {
    text[..at].chars().next_back()
}

pub(super) fn char_after(text: &str, at: usize) -> Option<char> {
    text[at..].chars().next()
}

/// Whether a word can begin at `at`: nothing before it goes on into it.
pub(super) fn starts_word(text: &str, at: usize) -> bool {
    !char_before(text, at).is_some_and(joins)
}

/// Whether a word can end at `at`.
pub(super) fn ends_word(text: &str, at: usize) -> bool {
    !char_after(text, at).is_some_and(joins)
}

/// At most `bytes` bytes of the text from `at` on.
pub(super) fn after(text: &str, at: usize, bytes: usize) -> &str {
    let mut end = text.len().min(at + bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[at..end]
}

/// At most `bytes` bytes of the text before `at`.
pub(super) fn before(text: &str, at: usize, bytes: usize) -> &str {
    let mut start = at.saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..at]
}

/// The words of a stretch: runs without white space or commas, as ranges of `text`.
pub(super) fn split(text: &str, offset: usize) -> impl DoubleEndedIterator<Item = Range<usize>> + Clone {
    let base = text.as_ptr() as usize;
    text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()).map(move |word| {
        let start = offset + (word.as_ptr() as usize - base);
        start..start + word.len()
    })
}
