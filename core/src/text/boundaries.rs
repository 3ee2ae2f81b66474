//! Where a text may be cut: Unicode's sentences, words and characters (UAX #29).

use unicode_segmentation::UnicodeSegmentation;

/// A word that begins no nearer than this, in bytes, is none to wait for: scripts without spaces run on.
const NEAR: usize = 64;

/// A place where a text may be cut: anywhere from the end of what is written before to the beginning of what comes
/// after, which white space keeps apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    pub from: usize,
    pub to: usize,
}

/// The places between two sentences, in order.
pub(crate) fn between_sentences(text: &str) -> impl Iterator<Item = Gap> {
    let mut sentences = text.split_sentence_bound_indices();
    // As it is, it subtracts below zero where it is asked how many are left and none is.
    gaps(text, std::iter::from_fn(move || sentences.next()))
}

/// The places before each word but the first, in order.
pub(crate) fn between_words(text: &str) -> impl Iterator<Item = Gap> {
    gaps(text, text.unicode_word_indices())
}

fn gaps<'a>(text: &'a str, parts: impl Iterator<Item = (usize, &'a str)>) -> impl Iterator<Item = Gap> {
    let gap = |(to, _): (usize, _)| Gap { from: text[..to].trim_end().len(), to };
    // At the beginning there is nothing to cut off.
    parts.map(gap).filter(|gap| gap.from > 0)
}

/// The first byte at or after `from` where a word begins, or a character where no word begins near; the text's end
/// where there is neither.
pub(crate) fn next_start(text: &str, from: usize) -> usize {
    let word = text.unicode_word_indices().map(|(at, _)| at).find(|&at| at >= from);
    let character = || text.grapheme_indices(true).map(|(at, _)| at).find(|&at| at >= from);
    word.filter(|&at| at - from <= NEAR).or_else(character).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_sentences_in_any_script() {
        for (text, expected) in [
            ("See you. Ta!  Bye", vec!["See you.", " Ta!", "  Bye"]),
            ("one\ntwo", vec!["one", "\ntwo"]),
            ("मैं आ रहा हूँ। तुम कहाँ हो? घर", vec!["मैं आ रहा हूँ।", " तुम कहाँ हो?", " घर"]),
            ("今日は。明日は?", vec!["今日は。", "明日は?"]),
            ("no end", vec!["no end"]),
            ("  ", vec!["  "]),
            ("", vec![""]),
        ] {
            let ends = between_sentences(text).map(|gap| gap.from);
            let cuts: Vec<usize> = std::iter::once(0).chain(ends).chain([text.len()]).collect();
            let parts: Vec<&str> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
            assert_eq!(parts, expected);
        }
    }

    #[test]
    fn a_cut_text_begins_with_a_word_or_a_character() {
        let thai = "สวัสดี".repeat(40);
        for (text, from, rest) in [
            ("one two three", 0, "one two three"),
            ("one two three", 1, "two three"),
            ("one two three", 4, "two three"),
            ("one two three", 9, "hree"),
            ("one", 1, "ne"),
            ("é 日本", 1, "日本"),
            ("👩‍👩‍👧👍", 3, "👍"),
            (&thai, 1, &thai["ส".len()..]),
        ] {
            let at = next_start(text, from);
            assert_eq!(&text[at..], rest, "{text:?} from {from}");
        }
    }
}
