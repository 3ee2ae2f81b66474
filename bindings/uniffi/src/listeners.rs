//! What an app hears while a call goes on. All of it comes on the thread that made the call.

use crate::error::Result;
use crate::events::LearnEvent;

/// Hears how a training goes on.
#[uniffi::export(foreign)]
pub trait LearnListener: Send + Sync {
    /// Something happened. An error ends the training, which leaves a checkpoint.
    fn on_event(&self, event: LearnEvent) -> Result<()>;
}

/// Hears text as it comes.
#[uniffi::export(foreign)]
pub trait TextListener: Send + Sync {
    /// The text goes on: whole characters, gathered over about 40 ms. An error ends the generation.
    fn on_text(&self, text: String) -> Result<()>;
}
