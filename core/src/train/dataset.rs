//! Reading what a person wrote, and turning it into samples.
//!
//! Errors name the file and the line, never the text.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;

use super::packing::Sample;
use crate::chat_export::refuse_text;
use crate::error::{Error, ErrorKind, Result};
use crate::format::text_file::read_utf8;
use crate::text::{Placed, Tokenizer};

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
/// When the file cannot be read, is not UTF-8, or a line is not such an object; `BadOption` when it begins like an
/// exported chat, in which others wrote, too.
pub fn read_texts(path: &Path) -> Result<Vec<TextRow>> {
    let content = read_utf8(path)?;
    refuse_text(&content, path)?;
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

/// A text as a sample of at most `seq_len` tokens. Alone it is the document-start token, its ids and the end-of-turn
/// token, with loss on everything after the first; with a context it is the assistant's turn of the model's own chat
/// template, with loss on that turn and its end alone.
///
/// # Errors
/// When the model has no such tokens, or no chat template for a context.
pub fn sample_of_text(row: &TextRow, tokenizer: &Tokenizer, seq_len: usize) -> Result<Sample> {
    let (mut tokens, supervised_from) = match &row.context {
        Some(context) => tokenizer.encode_turn_placed(context, &row.text)?,
        None => {
            let missing = |what: &str| Error::new(ErrorKind::Unsupported, format!("the model has no {what} token"));
            let start = tokenizer.document_start().ok_or_else(|| missing("document-start"))?;
            let end = tokenizer.end_of_turn().ok_or_else(|| missing("end-of-turn"))?;
            let mut tokens = vec![Placed { id: start, bytes: 0..0 }];
            tokens.extend(tokenizer.encode_placed(&row.text)?);
            tokens.push(Placed { id: end, bytes: row.text.len()..row.text.len() });
            (tokens, 1)
        }
    };
    let whole = tokens.len() <= seq_len;
    tokens.truncate(seq_len);
    let touches = |bytes: &Range<usize>| row.masked.iter().any(|m| bytes.start < m.end && m.start < bytes.end);
    let masked = (0..).zip(&tokens).filter(|(_, token)| touches(&token.bytes)).map(|(at, _)| at..at + 1).collect();
    let ids: Vec<u32> = tokens.into_iter().map(|token| token.id).collect();
    let text_bytes = match whole {
        true => row.text.len(),
        false => tokenizer.decode(ids.get(supervised_from..).unwrap_or_default())?.len(),
    };
    Ok(Sample { ids, supervised_from, masked, text_bytes })
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
            ("a.txt", "31/12/2023, 21:41 - Ben: secret", Err("exported chat")),
            ("chat", "[31.12.23, 21:41:05] Ben: secret", Err("exported chat")),
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
