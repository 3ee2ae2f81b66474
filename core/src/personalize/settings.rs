//! What a caller may choose about learning from the history.

use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::adapter::LoraOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::gate::GateSettings;
use crate::privacy::Filter;
use crate::train::TrainOptions;

/// The settings of a training on the history.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LearnSettings {
    /// Steps, batches, rate, seed, budget.
    pub train: TrainOptions,
    /// The adapter's shape.
    pub lora: LoraOptions,
    /// What is hidden from training.
    pub filter: Filter,
    /// What the candidate has to show.
    pub gate: GateSettings,
    /// The share of tokens that generic text has in training, so that the model forgets less.
    pub replay_share: f64,
    /// Validation samples at most: they are measured after every epoch.
    pub most_validation: usize,
    /// Held-out samples at most.
    pub most_held_out: usize,
    /// Time between two checkpoints. Flash wears with writes: `None` means half a minute, or as much more as it takes that
    /// checkpoints of their size write a gigabyte an hour at most. Whatever it is, one is written at an epoch's end, where
    /// that is kept, and when a training pauses.
    pub checkpoint_every: Option<Duration>,
}

impl Default for LearnSettings {
    fn default() -> Self {
        Self {
            train: TrainOptions::default(),
            lora: LoraOptions::default(),
            filter: Filter::default(),
            gate: GateSettings::default(),
            replay_share: 0.2,
            most_validation: 200,
            most_held_out: 1000,
            checkpoint_every: None,
        }
    }
}

/// The greatest share of generic text: beyond it, most of a training would be spent on what nobody here wrote.
const MOST_REPLAYED: f64 = 0.5;

impl LearnSettings {
    /// Checks every value's range but the adapter's, which a model has to be there for.
    pub(crate) fn check(&self) -> Result<()> {
        self.train.check()?;
        self.gate.check()?;
        if (0.0..=MOST_REPLAYED).contains(&self.replay_share) {
            return Ok(());
        }
        let message = format!("a replay share of {} is outside 0 to {MOST_REPLAYED}", self.replay_share);
        Err(Error::new(ErrorKind::BadOption, message))
    }

    /// What makes two trainings on the same history come to the same, as hexadecimal digits: all settings but the memory
    /// budget and the time between checkpoints, which change no bit. They go by their names, whatever order this library
    /// has them in.
    pub(super) fn digest(&self) -> Result<String> {
        let train = TrainOptions { budget_bytes: None, ..self.train.clone() };
        let mut settings = serde_json::to_value(Self { train, checkpoint_every: None, ..self.clone() })
            .map_err(|_| Error::new(ErrorKind::BadOption, "settings that cannot be written as JSON"))?;
        settings.sort_all_objects();
        Ok(Sha256::digest(settings.to_string()).iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_refused() {
        let shared = |replay_share| LearnSettings { replay_share, ..LearnSettings::default() };
        let steps = TrainOptions { steps: Some(0), ..TrainOptions::default() };
        for (settings, allowed) in [
            (LearnSettings::default(), true),
            (shared(0.0), true),
            (shared(0.5), true),
            (shared(0.51), false),
            (shared(-0.1), false),
            (shared(f64::NAN), false),
            (LearnSettings { train: steps, ..LearnSettings::default() }, false),
        ] {
            assert_eq!(settings.check().is_ok(), allowed, "{settings:?}");
        }
    }

    #[test]
    fn the_digest_follows_what_changes_the_result() {
        let settings = LearnSettings::default();
        let with_train = |train| LearnSettings { train, ..settings.clone() };
        for (other, same) in [
            (settings.clone(), true),
            (with_train(TrainOptions { budget_bytes: Some(1), ..TrainOptions::default() }), true),
            (with_train(TrainOptions { seed: 1, ..TrainOptions::default() }), false),
            (LearnSettings { checkpoint_every: Some(Duration::from_secs(1)), ..settings.clone() }, true),
            (LearnSettings { replay_share: 0.1, ..settings.clone() }, false),
            (
                LearnSettings { lora: LoraOptions { rank: Some(4), ..LoraOptions::default() }, ..settings.clone() },
                false,
            ),
        ] {
            assert_eq!(other.digest().unwrap() == settings.digest().unwrap(), same, "{other:?}");
        }
    }
}
