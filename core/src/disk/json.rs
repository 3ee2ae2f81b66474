//! JSON files read field by field, so that every complaint names file and field.

use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::file_bytes;
use crate::error::shown;
use crate::error::{Error, Result};

/// Configuration files are kilobytes, tokenizers and shard indexes megabytes.
const LIMIT: usize = 256 << 20;

/// The three values that Python's `json` reads and writes beside those of JSON.
const NOT_FINITE: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];

/// JSON as editors and Python leave it, as it should be: without a byte order mark, and what is not finite as the
/// string that spells it. So a value that nobody needs does no harm, and who needs a number there refuses it by its
/// name.
pub(crate) fn strict(bytes: &[u8]) -> Cow<'_, [u8]> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut out: Vec<u8> = Vec::new();
    let (mut at, mut copied, mut quoted) = (0, 0, false);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => at += 1,
            b'N' | b'I' | b'-' if !quoted => {
                if let Some(spelled) = NOT_FINITE.into_iter().find(|spelled| bytes[at..].starts_with(spelled)) {
                    for part in [&bytes[copied..at], b"\"", spelled, b"\""] {
                        out.extend(part);
                    }
                    copied = at + spelled.len();
                    at = copied - 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return Cow::Borrowed(bytes);
    }
    out.extend(&bytes[copied..]);
    Cow::Owned(out)
}

/// An object of a JSON file.
#[derive(Debug, Clone)]
pub(crate) struct JsonFields {
    path: PathBuf,
    /// The field that holds the object, with a dot; empty for the file's own.
    prefix: String,
    object: Map<String, Value>,
}

impl JsonFields {
    /// Reads a file that holds one object.
    pub fn read(path: &Path) -> Result<Self> {
        let (file, length) = file_bytes::open(path)?;
        let mut bytes = Vec::new();
        let most = length.min(LIMIT as u64 + 1);
        file.take(most).read_to_end(&mut bytes).map_err(|cause| Error::io(path, &cause))?;
        Self::read_bytes(path, &bytes)
    }

    /// The same of the bytes of a file that errors call `path`.
    pub fn read_bytes(path: &Path, bytes: &[u8]) -> Result<Self> {
        if bytes.len() > LIMIT {
            return Err(Error::bad_file(path, "file", format!("{} bytes of JSON", bytes.len())));
        }
        // The cause is told by its place alone: what the file holds may be private.
        let value: Value = serde_json::from_slice(&strict(bytes)).map_err(|cause| {
            Error::bad_file(path, &format!("line {} column {}", cause.line(), cause.column()), "not JSON")
        })?;
        Self::of(path, value)
    }

    /// The fields of a value that came from, or stands for, the file at `path`.
    pub fn of(path: &Path, value: Value) -> Result<Self> {
        match value {
            Value::Object(object) => Ok(Self { path: path.to_owned(), prefix: String::new(), object }),
            _ => Err(Error::bad_file(path, "file", "not a JSON object")),
        }
    }

    pub fn object(&self) -> &Map<String, Value> {
        &self.object
    }

    /// The value of a field; an absent one and `null` are the same.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.object.get(field).filter(|value| !value.is_null())
    }

    pub fn bad(&self, field: &str, what: impl std::fmt::Display) -> Error {
        Error::bad_file(&self.path, &format!("{}{}", self.prefix, shown(field)), what)
    }

    pub fn unsupported(&self, field: &str, what: impl std::fmt::Display) -> Error {
        Error::unsupported(&self.path, &format!("{}{}", self.prefix, shown(field)), what)
    }

    /// A field that must be there.
    pub fn required<T>(&self, field: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.bad(field, "missing"))
    }

    fn read_as<'a, T>(&'a self, field: &str, kind: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>> {
        self.get(field).map(|value| read(value).ok_or_else(|| self.bad(field, format!("not {kind}")))).transpose()
    }

    pub fn usize(&self, field: &str) -> Result<Option<usize>> {
        self.read_as(field, "a whole number", |value| {
            let whole = value.as_f64().filter(|x| x.fract() == 0.0 && (0.0..1e15).contains(x));
            value.as_u64().or(whole.map(|x| x as u64)).and_then(|n| usize::try_from(n).ok())
        })
    }

    pub fn f64(&self, field: &str) -> Result<Option<f64>> {
        self.read_as(field, "a number", Value::as_f64)
    }

    pub fn bool(&self, field: &str) -> Result<Option<bool>> {
        self.read_as(field, "true or false", Value::as_bool)
    }

    pub fn str(&self, field: &str) -> Result<Option<&str>> {
        self.read_as(field, "a string", Value::as_str)
    }

    pub fn strings(&self, field: &str) -> Result<Option<Vec<&str>>> {
        self.read_as(field, "a list of strings", |value| value.as_array()?.iter().map(Value::as_str).collect())
    }

    /// An object within this one.
    pub fn fields(&self, field: &str) -> Result<Option<Self>> {
        let object = self.read_as(field, "an object", Value::as_object)?;
        Ok(object.map(|object| Self {
            path: self.path.clone(),
            prefix: format!("{}{}.", self.prefix, shown(field)),
            object: object.clone(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_python_and_of_editors_is_read() {
        for (written, read) in [
            (
                r#"{"a": NaN, "b": [-Infinity,Infinity], "c": -1}"#,
                r#"{"a": "NaN", "b": ["-Infinity","Infinity"], "c": -1}"#,
            ),
            (r#"{"NaN": "NaN \" Infinity", "\\": NaN}"#, r#"{"NaN": "NaN \" Infinity", "\\": "NaN"}"#),
            ("\u{feff}{}", "{}"),
            ("\u{feff}\u{feff}{}", "\u{feff}{}"),
            ("nan", "nan"),
            ("\"\\", "\"\\"),
            ("", ""),
        ] {
            assert_eq!(std::str::from_utf8(&strict(written.as_bytes())), Ok(read), "{written}");
        }
        let fields = JsonFields::read_bytes(Path::new("config.json"), b"\xef\xbb\xbf{\"eps\": NaN, \"n\": 2}").unwrap();
        assert_eq!(fields.usize("n").unwrap(), Some(2));
        let message = fields.f64("eps").unwrap_err().message().to_owned();
        assert!(message.contains("config.json: eps: not a number"), "{message}");
    }
}
