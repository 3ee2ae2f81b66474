//! Words as Unicode has them (UAX #29): where a begun one starts, and what goes on with one.
//!
//! Scripts without spaces (Chinese, Japanese kana but katakana, Thai, Lao, Khmer, Burmese) have a boundary at each
//! letter there, for want of a dictionary. A run of such letters counts as one word here as far as one token spells it:
//! what a vocabulary joins is what is often written together.

use unicode_segmentation::UnicodeSegmentation;

/// Texts whose ends join to what follows in different ways: a letter, a Hebrew letter, a digit, a katakana, a connector,
/// anything else.
const ENDS: [&str; 6] = ["a", "א", "1", "ア", "_", "今"];

/// Characters that are read to tell whether a sentence begins.
const NEAR: usize = 64;

/// How the end of a word joins to what follows: one of [`ENDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End(usize);

/// What a following text does to a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joint {
    /// It begins something else.
    Ends,
    /// It goes on with the word.
    Joins,
    /// An apostrophe or the like: what follows it decides.
    Open,
}

/// Whether there is no word boundary between two texts.
fn joined(before: &str, after: &str) -> bool {
    let both = [before, after].concat();
    both.split_word_bound_indices().all(|(start, _)| start != before.len())
}

/// A mark inside words that ends a sentence or a clause far more often.
fn is_stop(c: char) -> bool {
    matches!(c, '.' | ':' | ',' | ';' | '․' | '．' | '：' | '﹒' | '﹕' | '︓')
}

/// An apostrophe, a middle dot or the like: part of a word between two letters only.
fn is_open(c: char) -> bool {
    !is_stop(c) && !c.is_alphanumeric() && !joined("a", c.encode_utf8(&mut [0; 4])) && joined("a", &format!("{c}a"))
}

/// Whether a mark or a joiner belongs to whatever stands before it.
fn is_extending(c: char) -> bool {
    joined("今", c.encode_utf8(&mut [0; 4]))
}

impl End {
    /// All there are.
    pub const COUNT: usize = ENDS.len();

    /// How `text` ends.
    pub fn of(text: &str) -> Self {
        let Some(last) = text.chars().rev().find(|&c| !is_extending(c)) else { return Self(5) };
        let last = last.to_string();
        Self(match () {
            () if joined(&last, "a") && joined(&last, "ア") => 4,
            () if joined(&last, "a") && joined(&last, "\"א") => 1,
            () if joined(&last, "a") && joined(&last, ".1") => 2,
            () if joined(&last, "a") => 0,
            () if joined(&last, "ア") => 3,
            () => 5,
        })
    }

    /// What `next` does to a word of each end.
    pub fn joints(next: &str) -> [Joint; Self::COUNT] {
        let lone_mark = next.chars().count() == 1 && next.chars().all(is_open);
        ENDS.map(|end| match () {
            () if joined(end, next) => Joint::Joins,
            () if lone_mark && joined(end, &format!("{next}{end}")) => Joint::Open,
            () => Joint::Ends,
        })
    }

