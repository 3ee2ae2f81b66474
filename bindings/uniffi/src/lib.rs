//! The engine's API for Kotlin and Swift, through uniffi: objects, records and callbacks, and no logic of its own.
//!
//! Calls block until they are done, so an app makes them away from its main thread; callbacks come on the thread that
//! made the call. Work is ended by an explicit [`CancelToken`]. Every error is an [`EngineError`] with a kind, what went
//! wrong and a hint. What a person wrote is in no `Debug`, and so in no `toString` of Kotlin's and no `debugDescription`
//! of Swift's.

mod adapters;
mod answers;
mod cancel;
mod engine;
mod error;
mod events;
mod history;
mod learning;
mod listeners;
mod options;
mod profile;
mod report;
mod samples;
mod shared;
mod text_batches;

pub use adapters::{AdapterList, AdapterOrigin, AdapterVersion, Adapters};
pub use answers::{Evaluation, EvaluationText, FinishReason, GenerateOptions, Generation, Prompt, Suggestion};
pub use cancel::CancelToken;
pub use engine::{Engine, EngineState};
pub use error::{EngineError, ErrorKind};
pub use events::{DropReason, LearnEvent};
pub use history::{
    Exclusion, History, HistoryStats, OriginTally, Removed, Retention, Selection, SourceTally, SplitTally,
};
pub use learning::{Decay, GateSettings, LearnSettings, LoraSettings, PrivacyRule, TrainSettings};
pub use listeners::{LearnListener, TextListener};
pub use options::{DeviceChoice, EngineOptions};
pub use profile::{EraseReport, Erased, erase_profile};
pub use report::{Decision, Estimate, GateReason, LearnOutcome, LearnReport, PauseReason, Verdict};
pub use samples::{Added, NewSample, Origin, Split, StoredSample, Tally, read_jsonl, read_lines};

uniffi::setup_scaffolding!();
