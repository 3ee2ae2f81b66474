//! What a training tells while it goes on.

use idiolect::personalize;

use crate::mirror::mirror;

mirror! {
    /// Why a checkpoint was dropped.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
    pub enum DropReason from personalize::DropReason {
        /// Samples that it learned from were removed from the history.
        HistoryRemoved,
        /// The retention cap took most of the samples that it learned from, or edits replaced them.
        HistoryExpired,
        /// Settings, base model or device are others.
        SettingsChanged,
        /// It, or the list of the samples that it learned from, is damaged or of another version of this library.
        Damaged,
    }
}

/// Something that happened in a training.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum LearnEvent {
    /// The training begins, or goes on from a checkpoint.
    Started {
        /// Optimizer steps in all.
        steps: u64,
        /// Steps that an earlier run has taken already.
        resumed_at: u64,
        /// Bytes that it takes at most.
        planned_bytes: u64,
        /// The budget that trainings usually keep to, where none was given and this one cannot.
        exceeded_budget: Option<u64>,
        /// The device, in words.
        device: String,
    },
    /// There was a checkpoint, and it is of no use any more.
    CheckpointDropped {
        /// Why.
        reason: DropReason,
    },
    /// The newest checkpoint was damaged; the one before it is used.
    CheckpointDamaged,
    /// A step was taken.
    Step {
        /// The step, from 1.
        step: u64,
        /// Mean loss of the step's tokens before the update, nats a token.
        loss: f32,
        /// Tokens a second.
        tokens_per_second: f64,
        /// Bytes on the device.
        device_bytes: u64,
    },
    /// A loss or a gradient was no number: it begins again, with a lower learning rate.
    SetBack {
        /// Steps that had been taken.
        steps: u64,
        /// The highest rate of the next try.
        learning_rate: f32,
    },
    /// A pass over all samples ended.
    Epoch {
        /// Passes so far.
        epoch: u64,
        /// Mean loss on the validation samples, nats a token.
        validation_nll: f64,
    },
    /// The candidate is measured for the gate.
    Measuring {
        /// Samples measured, of the set that it is at: each set is counted anew.
        done: u64,
        /// Of how many in that set.
        total: u64,
    },
}

impl LearnEvent {
    /// None for an event that this surface does not know yet.
    pub(crate) fn of(event: personalize::LearnEvent) -> Option<Self> {
        use personalize::LearnEvent as Event;
        Some(match event {
            Event::Started { steps, resumed_at, planned_bytes, exceeded_budget, device } => Self::Started {
                steps: steps as u64,
                resumed_at: resumed_at as u64,
                planned_bytes: planned_bytes as u64,
                exceeded_budget: exceeded_budget.map(|bytes| bytes as u64),
                device,
            },
            Event::CheckpointDropped(reason) => Self::CheckpointDropped { reason: reason.into() },
            Event::CheckpointDamaged => Self::CheckpointDamaged,
            Event::Step(report) => Self::Step {
                step: report.step as u64,
                loss: report.loss,
                tokens_per_second: report.tokens_per_second,
                device_bytes: report.device_bytes as u64,
            },
            Event::SetBack { steps, learning_rate } => Self::SetBack { steps: steps as u64, learning_rate },
            Event::Epoch { epoch, validation_nll } => Self::Epoch { epoch: epoch as u64, validation_nll },
            Event::Measuring { done, total } => Self::Measuring { done: done as u64, total: total as u64 },
            _ => return None,
        })
    }
}
