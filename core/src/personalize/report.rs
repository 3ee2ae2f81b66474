//! What a training on the history came to.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::device::DeviceInfo;
use crate::gate::Verdict;
use crate::registry::Version;
use crate::train::{SampleCounts, TrainingSummary};

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
    /// Languages of the person's, by ISO 639-3, in which forgetting was not measured: there is no generic text in them.
    /// [`Verdict::forgetting_in`] has the others.
    #[serde(default)]
    pub unmeasured_languages: Vec<String>,
    /// The training's steps, losses, tokens and seconds.
    pub summary: TrainingSummary,
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
    /// The device, in words; one after the other where it went on on another.
    pub device: String,
}

impl LearnReport {
    /// What the training that made a version reported; nothing for a version from elsewhere.
    pub fn of(version: &Version) -> Option<Self> {
        let report: Self = serde_json::from_value(Value::Object(version.report.clone())).ok()?;
        // It was written before the version had its number.
        Some(Self { version: Some(version.version), ..report })
    }

    /// The report on a history that was not learned from.
    pub(super) fn unfit(verdict: Verdict, device: &DeviceInfo) -> Self {
        Self {
            verdict,
            version: None,
            candidate_sha256: None,
            strength: 1.0,
            samples: [0; 3],
            counts: SampleCounts::default(),
            unmeasured_languages: Vec::new(),
            summary: TrainingSummary::default(),
            validation: Vec::new(),
            best_epoch: None,
            resumed: false,
            unchanged: false,
            asked: 0,
            device: device.name.clone(),
        }
    }
}