    /// The place of this end among [`End::joints`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// Whether a piece between two boundaries is a word, or part of one.
pub(crate) fn is_word(piece: &str) -> bool {
    piece.chars().any(char::is_alphanumeric)
}

/// Whether the letters of a word have boundaries between them.
fn is_unspaced(word: &str) -> bool {
    // Vowel signs are alphabetic too.
    let last = word.chars().rev().find(|&c| c.is_alphanumeric() && !is_extending(c));
    last.is_some_and(|c| !joined(c.encode_utf8(&mut [0; 4]), c.encode_utf8(&mut [0; 4])))
}

/// The bytes of the word that `text` begins with; 0 where it begins with none.
pub(crate) fn first_word(text: &str) -> usize {
    let mut pieces = text.split_word_bounds();
    let Some(first) = pieces.next().filter(|piece| is_word(piece)) else { return 0 };
    let rest = pieces.take_while(|piece| is_unspaced(first) && is_word(piece) && is_unspaced(piece));
    first.len() + rest.map(str::len).sum::<usize>()
}

/// The bytes of `text` up to the end of its `count`-th word, where it has more words than that.
pub(crate) fn first_words(text: &str, count: usize) -> Option<usize> {
    let mut words = text.split_word_bound_indices().filter(|(_, piece)| is_word(piece));
    let (at, last) = words.nth(count.checked_sub(1)?)?;
    words.next().map(|_| at + last.len())
}

/// Where the word that is begun at the end of `text` starts: at its end where none is. What is written without spaces is
/// never begun: each letter may be whole.
pub(crate) fn begun_word(text: &str) -> usize {
    let start = text.char_indices().rev().find(|(_, c)| c.is_whitespace()).map_or(0, |(at, c)| at + c.len_utf8());
    let tail = &text[start..];
    // An apostrophe at the end joins if a letter follows.
    let open = tail.chars().next_back().is_some_and(is_open);
    let probed = if open { format!("{tail}a") } else { tail.to_owned() };
    match probed.split_word_bound_indices().next_back() {
        Some((at, piece)) if at < tail.len() && is_word(piece) && !is_unspaced(piece) => start + at,
        _ => text.len(),
    }
}

/// Whether a word after `text` begins a sentence.
pub(crate) fn begins_sentence(text: &str) -> bool {
    // Far enough back for what a stop needs to be seen as one.
    let near = text.char_indices().rev().nth(NEAR).map_or(text, |(at, _)| &text[at..]);
    let probed = format!("{near}A");
    probed.split_sentence_bound_indices().last().is_none_or(|(start, _)| start == near.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_begun_word_starts_at_its_boundary() {
        for (text, word) in [
            ("", ""),
            ("I am go", "go"),
            ("I am ", ""),
            ("I am.", ""),
            ("don't", "don't"),
            ("don'", "don'"),
            ("l’été d’ét", "d’ét"),
            ("'", ""),
            ("(hel", "hel"),
            ("well-kn", "kn"),
            ("a_b", "a_b"),
            ("at 10", "10"),
            ("col·la", "col·la"),
            ("मैं घर जा", "जा"),
            ("नमस्", "नमस्"),
            ("صَبَا", "صَبَا"),
            ("안녕하", "안녕하"),
            ("コンピュ", "コンピュ"),
            ("今天", ""),
            ("สวัส", ""),
            ("สวั", ""),
            ("これ", ""),
            ("hi 😀", ""),
            ("e\u{301}te\u{301}", "e\u{301}te\u{301}"),
            ("one\ntw", "tw"),
        ] {
            assert_eq!(&text[begun_word(text)..], word, "{text:?}");
        }
    }

    #[test]
    fn what_follows_a_word_joins_it_or_not() {
        use Joint::{Ends, Joins, Open};
        for (word, next, joint) in [
            ("go", "ing", Joins),
            ("go", " ", Ends),
            ("go", ".", Ends),
            ("don", "'t", Joins),
            ("don", "'", Open),
            ("don", "’", Open),
            ("dogs", "',", Ends),
            ("dogs", "' ", Ends),
            ("कर", "ना", Joins),
            ("क", "्", Joins),
            ("e", "\u{301}", Joins),
            ("1", "0", Joins),
            ("10", ".5", Joins),
            ("10", "th", Joins),
            ("コン", "ピ", Joins),
            ("コン", "a", Ends),
            ("今", "天", Ends),
            ("ก", "ข", Ends),
            ("ก", "\u{e31}", Joins),
            ("שלום", "ים", Joins),
            ("a_", "b", Joins),
            ("go", "-", Ends),
            ("go", "😀", Ends),
        ] {
            assert_eq!(End::joints(next)[End::of(word).index()], joint, "{word:?} {next:?}");
        }
    }

    #[test]
    fn the_first_word_of_a_text_ends_at_its_boundary() {
        for (text, word) in [
            ("going", "going"),
            ("don't know", "don't"),
            ("it's.", "it's"),
            (".", ""),
            ("😀", ""),
            ("天气很", "天气很"),
            ("天气,", "天气"),
            ("สวัสดี", "สวัสดี"),
            ("ทำ1", "ทำ"),
        ] {
            assert_eq!(&text[..first_word(text)], word, "{text:?}");
        }
    }

    #[test]
    fn sentences_begin_after_stops_and_lines() {
        for (text, begins) in [
            ("", true),
            ("I am ", false),
            ("It rained. ", true),
            ("Really? ", true),
            ("see you, ", false),
            ("one\n", true),
            ("。", true),
        ] {
            assert_eq!(begins_sentence(text), begins, "{text:?}");
        }
    }
}
