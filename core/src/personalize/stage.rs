//! The stages of a training's course, each of which a checkpoint can hold.

use serde::{Deserialize, Serialize};

use super::judging::Losses;
use super::records::RunKey;
use super::report::{DeviceStretch, Setback};
use crate::adapter::Adapter;
use crate::eval::Measured;
use crate::train::{TrainOptions, TrainerState, TrainingSummary};

/// Where a training's course stands.
pub(super) enum Stage {
    /// Nothing is trained yet, or what was is given up for a lower learning rate.
    Beginning,
    /// Steps are taken.
    Training(Box<UnderWay>),
    /// The candidate is trained, and measured for the gate.
    Measuring(Box<Candidate>),
    /// No learning rate that was tried led to a candidate. It is no checkpoint's: it is written down as the end.
    Failed,
}

impl Stage {
    /// Steps taken.
    pub fn steps(&self) -> usize {
        match self {
            Self::Beginning | Self::Failed => 0,
            Self::Training(under_way) => under_way.summary.steps,
            Self::Measuring(candidate) => candidate.summary.steps,
        }
    }
}

/// Between two steps.
pub(super) struct UnderWay {
    pub state: TrainerState,
    pub summary: TrainingSummary,
    pub epochs: Epochs,
}

/// What a training knows of its epochs beside the trainer's own state.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Epochs {
    /// How many have ended.
    pub ended: usize,
    /// Mean validation loss after every one.
    pub validation: Vec<f64>,
    /// How far the one that ended last is validated.
    pub measured: Measured,
    /// The number that the best one's parameters are kept under; 0 before the first one's end.
    pub best_number: u64,
    /// Those parameters.
    #[serde(skip)]
    pub best: Vec<f32>,
    /// Whether they are yet to be written.
    #[serde(skip)]
    pub best_is_new: bool,
}

impl Epochs {
    /// What a checkpoint says of them: all but the best one's parameters.
    pub fn note(&self) -> Self {
        Self {
            ended: self.ended,
            validation: self.validation.clone(),
            // JSON has no way to write what is no number: that is measured again.
            measured: if self.measured.is_finite() { self.measured.clone() } else { Measured::default() },
            best_number: self.best_number,
            best: Vec::new(),
            best_is_new: false,
        }
    }

    /// Enters the validation loss of the epoch that ended; whether it is the best one so far.
    pub fn enter(&mut self, nll: f64) -> bool {
        self.validation.push(nll);
        best_epoch(&self.validation) == Some(self.validation.len())
    }

    /// Keeps the parameters of the best epoch so far. Those that were written stay until a checkpoint needs them no more.
    pub fn keep_best(&mut self, params: Vec<f32>) {
        if !self.best_is_new {
            self.best_number += 1;
        }
        (self.best, self.best_is_new) = (params, true);
    }
}

/// The epoch of the lowest validation loss, from 1.
pub(super) fn best_epoch(validation: &[f64]) -> Option<usize> {
    let best = validation.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1))?;
    Some(best.0 + 1)
}

/// A candidate that is trained.
pub(super) struct Candidate {
    pub adapter: Adapter,
    pub summary: TrainingSummary,
    pub validation: Vec<f64>,
    pub losses: Losses,
}

/// What a checkpoint says beside its arrays.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Progress {
    pub run: RunKey,
    pub way: Way,
    pub stage: Noted,
}

/// The stage of a checkpoint, and what its arrays are.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Noted {
    /// None.
    Beginning,
    /// Parameters and both moments; the best epoch's parameters are kept beside.
    Training(TrainingSummary, Epochs),
    /// The candidate's parameters.
    Measuring { summary: TrainingSummary, validation: Vec<f64>, losses: Losses },
}

/// What was met on the way, by whichever processes went it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Way {
    /// The devices of the present try, one after the other.
    #[serde(default)]
    pub devices: Vec<DeviceStretch>,
    /// The tries that were given up.
    pub setbacks: Vec<Setback>,
    /// Bytes written, the checkpoint that says so left out.
    pub bytes_written: u64,
}

/// A try's learning rate as a share of the one before it.
const LOWERED: f32 = 0.25;

/// Tries that are given up at most, before the training fails.
const MOST_SETBACKS: usize = 4;

