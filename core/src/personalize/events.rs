//! What a training tells while it goes on.

use serde::Serialize;

use crate::train::StepReport;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LearnEvent {
    /// The training begins, or goes on from a checkpoint.
    Started {
        /// Optimizer steps in all.
        steps: usize,
        /// Steps that an earlier run has taken already.
        resumed_at: usize,
        /// Bytes that it takes at most, as [`TrainPlan::total_bytes`](crate::train::TrainPlan::total_bytes).
        planned_bytes: usize,
        /// As [`TrainPlan::exceeded_budget`](crate::train::TrainPlan::exceeded_budget).
        exceeded_budget: Option<usize>,
        /// The device, in words.
        device: String,
    },
    /// There was a checkpoint, and it is of no use any more.
    CheckpointDropped(DropReason),
    /// The newest checkpoint was damaged; the one before it is used.
    CheckpointDamaged,
    /// A step was taken.
    Step(StepReport),
    /// A loss or a gradient was no number: it begins again, with a lower learning rate.
    SetBack {
        /// Steps that had been taken.
        steps: usize,
        /// The highest rate of the next try.
        learning_rate: f32,
    },
    /// A pass over all samples ended.
    Epoch {
        /// Passes so far.
        epoch: usize,
        /// Mean loss on the validation samples, nats a token.
        validation_nll: f64,
    },
    /// The candidate is measured for the gate.
    Measuring {
        /// Samples measured, of the set that it is at: each set is counted anew.
        done: usize,
        /// Of how many in that set.
        total: usize,
    },
}

/// Why a checkpoint was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// Samples that it learned from were removed from the history.
    HistoryRemoved,
    /// The retention cap took most of the samples that it learned from, or edits replaced them.
    HistoryExpired,
    /// Settings, base model or device are others.
    SettingsChanged,
    /// It, or the list of the samples that it learned from, is damaged or of another version of this library.
    Damaged,
}

impl DropReason {
    /// The same in words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::HistoryRemoved => "samples that it learned from were removed from the history",
            Self::HistoryExpired => "most of the samples that it learned from have expired or were edited",
            Self::SettingsChanged => "settings, base model or device are others now",
            Self::Damaged => "it, or the list of what it learned from, is damaged or of another version",
        }
    }
}

impl std::fmt::Display for DropReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.words())
    }
}
