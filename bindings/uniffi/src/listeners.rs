//! What an app hears while a call goes on. All of it comes on the thread that made the call. A listener that throws ends
//! the work, and the call ends with a `Listener` error; to end it without one, cancel its token. (`attendance.rs` has what
//! it hears of an attendance.)

use crate::error::Result;
use crate::events::LearnEvent;
use crate::merge::MergeStage;

/// Hears how a training goes on.
#[uniffi::export(foreign)]
pub trait LearnListener: Send + Sync {
    /// Something happened. An error ends the training, which leaves a checkpoint.
    fn on_event(&self, event: LearnEvent) -> Result<()>;
}

/// Hears how a merge goes on.
#[uniffi::export(foreign)]
pub trait MergeListener: Send + Sync {
    /// So much of a stage is done, and of how much in all. An error ends the merge, and no folder is left.
    fn on_progress(&self, stage: MergeStage, done: u64, all: u64) -> Result<()>;
}

/// Hears text as it comes.
#[uniffi::export(foreign)]
pub trait TextListener: Send + Sync {
    /// The text goes on: whole characters, gathered over about 40 ms. An error ends the generation.
    fn on_text(&self, text: String) -> Result<()>;
}
