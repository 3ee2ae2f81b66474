//! The settings of a training and their defaults, the same in every language.

use serde::Serialize;

use super::schedule::{Decay, Schedule};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Model;

/// Batches that one step may add up: the seed of a row's dropout mask has this many numbers a step.
const MOST_ACCUMULATED: usize = 1 << 20;

/// How to train. What the adapter is (rank, alpha, targets, dropout) belongs to the adapter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainOptions {
    /// Optimizer steps; `None` follows from `epochs`.
    pub steps: Option<usize>,
    /// Passes over the samples.
    pub epochs: usize,
    /// Samples a step (before `accumulate`).
    pub batch_samples: usize,
    /// Batches that one step adds up.
    pub accumulate: usize,
    /// Longest sample in tokens; also the length of a packed row. A longer text becomes several samples.
    pub seq_len: usize,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Gradients are clipped to this norm; 0 means not at all.
    pub clip: f32,
    /// Seed of the adapter's first values, the order of samples and dropout.
    pub seed: u64,
    /// Memory that the training may take: of the process on the CPU, of the device on a GPU. `None` lets the planner
    /// take the fastest plan within 350 MB or twice the weights, whichever is more, and the smallest one where none
    /// keeps to that.
    pub budget_bytes: Option<usize>,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            steps: None,
            epochs: 3,
            batch_samples: 16,
            accumulate: 1,
            seq_len: 256,
            schedule: Schedule { peak: 2e-3, warmup: 10, decay: Decay::Linear, floor: 0.05 },
            weight_decay: 0.0,
            clip: 1.0,
            seed: 0,
            budget_bytes: None,
        }
    }
}

impl TrainOptions {
    /// Checks every value's range, and that the longest sample is none that `model` cannot hold.
    ///
    /// # Errors
    /// A [`ErrorKind::BadOption`] that names the option.
    pub fn check_for(&self, model: &Model) -> Result<()> {
        self.check()?;
        let context = model.base().context;
        // The default is no mistake: samples are looked at one by one, and short ones share a row.
        if self.seq_len > Self::default().seq_len.max(context + 1) {
            let message = format!("seq-len {}, and the model holds {context} tokens", self.seq_len);
            let hint = format!("give a seq-len of {context} at most");
            return Err(Error::new(ErrorKind::BadOption, message).with_hint(hint));
        }
        Ok(())
    }

    /// Checks every value's range.
    ///
    /// # Errors
    /// A [`ErrorKind::BadOption`] that names the option.
    pub fn check(&self) -> Result<()> {
        let positive = |name: &str, value: usize| match value {
            0 => Err(Error::new(ErrorKind::BadOption, format!("{name} must be at least 1"))),
            _ => Ok(()),
        };
        positive("steps", self.steps.unwrap_or(1))?;
        positive("epochs", self.epochs)?;
        positive("batch-samples", self.batch_samples)?;
        if !(1..=MOST_ACCUMULATED).contains(&self.accumulate) {
            let message = format!("accumulate {} is outside 1 to {MOST_ACCUMULATED}", self.accumulate);
            return Err(Error::new(ErrorKind::BadOption, message));
        }
        if self.seq_len < 2 {
            return Err(Error::new(ErrorKind::BadOption, "seq-len must be at least 2"));
        }
        let within = |name: &str, value: f32, most: f32| match value {
            v if (0.0..=most).contains(&v) => Ok(()),
            _ => Err(Error::new(ErrorKind::BadOption, format!("{name} must lie between 0 and {most}"))),
        };
        within("lr", self.schedule.peak, 10.0)?;
        within("min-lr-ratio", self.schedule.floor, 1.0)?;
        within("weight-decay", self.weight_decay, 10.0)?;
        within("clip", self.clip, f32::MAX)
    }
}
