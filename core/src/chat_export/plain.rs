//! Text without what a phone's locale adds to it: marks of direction, digits of other scripts, ways to write a letter.

use std::collections::HashMap;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;

/// Whether a character only says which way a text runs. Exports strew them in.
pub(super) fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Whether a character is one that the app puts before what it says itself.
pub(super) fn is_apps_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}')
}

/// A text without marks of direction.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| !is_direction(*c)).collect()
}

/// A person's name as names are compared: composed (NFC), with plain spaces, and without the `~` of those who are not
/// among the contacts.
pub(crate) fn name(written: &str) -> String {
    let letters = written.chars().filter(|c| !is_direction(*c)).map(|c| if c.is_whitespace() { ' ' } else { c });
    letters.nfc().collect::<String>().trim().trim_start_matches('~').trim().to_owned()
}

/// A phrase as phrases are compared: composed, in small letters, with plain spaces, without a full stop at its end.
pub(super) fn phrase(written: &str) -> String {
    let composed: String = plain(written).nfc().collect::<String>().to_lowercase();
    let words: Vec<&str> = composed.split_whitespace().collect();
    words.join(" ").trim_end_matches(['.', '。', '।', '۔', '!']).trim_end().to_owned()
}

/// The value of a decimal digit of any script.
pub(super) fn digit(c: char) -> Option<u8> {
    static DIGITS: LazyLock<HashMap<char, u8>> = LazyLock::new(|| {
        let rows = super::table::rows(include_str!("marks/digits.tsv"));
        rows.flat_map(|row| row[1].chars().zip(0..).collect::<Vec<_>>()).collect()
    });
    match c {
        '0'..='9' => Some(c as u8 - b'0'),
        _ if c.is_numeric() => DIGITS.get(&c).copied(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_any_script() {
        for (c, expected) in [
            ('7', Some(7)),
            ('٧', Some(7)),
            ('۴', Some(4)),
            ('९', Some(9)),
            ('৩', Some(3)),
            ('๖', Some(6)),
            ('０', Some(0)),
            ('²', None),
            ('Ⅳ', None),
            ('五', None),
            ('a', None),
        ] {
            assert_eq!(digit(c), expected, "{c}");
        }
    }

    #[test]
    fn names_and_phrases() {
        for (written, expected) in [
            ("Ange\u{301}lique", "Angélique"),
            ("~\u{202f}Ana K.", "Ana K."),
            ("\u{202a}+44\u{a0}7700\u{202c}", "+44 7700"),
            ("각", "각"),
        ] {
            assert_eq!(name(written), expected);
        }
        assert_eq!(phrase(" \u{200e}This  Message was deleted. "), "this message was deleted");
    }
}
