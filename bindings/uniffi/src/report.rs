//! What a training came to.

use idiolect::engine::{self, LearnOutcome as Outcome};
use idiolect::{gate, personalize, samples};

use crate::mirror::mirror;

/// How a training ended.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum LearnOutcome {
    /// It went through the gate.
    Finished {
        /// What it came to.
        report: LearnReport,
    },
    /// It left a checkpoint; the next call goes on from there.
    Paused {
        /// Why.
        reason: PauseReason,
    },
    /// It came to no candidate: its verdict says why, and its setbacks what was tried. On the same history it is not tried
    /// again.
    Failed {
        /// What it came to.
        report: LearnReport,
    },
}

impl From<Outcome> for LearnOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Finished(report) => Self::Finished { report: (*report).into() },
            Outcome::Paused(reason) => Self::Paused { reason: reason.into() },
            Outcome::Failed(report) => Self::Failed { report: (*report).into() },
        }
    }
}

mirror! {
    /// Why a training paused.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
    pub enum PauseReason from engine::PauseReason {
        /// The caller cancelled it.
        Cancelled,
        /// Memory was asked back.
        MemoryPressure,
        /// The engine is shutting down.
        Closing,
        /// The device was lost, and again when it was opened anew; the CPU was not allowed to go on, or failed as well.
        DeviceLost,
        /// The engine was suspended, and another process trains on the profile since.
        Suspended,
    }
}

/// The report of a training that went through the gate.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct LearnReport {
    /// What became of the candidate, and why, in numbers.
    pub verdict: Verdict,
    /// The version that it became, if it was promoted.
    pub version: Option<u32>,
    /// SHA-256 of the candidate's parameters, promoted or not.
    pub candidate_sha256: Option<String>,
    /// The share of its effect that it is used with.
    pub strength: f32,
    /// Texts learned from, repeats counted.
    pub training_samples: u64,
    /// Validation texts.
    pub validation_samples: u64,
    /// Held-out texts.
    pub held_out_samples: u64,
    /// What became of those texts, repeats not counted: what was cut, parted or left out.
    pub counts: SampleCounts,
    /// Languages of the person's, by ISO 639-3, that there is no generic text in, and in which forgetting was measured on
    /// what the base itself writes.
    pub own_sampled_languages: Vec<String>,
    /// Languages of the person's in which forgetting was not measured: there is no generic text in them, and too little of
    /// the person's for the base to go on with.
    pub unmeasured_languages: Vec<String>,
    /// Optimizer steps.
    pub steps: u64,
    /// Loss of the first step, nats a token.
    pub first_loss: Option<f32>,
    /// Loss of the last step.
    pub last_loss: Option<f32>,
    /// Tokens that went through the model.
    pub tokens: u64,
    /// Seconds in steps.
    pub seconds: f64,
    /// Bytes that the training took at most.
    pub planned_bytes: u64,
    /// The budget that trainings usually keep to, where none was given and this one could not.
    pub exceeded_budget: Option<u64>,
    /// The tries that were given up, each for a lower learning rate, because a loss or a gradient was no number.
    pub setbacks: Vec<Setback>,
    /// Bytes that the training wrote so that it could go on elsewhere, by all its processes.
    pub bytes_written: u64,
    /// Mean validation loss after every epoch, nats a token.
    pub validation: Vec<f64>,
    /// The epoch whose parameters the candidate has, from 1; none where nothing was validated.
    pub best_epoch: Option<u64>,
    /// Whether it went on from a checkpoint.
    pub resumed: bool,
    /// Whether nothing had changed since the last training, so that this is its report.
    pub unchanged: bool,
    /// How often the gate was asked in the life of the profile, this time included.
    pub asked: u32,
    /// The device, in words; where it went on on another, from which step.
    pub device: String,
    /// The same for programs.
    pub devices: Vec<DeviceStretch>,
}

mirror! {
    /// A device of a training.
    #[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
    pub struct DeviceStretch from personalize::DeviceStretch {
        /// Its name.
        pub device: String,
        /// Steps that had been taken when it began.
        pub from_step: u64,
    }
}

impl From<personalize::LearnReport> for LearnReport {
    fn from(report: personalize::LearnReport) -> Self {
        let [training, validation, held_out] = report.samples;
        Self {
            verdict: report.verdict.into(),
            version: report.version,
            candidate_sha256: report.candidate_sha256,
            strength: report.strength,
            training_samples: training as u64,
            validation_samples: validation as u64,
            held_out_samples: held_out as u64,
            counts: report.counts.into(),
            own_sampled_languages: report.own_sampled_languages,
            unmeasured_languages: report.unmeasured_languages,
            steps: report.summary.steps as u64,
            first_loss: report.summary.first_loss,
            last_loss: report.summary.last_loss,
            tokens: report.summary.tokens as u64,
            seconds: report.summary.seconds,
            planned_bytes: report.summary.planned_bytes as u64,
            exceeded_budget: report.summary.exceeded_budget.map(|bytes| bytes as u64),
            setbacks: report.setbacks.into_iter().map(Into::into).collect(),
            bytes_written: report.bytes_written,
            validation: report.validation,
            best_epoch: report.best_epoch.map(|epoch| epoch as u64),
            resumed: report.resumed,
            unchanged: report.unchanged,
            asked: report.asked,
            device: report.device,
            devices: report.devices.into_iter().map(Into::into).collect(),
        }
    }
}

