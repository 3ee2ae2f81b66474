//! The one error that crosses the boundary.

use std::fmt;

use idiolect::{Error, ErrorKind as Kind};
use uniffi::UnexpectedUniFFICallbackError;

/// What went wrong, in kinds that stay stable across releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum ErrorKind {
    /// A file or folder is missing or cannot be read or written.
    Io,
    /// A file is not what its format promises: truncated, lying header, wrong type.
    BadFile,
    /// A valid file that this library does not know how to use.
    Unsupported,
    /// An adapter that does not belong to this model.
    AdapterMismatch,
    /// Text that cannot be used, such as a history in which nothing can be learned from.
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
    /// The key does not open the profile.
    WrongKey,
    /// The history is older than it was, or records of it were put back: `accept_history` takes it as it is.
    PutBack,
    /// The app's key store refused, or does not give back what it was given.
    KeyStore,
    /// Another process, or this one, is already training on the profile.
    TrainingBusy,
    /// The caller cancelled the work.
    Cancelled,
    /// The engine is suspended, until it is resumed.
    Suspended,
    /// The engine was shut down or erased.
    Closed,
    /// A callback of the app's failed; the work was ended.
    Listener,
    /// A kind that this surface does not know yet: the text says what it is.
    Other,
}

impl From<Kind> for ErrorKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Io => Self::Io,
            Kind::BadFile => Self::BadFile,
            Kind::Unsupported => Self::Unsupported,
            Kind::AdapterMismatch => Self::AdapterMismatch,
            Kind::BadData => Self::BadData,
            Kind::NotFinite => Self::NotFinite,
            Kind::BadOption => Self::BadOption,
            Kind::TooLossy => Self::TooLossy,
            Kind::OverBudget => Self::OverBudget,
            Kind::Device => Self::Device,
            Kind::WrongKey => Self::WrongKey,
            Kind::PutBack => Self::PutBack,
            Kind::KeyStore => Self::KeyStore,
            Kind::TrainingBusy => Self::TrainingBusy,
            Kind::Cancelled => Self::Cancelled,
            Kind::Suspended => Self::Suspended,
            Kind::Closed => Self::Closed,
            _ => Self::Other,
        }
    }
}

/// An error of any call. It names files, fields and numbers, never what a person wrote.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Error)]
pub enum EngineError {
    /// The only case: match on the kind.
    Failed {
        /// What went wrong, for programs.
        kind: ErrorKind,
        /// What went wrong, for people: a sentence without a final full stop. (Kotlin's exceptions have a `message` of
        /// their own, made of all fields.)
        detail: String,
        /// What to do next, where there is something.
        hint: Option<String>,
    },
}

/// The result of every call that can fail.
pub(crate) type Result<T> = std::result::Result<T, EngineError>;

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Failed { detail, hint, .. } = self;
        match hint {
            Some(hint) => write!(f, "{detail}: {hint}"),
            None => f.write_str(detail),
        }
    }
}

impl std::error::Error for EngineError {}

impl From<Error> for EngineError {
    fn from(error: Error) -> Self {
        Self::Failed {
            kind: error.kind().into(),
            detail: error.message().to_owned(),
            hint: error.hint().map(str::to_owned),
        }
    }
}

impl From<UnexpectedUniFFICallbackError> for EngineError {
    /// What the app threw is left out: it may quote what the callback was given.
    fn from(_: UnexpectedUniFFICallbackError) -> Self {
        Self::Failed {
            kind: ErrorKind::Listener,
            detail: "a callback threw an error; the work was ended".into(),
            hint: Some("catch errors within the callback".into()),
        }
    }
}
