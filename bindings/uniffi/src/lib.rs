//! The engine's API for Kotlin and Swift, through uniffi: objects, records and callbacks, and no logic of its own.
//!
//! Calls block until they are done, so an app makes them away from its main thread; callbacks come on the thread that
//! made the call, but for those of an attendance, which has a thread of its own. Work is ended by an explicit
//! [`CancelToken`]. Every error is an [`EngineError`]: a case, what went wrong and a hint. What a person wrote is in no
//! `Debug`, and so in no `toString` of Kotlin's and no `debugDescription` of Swift's.
//!
//! Keys and passphrases are wiped on this side, with every copy that they leave on their way (`wiping.rs`). On the other
//! side an app overwrites the arrays itself once a call is done; a string cannot be overwritten there, so a passphrase is
//! asked for as late as possible and kept nowhere.

mod adapters;
mod answers;
mod attendance;
mod cancel;
mod chats;
mod conversation;
mod engine;
mod error;
mod events;
mod history;
mod key_store;
mod learning;
mod listeners;
mod log;
mod merge;
mod mirror;
mod model;
mod options;
mod plan;
mod policy;
mod profile;
mod report;
mod samples;
mod status;
mod text_batches;
mod wiping;

pub use adapters::{AdapterList, AdapterOrigin, AdapterVersion, Adapters};
pub use answers::{
    AdapterWeight, Evaluation, EvaluationText, FinishReason, GenerateOptions, Generation, Prompt, Score, SuggestOptions,
    Suggestion, TextLoss,
};
pub use attendance::{AttendListener, AttendSettings, Attendance};
pub use cancel::CancelToken;
pub use chats::{ChatAuthor, ChatExport, DateOrder, chat_authors, read_chat};
pub use conversation::{Conversation, ConversationOptions, Reply, Speaker, Turn};
pub use engine::{Engine, EngineState};
pub use error::EngineError;
pub use events::{DropReason, LearnEvent};
pub use history::{
    Exclusion, History, HistoryStats, LearnedVersion, OriginTally, Removed, Retention, Selection, SourceTally,
    SplitTally,
};
pub use key_store::KeyStore;
pub use learning::{Decay, GateSettings, LearnSettings, LoraSettings, PrivacyRule, TrainSettings};
pub use listeners::{LearnListener, MergeListener, TextListener};
pub use log::{LogLevel, LogListener, set_log_listener};
pub use merge::{Divergence, MergeOptions, MergeReport, MergeStage, MergedMatrix};
pub use model::{DeviceInfo, DeviceKind, ModelInfo};
pub use options::{DeviceChoice, EngineOptions, ModelSource};
pub use plan::TrainingPlan;
pub use policy::{
    DeviceSignals, PolicyDecision, PolicyReason, PolicyRule, PolicySettings, PolicyVerdict, RuleState, Standing,
    TimeWindow, TrainingPhase, always_policy, decide_training, default_policy, explain_training,
};
pub use profile::{ArchivedProfile, EraseReport, Erased, erase_profile, import_profile};
pub use report::{
    Decision, Estimate, GateReason, LearnOutcome, LearnReport, PauseReason, SampleCounts, Setback, Verdict,
};
pub use samples::{
    Added, FileRows, NewSample, Origin, SkippedRow, Split, StoredSample, Tally, read_every_line, read_jsonl, read_lines,
};
pub use status::{NextTraining, NextTrainingReason, ProfileStatus, VersionInUse};

/// The version of this library, such as `0.1.0`.
#[uniffi::export]
pub fn library_version() -> String {
    env!("CARGO_PKG_VERSION").into()
}

/// The version of the profiles that this library writes: an older one is brought up to it when it is opened, a newer one is
/// refused as `Unsupported`.
#[uniffi::export]
pub fn profile_version() -> u32 {
    idiolect::history::FORMAT_VERSION
}

uniffi::setup_scaffolding!();
