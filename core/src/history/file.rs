//! Reading files of what a person wrote. Errors name the file and the line, never the text.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::sample::{NewSample, Origin};
use crate::chat_export::{iso_seconds, refuse_text};
use crate::error::{Error, Result};
use crate::format::text_file::read_utf8;

/// A line of a JSONL file; keys that it does not name are ignored.
#[derive(Deserialize)]
struct Line {
    text: String,
    #[serde(default)]
    context: Option<String>,
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    timestamp: Option<Value>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    contact: Option<String>,
    #[serde(default)]
    conversation: Option<String>,
    #[serde(default)]
    origin: Option<String>,
    #[serde(default)]
    incognito: Option<bool>,
}

/// Reads JSON lines with `text` and optionally `context`, `id`, `timestamp` (seconds since 1970, or ISO 8601; UTC where
/// it names no zone), `source`, `contact`, `conversation`, `origin` (`typed`, `suggestion_accepted`, `suggestion_edited`,
/// `suggestion_turned_down`) and `incognito` (`true`: nothing of the line is kept).
///
/// # Errors
/// When the file cannot be read, is not UTF-8, or a line is not such an object.
pub fn read_jsonl(path: &Path) -> Result<Vec<NewSample>> {
    let content = read_utf8(path)?;
    let lines = (1..).zip(content.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let bad = |what: String| Error::bad_file(path, &format!("line {number}"), what);
            // serde_json's own message can quote the text: only the place is told.
            let line: Line = serde_json::from_str(line).map_err(|cause| {
                bad(format!("not a JSON object with a string \"text\" (column {})", cause.column()))
            })?;
            let timestamp = line.timestamp.as_ref().filter(|value| !value.is_null()).map(|value| {
                seconds(value).ok_or_else(|| bad("timestamp: neither seconds since 1970 nor ISO 8601".into()))
            });
            let origin = line.origin.as_deref().map(|name| {
                Origin::of_name(name).ok_or_else(|| bad("origin: not a way that a text comes to be".into()))
            });
            let id = line.id.filter(|id| !id.is_null()).map(|id| match id {
                Value::String(id) => id,
                other => other.to_string(),
            });
            Ok(NewSample {
                id,
                text: line.text,
                context: line.context,
                source: line.source,
                contact: line.contact,
                conversation: line.conversation,
                timestamp: timestamp.transpose()?,
                origin: origin.transpose()?.unwrap_or_default(),
                incognito: line.incognito.unwrap_or(false),
            })
        })
        .collect()
}

/// Reads one text a line that is not empty.
///
/// # Errors
/// When the file cannot be read or is not UTF-8; `BadOption` when it begins like an exported chat, in which others wrote,
/// too: [`chat_export`](crate::chat_export) reads one person's messages of it.
pub fn read_lines(path: &Path) -> Result<Vec<NewSample>> {
    let content = read_utf8(path)?;
    refuse_text(&content, path)?;
    Ok(samples_of_lines(&content))
}

/// Reads one text a line that is not empty, whatever the file looks like.
///
/// # Errors
/// When the file cannot be read or is not UTF-8.
pub fn read_every_line(path: &Path) -> Result<Vec<NewSample>> {
    Ok(samples_of_lines(&read_utf8(path)?))
}

fn samples_of_lines(content: &str) -> Vec<NewSample> {
    content.lines().map(str::trim).filter(|line| !line.is_empty()).map(NewSample::new).collect()
}

/// Seconds since 1970.
fn seconds(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or(number.as_f64().map(|seconds| seconds as i64)),
        Value::String(text) => iso_seconds(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn lines_become_samples_or_an_error_without_their_text() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.jsonl");
        for (line, expected) in [
            (r#"{"text":"hi"}"#, Ok((None, None))),
            (r#"{"text":"hi","id":7,"timestamp":12}"#, Ok((Some("7"), Some(12)))),
            (r#"{"text":"hi","id":"x","timestamp":"1970-01-02T00:00:01"}"#, Ok((Some("x"), Some(86_401)))),
            (r#"{"text":"hi","timestamp":"1970-01-01T02:00:00+02:00","id":null}"#, Ok((None, Some(0)))),
            (r#"{"text":"hi","timestamp":null,"other":[1]}"#, Ok((None, None))),
            (r#"{"text":"hi","timestamp":"yesterday"}"#, Err("line 1: timestamp: ")),
            (r#"{"text":"hi","origin":"secret"}"#, Err("line 1: origin: ")),
            (r#"{"text":"secret","incognito":"yes"}"#, Err("line 1: not a JSON object")),
            (r#"{"text":7}"#, Err("line 1: not a JSON object")),
            ("secret", Err("line 1: not a JSON object")),
        ] {
            fs::write(&path, format!("{line}\n\n")).unwrap();
            match (read_jsonl(&path), expected) {
                (Ok(samples), Ok((id, time))) => {
                    assert_eq!((samples[0].id.as_deref(), samples[0].timestamp), (id, time), "{line}");
                }
                (Err(error), Err(part)) => {
                    assert!(error.message().contains(part) && !error.message().contains("secret"), "{error}");
                }
                (result, _) => panic!("{line}: {result:?}"),
            }
        }
        for (line, origin, incognito) in [
            (r#"{"text":"hi"}"#, Origin::Typed, false),
            (r#"{"text":"hi","origin":"suggestion_edited","incognito":false}"#, Origin::SuggestionEdited, false),
            (r#"{"text":"hi","origin":null,"incognito":true}"#, Origin::Typed, true),
        ] {
            fs::write(&path, line).unwrap();
            let sample = read_jsonl(&path).unwrap().remove(0);
            assert_eq!((sample.origin, sample.incognito), (origin, incognito), "{line}");
        }
        fs::write(&path, " one \n\ntwo\n").unwrap();
        let texts: Vec<String> = read_lines(&path).unwrap().into_iter().map(|sample| sample.text).collect();
        assert_eq!(texts, ["one", "two"]);
        fs::write(&path, "31/12/2023, 21:41 - Ben: hi\n31/12/2023, 21:42 - Ana: hi\n").unwrap();
        assert_eq!(read_lines(&path).unwrap_err().kind(), ErrorKind::BadOption);
        assert_eq!(read_every_line(&path).unwrap().len(), 2);
    }
}
