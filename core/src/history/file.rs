//! Reading files of what a person wrote, a row a line. A bad row costs one row: it is skipped, and its line is named.
//! What is said of a file names lines and keys, never the text.

use std::path::Path;

use serde::Serialize;

use super::row;
use super::sample::NewSample;
use crate::chat_export::refuse_export;
use crate::disk::text_file::{BadLine, each_line};
use crate::error::{Error, Result};

/// The longest line in bytes: the longest text and a context of the same length, each character escaped with six bytes.
const LONGEST_LINE: usize = 16 << 20;

const NOT_UTF8: &str = "not UTF-8";

/// Skipped rows that are named; the others are counted.
const NAMED: usize = 20;

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    /// The rows, in the file's order.
    pub samples: Vec<NewSample>,
    /// What was no row.
    pub skipped: Skipped,
}

/// The bad rows of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Skipped {
    /// How many there are.
    pub rows: u64,
    /// The first twenty of them.
    pub named: Vec<SkippedRow>,
}

/// A bad row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedRow {
    /// Its line in the file, from 1.
    pub line: u64,
    /// What is wrong with it, in words: of which key, and nothing of what is written there.
    pub why: String,
}

impl Skipped {
    fn add(&mut self, line: u64, why: String) {
        self.rows += 1;
        if self.named.len() < NAMED {
            self.named.push(SkippedRow { line, why });
        }
    }
}

/// Reads JSON lines: objects with `text` and optionally `context`, `id`, `timestamp`, `source`, `contact`, `conversation`,
/// `origin` and `incognito` (`true`: nothing of the line is kept). Other keys are ignored, and `null` is a key that is not
/// there.
///
/// An `origin` is `typed` (so is a text without one), `suggestion_edited`, `suggestion_accepted` or `suggestion_turned_down`;
/// only the first two are learned from. Any other name is kept as it is, and nothing is learned from it.
///
/// A `timestamp` is a number, bare or in a string, or ISO 8601 (UTC where it names no zone). A number counts from 1970,
/// and its size tells its unit: seconds below 10¹¹ (as milliseconds that would be March 1973), milliseconds below 10¹⁴,
/// microseconds below 10¹⁷, then nanoseconds, with a minus for what was before; a part of a second is dropped. A number
/// beyond the year 2199 in its unit is no time.
///
/// A row is bad where it is no such object, has a key twice, or holds in a key that is named here something else than it
/// should; where the history would refuse it (over 1 MiB of text); and where its line is no UTF-8 or over 16 MiB.
///
/// # Errors
/// When the file cannot be read, or holds bad rows only.
pub fn read_jsonl(path: &Path) -> Result<Rows> {
    read(path, row::parse, "write one JSON object a line, with a string \"text\"")
}

/// Reads one text a line that is not empty. A row is bad where it is no UTF-8 or longer than a text may be (1 MiB).
///
/// # Errors
/// As [`read_jsonl`]; `BadOption` when the file begins like an exported chat, in which others wrote, too:
/// [`chat_export`](crate::chat_export) reads one person's messages of it.
pub fn read_lines(path: &Path) -> Result<Rows> {
    refuse_export(path)?;
    read_every_line(path)
}

/// As [`read_lines`], whatever the file looks like.
///
/// # Errors
/// As [`read_jsonl`].
pub fn read_every_line(path: &Path) -> Result<Rows> {
    read(path, |line| Ok(NewSample::new(line.trim())), "write one text a line")
}