mirror! {
    /// A try of a training that was given up.
    #[derive(Debug, Clone, Copy, PartialEq, uniffi::Record)]
    pub struct Setback from personalize::Setback {
        /// Steps that had been taken.
        pub steps: u64,
        /// The highest learning rate of the try.
        pub learning_rate: f32,
    }
}

mirror! {
    /// What became of texts on their way to samples that fit a row.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
    pub struct SampleCounts from samples::SampleCounts {
        /// Texts, those that were left out among them.
        pub texts: u64,
        /// The samples that they became.
        pub samples: u64,
        /// Texts whose context was cut at its start.
        pub contexts_cut: u64,
        /// Tokens of contexts that were cut off.
        pub context_tokens_cut: u64,
        /// Texts longer than a row.
        pub texts_parted: u64,
        /// The samples that those became.
        pub parts: u64,
        /// Texts left out because they are blank.
        pub blank: u64,
        /// Texts left out because the model's chat template alone fills the row.
        pub no_room: u64,
        /// Texts left out because the model's chat template or its vocabulary refuses them.
        pub refused: u64,
    }
}

mirror! {
    /// What becomes of a candidate.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
    pub enum Decision from gate::Decision {
        /// It becomes the active adapter.
        Promoted,
        /// What was active stays: nothing speaks against the candidate but that nothing was shown for it.
        Kept,
        /// What was active stays: the candidate does harm, or learned from what is no language.
        Rejected,
    }
}

/// Why, for programs; the verdict has the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum GateReason {
    /// Promoted: the gain is real, and training held what the base knew.
    RealGain,
    /// Promoted: the gain is real, but more of generic text was forgotten than training should hold.
    RealGainDespiteForgetting,
    /// Kept: too little held-out text to tell.
    TooFewHeldOut,
    /// Kept: smaller than what is worth a change.
    GainTooSmall,
    /// Kept: chance explains the gain.
    GainUnproven,
    /// Rejected: held-out text got worse, beyond chance.
    Worse,
    /// Rejected: too much of generic text was forgotten.
    Forgets,
    /// Rejected: the history cannot be learned from.
    UnfitHistory,
    /// Rejected: the losses cannot be compared.
    NotMeasurable,
    /// Rejected: training came to no candidate, for a loss or a gradient was no number.
    Diverged,
    /// A reason that this surface does not know yet: the words say what it is.
    Other,
}

impl From<gate::Reason> for GateReason {
    fn from(reason: gate::Reason) -> Self {
        use gate::Reason;
        match reason {
            Reason::RealGain { .. } => Self::RealGain,
            Reason::RealGainDespiteForgetting { .. } => Self::RealGainDespiteForgetting,
            Reason::TooFewHeldOut { .. } => Self::TooFewHeldOut,
            Reason::GainTooSmall { .. } => Self::GainTooSmall,
            Reason::GainUnproven { .. } => Self::GainUnproven,
            Reason::Worse { .. } => Self::Worse,
            Reason::Forgets { .. } => Self::Forgets,
            Reason::UnfitHistory { .. } => Self::UnfitHistory,
            Reason::NotMeasurable => Self::NotMeasurable,
            Reason::Diverged { .. } => Self::Diverged,
            _ => Self::Other,
        }
    }
}

mirror! {
    /// A measured value and the bounds of its interval.
    #[derive(Debug, Clone, Copy, PartialEq, uniffi::Record)]
    pub struct Estimate from gate::Estimate {
        /// The estimate.
        pub value: f64,
        /// Its lower bound.
        pub low: f64,
        /// Its upper bound.
        pub high: f64,
    }
}

mirror! {
    /// How much of a language was forgotten.
    #[derive(Debug, Clone, PartialEq, uniffi::Record)]
    pub struct Forgetting from gate::Forgetting {
        /// ISO 639-3.
        pub language: String,
        /// Relative rise of the loss on generic text, 0.05 for 5 %.
        pub rise: Estimate,
    }
}

/// The gate's answer. Numbers are none where too little was measured to compute them.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Verdict {
    /// What becomes of the candidate.
    pub decision: Decision,
    /// Why, for programs.
    pub reason: GateReason,
    /// Why, in words.
    pub explanation: String,
    /// Mean loss on held-out text before, nats a token.
    pub held_out_before: Option<f64>,
    /// The same after.
    pub held_out_after: Option<f64>,
    /// Before less after, nats a token.
    pub gain: Option<Estimate>,
    /// Relative rise of the loss on generic text, 0.05 for 5 %, in the language in which it may have risen most.
    pub forgetting: Option<Estimate>,
    /// The same in each language that it was measured in.
    pub forgetting_in: Vec<Forgetting>,
    /// Held-out texts that were compared.
    pub samples: u64,
    /// Independent units among them: a conversation's texts of one day are one, near-duplicates are one.
    pub units: u64,
}

impl From<gate::Verdict> for Verdict {
    fn from(verdict: gate::Verdict) -> Self {
        Self {
            decision: verdict.decision.into(),
            reason: verdict.reason.into(),
            explanation: verdict.reason.to_string(),
            held_out_before: verdict.held_out_before,
            held_out_after: verdict.held_out_after,
            gain: verdict.gain.map(Into::into),
            forgetting: verdict.forgetting.map(Into::into),
            forgetting_in: verdict.forgetting_in.into_iter().map(Into::into).collect(),
            samples: verdict.samples as u64,
            units: verdict.units as u64,
        }
    }
}
