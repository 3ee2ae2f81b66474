//! Samples a line each: plain text, or JSON objects.

use std::path::Path;

use serde::Deserialize;

use super::ExportedSample;
use super::read::utf8;
use super::time::iso_seconds;
use crate::error::{Error, Result};

/// One JSON line; keys it does not name are ignored.
#[derive(Deserialize)]
struct Row {
    text: String,
    #[serde(default)]
    context: Option<String>,
    #[serde(default)]
    contact: Option<String>,
    #[serde(default)]
    conversation: Option<String>,
    #[serde(default)]
    timestamp: Option<Timestamp>,
}

/// Seconds since 1970, or an ISO 8601 date.
#[derive(Deserialize)]
#[serde(untagged)]
enum Timestamp {
    Seconds(i64),
    Fraction(f64),
    Iso(String),
}

/// Reads plain text: every line that is not empty is a sample, without the white space around it.
///
/// # Errors
/// When the file cannot be read or is not UTF-8.
pub fn read_text_lines(path: &Path) -> Result<Vec<ExportedSample>> {
    let content = utf8(path)?;
    let texts = content.lines().map(str::trim).filter(|line| !line.is_empty());
    let sample = |text: &str| ExportedSample {
        text: text.to_owned(),
        context: None,
        contact: None,
        conversation: None,
        timestamp: None,
    };
    Ok(texts.map(sample).collect())
}

/// Reads JSON lines: objects with `text` and, optionally, `context`, `contact`, `conversation` and `timestamp` (seconds
/// since 1970, or an ISO 8601 date, taken as UTC without a zone). Empty lines are passed over.
///
/// # Errors
/// When the file cannot be read, is not UTF-8, or a line is not such an object; the error names file and line.
pub fn read_json_lines(path: &Path) -> Result<Vec<ExportedSample>> {
    let content = utf8(path)?;
    let lines = content.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            let bad = |what: String| Error::bad_file(path, &format!("line {}", at + 1), what);
            // serde_json's own message can quote the text: only the place is told.
            let row: Row = serde_json::from_str(line).map_err(|cause| {
                let fields =
                    "a string \"text\" and, where they are, \"context\", \"contact\", \"conversation\", \"timestamp\"";
                bad(format!("not a JSON object with {fields} (column {})", cause.column()))
            })?;
            let timestamp = match row.timestamp {
                None => None,
                Some(Timestamp::Seconds(seconds)) => Some(seconds),
                Some(Timestamp::Fraction(seconds)) if seconds.abs() < 1e15 => Some(seconds.floor() as i64),
                Some(Timestamp::Fraction(_)) => return Err(bad("timestamp: not seconds since 1970".into())),
                Some(Timestamp::Iso(text)) => {
                    Some(iso_seconds(text.trim()).ok_or_else(|| bad("timestamp: not an ISO 8601 date".into()))?)
                }
            };
            let Row { text, context, contact, conversation, .. } = row;
            Ok(ExportedSample { text, context, contact, conversation, timestamp })
        })
        .collect()
}
