//! What the library tells a developer of its work: events and spans of the `tracing` crate, behind the feature of that
//! name.
//!
//! All that can be told is an [`Event`] of the list below, and its fields are counts, sizes, times, versions, and words of
//! the library's own; of a path, the last name at most. A text, a contact, a source, an id or a conversation has no way
//! in: who wants to tell something new adds a variant here, where that can be seen. Without the feature all of it
//! compiles to nothing.

use std::path::Path;

/// Something that happened. Bytes and milliseconds are whole.
#[cfg_attr(not(feature = "tracing"), expect(dead_code, reason = "nobody hears of them"))]
pub(crate) enum Event<'a> {
    /// A model was mapped and checked.
    ModelOpened { path: &'a Path, layers: usize, bytes: u64, milliseconds: u64 },
    /// All weights were read to know the model again.
    WeightsHashed { bytes: u64, milliseconds: u64 },
    /// Weights are on a device, which was chosen for a reason.
    DeviceOpened { kind: &'static str, name: &'a str, reason: &'a str, threads: usize },
    /// A device failed.
    DeviceLost,
    /// A training was refused for the memory that it would take.
    BudgetRefused { needed: usize, limit: usize },
    /// The cache of keys and values was made for so many tokens.
    CacheGrown { tokens: usize },
    /// A training takes its first step.
    TrainingStarted { steps: usize, planned_bytes: usize },
    /// A training goes on behind so many steps.
    TrainingResumed { step: usize, steps: usize, planned_bytes: usize },
    /// A checkpoint is on the disk.
    CheckpointWritten { bytes: u64, milliseconds: u64 },
    /// A checkpoint is of no use any more.
    CheckpointDropped { reason: &'static str },
    /// A loss was no number: the training begins again.
    TrainingSetBack { steps: usize },
    /// A training was ended between two steps, to go on later.
    TrainingPaused,
    /// A training came to its end.
    TrainingEnded { verdict: &'static str, steps: usize, bytes_written: u64 },
    /// Messages were added to the history.
    HistoryAdded { new: u64, repeated: u64, known: u64, replaced: u64, refused: u64, expired: u64 },
    /// Messages were removed from the history.
    HistoryRemoved { messages: u64, texts: u64 },
    /// What killed processes had left was removed.
    LeftoversCleared { files: usize },
    /// A profile was erased.
    ProfileErased { files: u64, bytes: u64 },
}

/// Tells an event to whoever listens.
#[cfg(feature = "tracing")]
pub(crate) fn tell(event: Event<'_>) {
    use tracing::{debug, info, warn};

    const MODEL: &str = "idiolect::model";
    const DEVICE: &str = "idiolect::device";
    const TRAINING: &str = "idiolect::training";
    const HISTORY: &str = "idiolect::history";
    const PROFILE: &str = "idiolect::profile";
    match event {
        Event::ModelOpened { path, layers, bytes, milliseconds } => {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            info!(target: MODEL, file = &*file, layers, bytes, milliseconds, "model opened");
        }
        Event::WeightsHashed { bytes, milliseconds } => {
            debug!(target: MODEL, bytes, milliseconds, "weights hashed");
        }
        Event::DeviceOpened { kind, name, reason, threads } => {
            info!(target: DEVICE, kind, name, reason, threads, "device opened");
        }
        Event::DeviceLost => warn!(target: DEVICE, "device lost"),
        Event::BudgetRefused { needed, limit } => warn!(target: TRAINING, needed, limit, "budget refused"),
        Event::CacheGrown { tokens } => debug!(target: MODEL, tokens, "cache grown"),
        Event::TrainingStarted { steps, planned_bytes } => {
            info!(target: TRAINING, steps, planned_bytes, "training started");
        }
        Event::TrainingResumed { step, steps, planned_bytes } => {
            info!(target: TRAINING, step, steps, planned_bytes, "training resumed");
        }
        Event::CheckpointWritten { bytes, milliseconds } => {
            debug!(target: TRAINING, bytes, milliseconds, "checkpoint written");
        }
        Event::CheckpointDropped { reason } => info!(target: TRAINING, reason, "checkpoint dropped"),
        Event::TrainingSetBack { steps } => warn!(target: TRAINING, steps, "training set back"),
        Event::TrainingPaused => info!(target: TRAINING, "training paused"),
        Event::TrainingEnded { verdict, steps, bytes_written } => {
            info!(target: TRAINING, verdict, steps, bytes_written, "training ended");
        }
        Event::HistoryAdded { new, repeated, known, replaced, refused, expired } => {
            debug!(target: HISTORY, new, repeated, known, replaced, refused, expired, "messages added");
        }
        Event::HistoryRemoved { messages, texts } => info!(target: HISTORY, messages, texts, "messages removed"),
        Event::LeftoversCleared { files } => info!(target: PROFILE, files, "leftovers cleared"),
        Event::ProfileErased { files, bytes } => info!(target: PROFILE, files, bytes, "profile erased"),
    }
}

/// Nobody listens.
#[cfg(not(feature = "tracing"))]
pub(crate) fn tell(_: Event<'_>) {}

/// A stretch of work, which events fall into.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// A training on the history.
    Training,
    /// Text for a prompt.
    Generation,
    /// Words for what is typed.
    Suggestion,
    /// How likely texts are.
    Scoring,
}

/// A stretch of work under way, until it is dropped.
#[cfg(feature = "tracing")]
pub(crate) type Span = tracing::span::EnteredSpan;

/// Nobody listens.
#[cfg(not(feature = "tracing"))]
pub(crate) struct Span;

/// Begins a stretch of work on this thread.
#[cfg(feature = "tracing")]
pub(crate) fn begin(work: Work) -> Span {
    match work {
        Work::Training => tracing::info_span!(target: "idiolect::training", "training"),
        Work::Generation => tracing::debug_span!(target: "idiolect::answers", "generation"),
        Work::Suggestion => tracing::debug_span!(target: "idiolect::answers", "suggestion"),
        Work::Scoring => tracing::debug_span!(target: "idiolect::answers", "scoring"),
    }
    .entered()
}

/// Nobody listens.
#[cfg(not(feature = "tracing"))]
pub(crate) fn begin(_: Work) -> Span {
    Span
}

/// Whole milliseconds since `began`.
pub(crate) fn milliseconds_since(began: std::time::Instant) -> u64 {
    began.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
}
