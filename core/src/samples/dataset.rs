//! Reading what a person wrote, or rows of token ids.
//!
//! Errors name the file and the line, never the text.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use super::packing::Sample;
use crate::chat_export::refuse_export;
use crate::disk::text_file::read_utf8;
use crate::error::{Error, Result};
use crate::history::{NewSample, Rows, Skipped, read_jsonl, read_lines};
use crate::text::Tokenizer;

/// A text to learn from or to measure.
#[derive(Clone, PartialEq, Eq)]
pub struct TextRow {
    /// What the person wrote.
    pub text: String,
    /// What they were answering.
    pub context: Option<String>,
    /// Bytes of `text`, in order, that are learned from by nobody: placeholders of a privacy filter.
    pub masked: Vec<Range<usize>>,
}

/// Never what the person wrote.
impl fmt::Debug for TextRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextRow({} bytes)", self.text.len())
    }
}

impl TextRow {
    /// A text without masked places.
    pub fn new(text: impl Into<String>, context: Option<String>) -> Self {
        Self { text: text.into(), context, masked: Vec::new() }
    }
}

/// The texts of a file, and what in it was no row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Texts {
    /// The texts, in the file's order.
    pub rows: Vec<TextRow>,
    /// The file's bad rows.
    pub skipped: Skipped,
}

impl From<Rows> for Texts {
    /// The texts that training may use: what is marked incognito is left out, and what the person has not worded.
    fn from(Rows { samples, skipped }: Rows) -> Self {
        let learned = |sample: &NewSample| !sample.incognito && sample.origin.is_learned();
        let rows = samples.into_iter().filter(learned).map(|sample| TextRow::new(sample.text, sample.context));
        Self { rows: rows.collect(), skipped }
    }
}

/// Reads the texts that training may use of a file: of `.txt` as [`read_lines`], of another as [`read_jsonl`].
///
/// # Errors
/// When the file cannot be read, or holds bad rows only; `BadOption` when it begins like an exported chat, in which
/// others wrote, too.
pub fn read_texts(path: &Path) -> Result<Texts> {
    refuse_export(path)?;
    let text = path.extension().is_some_and(|extension| extension == "txt");
    Ok(Texts::from(if text { read_lines(path) } else { read_jsonl(path) }?))
}

/// Reads `[[id, …], …]`: rows of token ids, used as they are.
///
/// # Errors
/// When the file is not such an array, or holds no row, or one of fewer than two ids: nothing could be predicted in it.
pub fn read_ids(path: &Path) -> Result<Vec<Vec<u32>>> {
    let rows: Vec<Vec<u32>> = serde_json::from_str(&read_utf8(path)?)
        .map_err(|_| Error::bad_file(path, "rows", "not an array of arrays of token ids"))?;
    if rows.is_empty() {
        return Err(Error::bad_file(path, "rows", "there is none"));
    }
    if let Some(number) = rows.iter().position(|ids| ids.len() < 2) {
        let row = format!("row {}", number + 1);
        let error = Error::bad_file(path, &row, format!("{} ids, and the first carries no loss", rows[number].len()));
        return Err(error.with_hint("give every row two ids or more"));
    }
    Ok(rows)
}

/// A row of ids as a sample: n ids give n − 1 predictions.
pub fn sample_of_ids(ids: &[u32], tokenizer: &Tokenizer) -> Sample {
    let text_bytes = tokenizer.decode(ids.get(1..).unwrap_or_default()).map_or(0, |text| text.len());
    Sample { ids: ids.to_vec(), supervised_from: 1, masked: Vec::new(), text_bytes }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn rows_come_from_text_and_json_lines() {
        let dir = tempfile::tempdir().unwrap();
        let row = |text: &str, context: Option<&str>| TextRow::new(text, context.map(Into::into));
        for (name, content, expected, skipped) in [
            ("a.txt", "one\n\n  two \n", vec![row("one", None), row("two", None)], &[][..]),
            ("a.txt", "\u{feff}one\r\n", vec![row("one", None)], &[]),
            ("a.jsonl", "{\"text\":\"one\",\"id\":3}\n", vec![row("one", None)], &[]),
            ("a.jsonl", "\u{feff}{\"text\":\"\u{feff}\"}\n", vec![row("\u{feff}", None)], &[]),
            ("a.jsonl", "{\"text\":\"yes\",\"context\":\"so?\"}", vec![row("yes", Some("so?"))], &[]),
            ("a.jsonl", "{\"text\":\"one\"}\n{\"txt\":\"a\"}\n\n{\"text\":5}", vec![row("one", None)], &[2, 4]),
            ("a.jsonl", "{\"text\":\" \"}\n{\"text\":\"a\",\"incognito\":true}", vec![row(" ", None)], &[]),
            ("a.jsonl", "{\"text\":\"a\",\"origin\":\"suggestion_accepted\"}", vec![], &[]),
            ("a.jsonl", "{\"text\":\"a\",\"origin\":\"suggestion_edited\"}", vec![row("a", None)], &[]),
            ("a.jsonl", "{\"text\":\"a\",\"origin\":\"dictated\"}", vec![], &[]),
        ] {
            let path = dir.path().join(name);
            fs::write(&path, content).unwrap();
            let texts = read_texts(&path).unwrap();
            let lines: Vec<u64> = texts.skipped.named.iter().map(|row| row.line).collect();
            assert_eq!((texts.rows, &lines[..]), (expected, skipped), "{content:?}");
        }
        for (name, content) in
            [("a.txt", "31/12/2023, 21:41 - Ben: secret"), ("chat", "[31.12.23, 21:41:05] Ben: secret")]
        {
            let path = dir.path().join(name);
            fs::write(&path, content).unwrap();
            assert_eq!(read_texts(&path).unwrap_err().kind(), ErrorKind::BadOption);
        }
    }
}
