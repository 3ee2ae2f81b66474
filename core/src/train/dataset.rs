//! Reading what a person wrote, or rows of token ids.
//!
//! Errors name the file and the line, never the text.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;

use super::packing::Sample;
use crate::error::{Error, Result};
use crate::format::text_file::read_utf8;
use crate::text::Tokenizer;

/// One row of a history file; keys it does not name are ignored.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct TextRow {
    /// What the person wrote.
    pub text: String,
    /// What they were answering.
    #[serde(default)]
    pub context: Option<String>,
    /// Bytes of `text`, in order, that are learned from by nobody: placeholders of a privacy filter.
    #[serde(skip)]
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

/// Reads `.txt` (one sample a non-empty line) or JSON lines (`text`, optionally `context`).
///
/// # Errors
/// When the file cannot be read, is not UTF-8, or a line is not such an object.
pub fn read_texts(path: &Path) -> Result<Vec<TextRow>> {
    let content = read_utf8(path)?;
    let lines = content.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    if path.extension().is_some_and(|extension| extension == "txt") {
        return Ok(lines.map(|(_, line)| TextRow::new(line.trim(), None)).collect());
    }
    lines
        .map(|(number, line)| {
            // serde_json's own message can quote the text: only the place is told.
            serde_json::from_str::<TextRow>(line).map_err(|e| {
                let what = format!("not a JSON object with a string \"text\" (column {})", e.column());
                Error::bad_file(path, &format!("line {}", number + 1), what)
            })
        })
        .collect()
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

    #[test]
    fn rows_come_from_text_and_json_lines() {
        let dir = tempfile::tempdir().unwrap();
        let row = |text: &str, context: Option<&str>| TextRow::new(text, context.map(Into::into));
        for (name, content, expected) in [
            ("a.txt", "one\n\n  two \n", Ok(vec![row("one", None), row("two", None)])),
            ("a.jsonl", "{\"text\":\"one\",\"id\":3}\n", Ok(vec![row("one", None)])),
            ("a.txt", "\u{feff}one\r\n", Ok(vec![row("one", None)])),
            ("a.jsonl", "\u{feff}{\"text\":\"\u{feff}\"}\n", Ok(vec![row("\u{feff}", None)])),
            (
                "a.jsonl",
                "{\"text\":\"yes\",\"context\":\"so?\",\"timestamp\":\"x\"}",
                Ok(vec![row("yes", Some("so?"))]),
            ),
            ("a.jsonl", "{\"text\":\"one\"}\n{\"txt\":\"secret\"}", Err("line 2")),
            ("a.jsonl", "secret", Err("line 1")),
            ("a.jsonl", "{\"text\":5}", Err("line 1")),
        ] {
            let path = dir.path().join(name);
            fs::write(&path, content).unwrap();
            match (read_texts(&path), expected) {
                (Ok(rows), Ok(expected)) => assert_eq!(rows, expected),
                (Err(error), Err(place)) => {
                    assert!(error.message().contains(place), "{error}");
                    assert!(!error.message().contains("secret"), "{error}");
                }
                (result, expected) => panic!("{content}: {result:?}, not {expected:?}"),
            }
        }
    }
}
