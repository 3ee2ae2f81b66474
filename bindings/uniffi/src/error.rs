//! The one error that crosses the boundary: a case for each kind, all of the same shape.

use std::fmt;

use idiolect::{Error, ErrorKind as Kind};
use uniffi::UnexpectedUniFFICallbackError;

/// The cases: those that the engine has under the same names, then those of this surface alone.
macro_rules! cases {
    ($($(#[$about:meta])* $case:ident,)+ / $($(#[$own_about:meta])* $own:ident,)+) => {
        /// An error of any call. It names files, fields and numbers, never what a person wrote.
        ///
        /// Of each case, `detail` is what went wrong, for people: a sentence without a final full stop; `hint` is what to do
        /// next, where there is something.
        #[derive(Debug, Clone, PartialEq, Eq, uniffi::Error)]
        pub enum EngineError {
            $($(#[$about])* $case {
                /// What went wrong.
                detail: String,
                /// What to do next.
                hint: Option<String>,
            },)+
            $($(#[$own_about])* $own {
                /// What went wrong.
                detail: String,
                /// What to do next.
                hint: Option<String>,
            },)+
        }

        impl EngineError {
            fn new(kind: Kind, detail: String, hint: Option<String>) -> Self {
                match kind {
                    $(Kind::$case => Self::$case { detail, hint },)+
                    _ => Self::Other { detail, hint },
                }
            }

            /// What went wrong, and what to do next.
            pub(crate) fn into_words(self) -> (String, Option<String>) {
                match self {
                    $(Self::$case { detail, hint } => (detail, hint),)+
                    $(Self::$own { detail, hint } => (detail, hint),)+
                }
            }
        }
    };
}

cases! {
    /// A file or folder is missing or cannot be read or written.
    Io,
    /// A file is not what its format promises: truncated, lying header, wrong type.
    BadFile,
    /// A valid file that this library does not know how to use.
    Unsupported,
    /// An adapter that does not belong to this model, or to another adapter that it should be used with.
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
    /
    /// A callback of the app's failed; the work was ended.
    Listener,
    /// A kind that this surface does not know yet: the text says what it is.
    Other,
}

/// The result of every call that can fail.
pub(crate) type Result<T> = std::result::Result<T, EngineError>;

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.clone().into_words() {
            (detail, Some(hint)) => write!(f, "{detail}: {hint}"),
            (detail, None) => f.write_str(&detail),
        }
    }
}

impl std::error::Error for EngineError {}

impl From<Error> for EngineError {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error.message().to_owned(), error.hint().map(str::to_owned))
    }
}

impl From<UnexpectedUniFFICallbackError> for EngineError {
    /// What the app threw is left out: it may quote what the callback was given.
    fn from(_: UnexpectedUniFFICallbackError) -> Self {
        Self::Listener {
            detail: "a callback threw an error; the work was ended".into(),
            hint: Some("catch errors within the callback".into()),
        }
    }
}
