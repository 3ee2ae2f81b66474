//! What a training on the history came to.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::device::DeviceInfo;
use crate::gate::{Reason, Verdict};
use crate::registry::Version;
use crate::samples::SampleCounts;
use crate::train::TrainingSummary;

/// The report of a training that went through the gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearnReport {
    /// What became of the candidate, and why, in numbers.
    pub verdict: Verdict,
    /// The version that it became, if it was promoted.
    pub version: Option<u32>,
    /// SHA-256 of the candidate's parameters, promoted or not.
    pub candidate_sha256: Option<String>,
    /// The share of its effect that it is used with.
    pub strength: f32,
    /// Texts learned from, repeats counted; validation texts; held-out texts.
    pub samples: [usize; 3],
    /// What became of those texts, repeats not counted: what was cut, parted or left out.
    #[serde(default)]
    pub counts: SampleCounts,
    /// Languages of the person's, by ISO 639-3, that there is no generic text in, and in which forgetting was measured on
    /// what the base itself writes. [`Verdict::forgetting_in`] has them among the others.
    #[serde(default)]
    pub own_sampled_languages: Vec<String>,
    /// Languages of the person's in which forgetting was not measured: there is no generic text in them, and too little of
    /// the person's for the base to go on with.
    #[serde(default)]
    pub unmeasured_languages: Vec<String>,
    /// The training's steps, losses, tokens and seconds.
    pub summary: TrainingSummary,
    /// The tries that were given up, each for a lower learning rate, because a loss or a gradient was no number.
    #[serde(default)]
    pub setbacks: Vec<Setback>,
    /// Bytes that the training wrote so that it could go on elsewhere, by all its processes: checkpoints, the best epochs'
    /// parameters, what was chosen. What a killed process had not finished is not among them.
    #[serde(default)]
    pub bytes_written: u64,
    /// Mean validation loss after every epoch, nats a token.
    pub validation: Vec<f64>,
    /// The epoch whose parameters the candidate has, from 1; none where nothing was validated.
    pub best_epoch: Option<usize>,
    /// Whether it went on from a checkpoint.
    pub resumed: bool,
    /// Whether nothing had changed since the last training, so that this is its report.
    pub unchanged: bool,
    /// How often the gate was asked in the life of the profile, this time included.
    pub asked: u32,
    /// The device, in words; where it went on on another, from which step.
    pub device: String,
    /// The same for programs; nothing in the report of an earlier release.
    #[serde(default)]
    pub devices: Vec<DeviceStretch>,
}

/// A device of a training.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceStretch {
    /// Its name.
    pub device: String,
    /// Steps that had been taken when it began.
    pub from_step: usize,
}

/// A try that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Setback {
    /// Steps that had been taken.
    pub steps: usize,
    /// The highest learning rate of the try.
    pub learning_rate: f32,
}

impl LearnReport {
    /// Whether the training failed: no learning rate that was tried led to a candidate. The verdict's reason says so.
    pub fn has_failed(&self) -> bool {
        matches!(self.verdict.reason, Reason::Diverged { .. })
    }

    /// What the training that made a version reported; nothing for a version from elsewhere.
    pub fn of(version: &Version) -> Option<Self> {
        let report: Self = serde_json::from_value(Value::Object(version.report.clone())).ok()?;
        // It was written before the version had its number.
        Some(Self { version: Some(version.version), ..report })
    }

    /// The report of a training that came to no candidate.
    pub(super) fn without_candidate(verdict: Verdict, device: &DeviceInfo) -> Self {
        Self {
            verdict,
            version: None,
            candidate_sha256: None,
            strength: 1.0,
            samples: [0; 3],
            counts: SampleCounts::default(),
            own_sampled_languages: Vec::new(),
            unmeasured_languages: Vec::new(),
            summary: TrainingSummary::default(),
            setbacks: Vec::new(),
            bytes_written: 0,
            validation: Vec::new(),
            best_epoch: None,
            resumed: false,
            unchanged: false,
            asked: 0,
            device: device.name.clone(),
            devices: vec![DeviceStretch { device: device.name.clone(), from_step: 0 }],
        }
    }
}