/// Reads the rows that `parse` makes of lines; `hint` is for a file with none.
fn read(path: &Path, parse: impl Fn(&str) -> Result<NewSample, String>, hint: &str) -> Result<Rows> {
    let mut rows = Rows::default();
    each_line(path, LONGEST_LINE, |number, line| {
        let sample = match line {
            Ok(line) if line.trim().is_empty() => return,
            Ok(line) => parse(line).and_then(|sample| sample.check().map(|()| sample)),
            Err(BadLine::NotUtf8) => Err(NOT_UTF8.into()),
            Err(BadLine::TooLong) => Err(format!("longer than {} MiB", LONGEST_LINE >> 20)),
        };
        match sample {
            Ok(sample) => rows.samples.push(sample),
            Err(why) => rows.skipped.add(number, why),
        }
    })?;
    match rows.skipped.named.first() {
        Some(SkippedRow { line, why }) if rows.samples.is_empty() => {
            let others = match rows.skipped.rows - 1 {
                0 => String::new(),
                others => format!("; so with {others} more, and no row is good"),
            };
            let hint = if why == NOT_UTF8 { "save the file as UTF-8" } else { hint };
            Err(Error::bad_file(path, &format!("line {line}"), format!("{why}{others}")).with_hint(hint))
        }
        _ => Ok(rows),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::ErrorKind;
    use crate::history::sample::LONGEST;

    fn read_text(content: impl AsRef<[u8]>, reader: fn(&Path) -> Result<Rows>) -> Result<Rows> {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        fs::write(&path, content).unwrap();
        reader(&path)
    }

    #[test]
    fn a_bad_row_costs_one_row() {
        let long = "x".repeat(LONGEST + 1);
        for (bad, why) in [
            (&b"secret"[..], "not a JSON object"),
            (br#"{"text":"secret""#, "not JSON"),
            (br#"["secret"]"#, "not a JSON object"),
            (br#"{"text":"secret"} {"text":"secret"}"#, "not JSON"),
            (br#"{"text":null}"#, "text: missing"),
            (br#"{"message":"secret"}"#, "text: missing"),
            (br#"{"text":"secret \ud83d"}"#, "text: half of a surrogate pair"),
            (br#"{"text":"a","context":"secret \ude00"}"#, "context: half of a surrogate pair"),
            (b"{\"text\":\"secret \xff\"}", "not UTF-8"),
            (format!(r#"{{"text":"{long}"}}"#).as_bytes(), "text"),
            (format!(r#"{{"text":"a","source":"{long}"}}"#).as_bytes(), "source"),
            (format!(r#"{{"text":"a","other":"{}"}}"#, long.repeat(16)).as_bytes(), "longer than 16 MiB"),
        ] {
            let content = [b"{\"text\":\"one\"}\n", bad, b"\n\n{\"text\":\"two\"}\n"].concat();
            let rows = read_text(content, read_jsonl).unwrap();
            let texts: Vec<_> = rows.samples.iter().map(|sample| sample.text.as_str()).collect();
            assert_eq!(texts, ["one", "two"], "{why}");
            let [skipped] = rows.skipped.named.try_into().unwrap();
            assert_eq!((rows.skipped.rows, skipped.line), (1, 2), "{why}");
            assert!(skipped.why.contains(why) && !skipped.why.contains("secret"), "{why}: {}", skipped.why);
        }
    }

    #[test]
    fn texts_a_line_are_read_by_the_same_rule() {
        let long = "x".repeat(LONGEST);
        let content = [b"\xef\xbb\xbf one \r\n\r\n\xff\n", long.as_bytes(), b"x\n", long.as_bytes(), b"\ntwo"].concat();
        let rows = read_text(content, read_lines).unwrap();
        let texts: Vec<_> = rows.samples.into_iter().map(|sample| sample.text).collect();
        assert_eq!(texts, ["one", &long, "two"]);
        let lines: Vec<_> = rows.skipped.named.iter().map(|skipped| skipped.line).collect();
        assert_eq!(lines, [3, 4]);
    }

    #[test]
    fn many_bad_rows_are_counted_and_the_first_named() {
        let content = format!("{}{{\"text\":\"fine\"}}\n", "bad\n".repeat(50));
        let skipped = read_text(content, read_jsonl).unwrap().skipped;
        let lines: Vec<_> = skipped.named.iter().map(|row| row.line).collect();
        assert_eq!((skipped.rows, lines), (50, (1..=20).collect()));
    }

    #[test]
    fn nothing_but_bad_rows_is_an_error_and_nothing_at_all_is_not() {
        for (content, part) in [
            (&b"\nsecret\n"[..], "line 2: not a JSON object"),
            (b"[{\"text\":\"secret\"},\n{\"text\":\"secret\"}]\n", "so with 1 more"),
            (b"\xff\xfe{\0\"\0", "line 1: not UTF-8"),
        ] {
            let error = read_text(content, read_jsonl).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadFile);
            assert!(error.message().contains(part) && error.hint().is_some(), "{error}");
            assert!(!error.message().contains("secret"), "{error}");
        }
        for content in ["", "\n \r\n", "\u{feff}"] {
            for reader in [read_jsonl, read_lines] {
                assert_eq!(read_text(content, reader).unwrap(), Rows::default(), "{content:?}");
            }
        }
        assert_eq!(read_jsonl(Path::new("/nowhere/a.jsonl")).unwrap_err().kind(), ErrorKind::Io);
        let export = "31/12/2023, 21:41 - Ben: hi\n31/12/2023, 21:42 - Ana: hi\n";
        assert_eq!(read_text(export, read_lines).unwrap_err().kind(), ErrorKind::BadOption);
        assert_eq!(read_text(export, read_every_line).unwrap().samples.len(), 2);
    }
}