impl Way {
    /// The options of the present try.
    pub fn options(&self, asked: &TrainOptions) -> TrainOptions {
        let mut options = asked.clone();
        options.schedule.peak *= LOWERED.powi(self.setbacks.len() as i32);
        options
    }

    /// Gives the present try up, after `steps` steps; whether another one may help.
    pub fn set_back(&mut self, steps: usize, asked: &TrainOptions) -> bool {
        let learning_rate = self.options(asked).schedule.peak;
        self.setbacks.push(Setback { steps, learning_rate });
        // The next try is all the last one's.
        if let Some(last) = self.devices.pop() {
            self.devices = vec![DeviceStretch { from_step: 0, ..last }];
        }
        // The first loss is the base's own: no learning rate changes it.
        steps > 0 && self.setbacks.len() < MOST_SETBACKS
    }

    /// The training goes on on `device`, with `steps` steps taken.
    pub fn go_on_on(&mut self, device: &str, steps: usize) {
        // Of one that had not taken a step, or had taken them beyond the checkpoint, nothing is left.
        self.devices.retain(|before| before.from_step < steps);
        if self.devices.last().is_none_or(|last| last.device != device) {
            self.devices.push(DeviceStretch { device: device.to_owned(), from_step: steps });
        }
    }

    /// The devices in words.
    pub fn device(&self) -> String {
        let mut words = String::new();
        for (number, DeviceStretch { device, from_step }) in self.devices.iter().enumerate() {
            match number {
                0 => words.push_str(device),
                _ => words.push_str(&format!(", from step {from_step} on {device}")),
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_epoch_has_another_number_once_the_one_before_is_written() {
        let mut epochs = Epochs::default();
        // Validation loss; whether the epoch is the best so far; its number then, where every other best one is written.
        for (nll, best, number) in [(3.0, true, 1), (2.0, true, 1), (2.5, false, 1), (1.5, true, 2), (1.4, true, 2)] {
            assert_eq!(epochs.enter(nll), best, "{nll}");
            if best {
                epochs.keep_best(vec![nll as f32]);
                epochs.best_is_new = ![2.0, 1.4].contains(&nll);
            }
            assert_eq!((epochs.best_number, best_epoch(&epochs.validation).is_some()), (number, true), "{nll}");
        }
        let noted: Epochs = serde_json::from_value(serde_json::to_value(epochs.note()).unwrap()).unwrap();
        assert_eq!((noted.best_number, noted.best.len(), noted.best_is_new), (2, 0, false));
    }

    #[test]
    fn tries_end_and_each_is_slower_than_the_one_before() {
        let asked = TrainOptions::default();
        let mut way = Way::default();
        assert_eq!(way.options(&asked), asked);
        let mut rates = vec![asked.schedule.peak];
        while way.set_back(7, &asked) {
            rates.push(way.options(&asked).schedule.peak);
        }
        assert_eq!(rates, [2e-3, 5e-4, 1.25e-4, 3.125e-5]);
        let met: Vec<_> = way.setbacks.iter().map(|setback| (setback.steps, setback.learning_rate)).collect();
        assert_eq!(met, rates.into_iter().map(|rate| (7, rate)).collect::<Vec<_>>());
        assert!(!Way::default().set_back(0, &asked), "before the first step there is nothing to lower");
    }

    #[test]
    fn the_devices_are_told_with_the_steps_that_they_began_at() {
        let mut way = Way::default();
        // The device, the steps taken when it begins, what is said of all so far.
        for (device, steps, words) in [
            ("a GPU", 0, "a GPU"),
            ("a GPU", 10, "a GPU"),
            ("the CPU", 40, "a GPU, from step 40 on the CPU"),
            ("a GPU", 40, "a GPU"),
            ("the CPU", 50, "a GPU, from step 50 on the CPU"),
            ("a GPU", 55, "a GPU, from step 50 on the CPU, from step 55 on a GPU"),
            ("the CPU", 58, "a GPU, from step 50 on the CPU, from step 55 on a GPU, from step 58 on the CPU"),
        ] {
            way.go_on_on(device, steps);
            assert_eq!(way.device(), words, "{device} at {steps}");
        }
        way.set_back(60, &TrainOptions::default());
        assert_eq!(way.device(), "the CPU");
        way.go_on_on("a GPU", 0);
        assert_eq!(way.device(), "a GPU");
    }
}
