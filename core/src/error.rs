//! The one error type of the public API: a stable kind to match on, a message for people, and a hint
//! that says what to do next. Messages name files, fields and numbers, never the user's text.

use std::fmt;
use std::path::Path;

/// What went wrong, in kinds that stay stable across releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file or folder is missing or cannot be read or written.
    Io,
    /// A file is not what its format promises: truncated, lying header, wrong type.
    BadFile,
    /// A valid file that this library does not know how to use (architecture, tensor type, tokenizer).
    Unsupported,
    /// An adapter that does not belong to this model, or applies to none of its tensors.
    AdapterMismatch,
    /// Text or token ids that cannot be used, such as a batch in which no token carries loss.
    BadData,
    /// A loss or a gradient that is not finite: weights are damaged or too large, or the learning rate is too high.
    NotFinite,
    /// An option out of its range, or one that contradicts another.
    BadOption,
    /// What is asked for would lose more than the options allow.
    TooLossy,
    /// The memory budget cannot hold the work.
    OverBudget,
    /// The device is missing, was lost, or ran out of memory.
    Device,
    /// The key or passphrase does not open what it was given for.
    WrongKey,
    /// The app's key store refused, or does not give back what it was given.
    KeyStore,
    /// A history that is older than it was, or of which records were put back: it opens once that is accepted.
    PutBack,
    /// Another process, or this one, is already training on the profile.
    TrainingBusy,
    /// The caller cancelled the work.
    Cancelled,
    /// The engine or the profile is suspended, until it is resumed.
    Suspended,
    /// The engine was closed or erased.
    Closed,
}

/// An error of any part of Idiolect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
}

/// The result of every fallible call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`; `message` is a sentence without a final full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// A file that breaks its format: `path: field: what is wrong`.
    pub fn bad_file(path: &Path, field: &str, what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::BadFile, format!("{}: {field}: {what}", path.display()))
    }

    /// A valid file that asks for something this library does not know: `path: field: what`.
    pub fn unsupported(path: &Path, field: &str, what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Unsupported, format!("{}: {field}: {what}", path.display()))
    }

    /// A file that could not be read or written, with a hint where the cause tells one.
    pub fn io(path: &Path, cause: &std::io::Error) -> Self {
        use std::io::ErrorKind as Cause;
        let error = Self::new(ErrorKind::Io, format!("{}: {cause}", path.display()));
        match cause.kind() {
            Cause::NotFound => error.with_hint("check the path"),
            Cause::IsADirectory => error.with_hint("give a file, not a folder"),
            Cause::NotADirectory => error.with_hint("give a path whose folders are folders"),
            Cause::PermissionDenied => error.with_hint("choose a place that you may read and write"),
            Cause::ReadOnlyFilesystem => error.with_hint("choose a place that can be written"),
            Cause::StorageFull | Cause::QuotaExceeded => error.with_hint("make room on the disk"),
            _ => error,
        }
    }

    /// The same error with a sentence that says what to do next.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error as of another kind: what it means can depend on where it came up.
    pub(crate) fn into_kind(self, kind: ErrorKind) -> Self {
        Self { kind, ..self }
    }

    /// What went wrong, for programs.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What went wrong, for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do next, where there is something.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// A name from a file, fit for a message: control characters escaped, at most 100 characters.
pub(crate) fn shown(name: &str) -> String {
    let mut shown: String = name.chars().take(100).flat_map(char::escape_debug).collect();
    if name.chars().nth(100).is_some() {
        shown.push('…');
    }
    shown
}
