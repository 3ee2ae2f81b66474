//! How to learn. What is left open takes the engine's default.

use std::time::Duration;

use idiolect::adapter::LoraOptions;
use idiolect::format::peft::Modules;
use idiolect::privacy::{Filter, Rule};
use idiolect::train::{self, TrainOptions};
use idiolect::{gate, personalize};

use crate::mirror::mirror;

mirror! {
    /// How the learning rate falls after warm-up.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
    pub enum Decay into train::Decay {
        /// It does not.
        Constant,
        /// Linearly.
        Linear,
        /// Along half a cosine.
        Cosine,
    }
}

/// Steps, batches, rate, seed, budget.
#[derive(Debug, Clone, Default, PartialEq, uniffi::Record)]
pub struct TrainSettings {
    /// Optimizer steps; none means that they follow from `epochs`.
    #[uniffi(default = None)]
    pub steps: Option<u32>,
    /// Passes over the samples.
    #[uniffi(default = None)]
    pub epochs: Option<u32>,
    /// Samples a step (before `accumulate`).
    #[uniffi(default = None)]
    pub batch_samples: Option<u32>,
    /// Batches that one step adds up.
    #[uniffi(default = None)]
    pub accumulate: Option<u32>,
    /// Longest sample in tokens; a longer text becomes several samples.
    #[uniffi(default = None)]
    pub seq_len: Option<u32>,
    /// The highest learning rate.
    #[uniffi(default = None)]
    pub learning_rate: Option<f32>,
    /// Steps of warm-up.
    #[uniffi(default = None)]
    pub warmup: Option<u32>,
    /// The fall after it.
    #[uniffi(default = None)]
    pub decay: Option<Decay>,
    /// The share of the highest rate below which it does not fall.
    #[uniffi(default = None)]
    pub floor: Option<f32>,
    /// Decoupled weight decay.
    #[uniffi(default = None)]
    pub weight_decay: Option<f32>,
    /// Gradients are clipped to this norm; 0 means not at all.
    #[uniffi(default = None)]
    pub clip: Option<f32>,
    /// Seed of the adapter's first values, the order of samples and dropout.
    #[uniffi(default = None)]
    pub seed: Option<u64>,
    /// Memory that the training may take, in bytes; by default 350 MB, twice the weights, or the least there is.
    #[uniffi(default = None)]
    pub budget_bytes: Option<u64>,
}

impl From<TrainSettings> for TrainOptions {
    fn from(settings: TrainSettings) -> Self {
        let defaults = Self::default();
        let count = |value: Option<u32>, default: usize| value.map_or(default, |value| value as usize);
        let schedule = defaults.schedule;
        Self {
            steps: settings.steps.map(|steps| steps as usize),
            epochs: count(settings.epochs, defaults.epochs),
            batch_samples: count(settings.batch_samples, defaults.batch_samples),
            accumulate: count(settings.accumulate, defaults.accumulate),
            seq_len: count(settings.seq_len, defaults.seq_len),
            schedule: train::Schedule {
                peak: settings.learning_rate.unwrap_or(schedule.peak),
                warmup: count(settings.warmup, schedule.warmup),
                decay: settings.decay.map_or(schedule.decay, Into::into),
                floor: settings.floor.unwrap_or(schedule.floor),
            },
            weight_decay: settings.weight_decay.unwrap_or(defaults.weight_decay),
            clip: settings.clip.unwrap_or(defaults.clip),
            seed: settings.seed.unwrap_or(defaults.seed),
            budget_bytes: settings.budget_bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        }
    }
}

/// The adapter's shape.
#[derive(Debug, Clone, Default, PartialEq, uniffi::Record)]
pub struct LoraSettings {
    /// The rank; 8 by default.
    #[uniffi(default = None)]
    pub rank: Option<u32>,
    /// What the adapter's term is scaled by, times the rank; twice the rank by default.
    #[uniffi(default = None)]
    pub alpha: Option<f64>,
    /// Dropout on the adapter's input while training; none by default.
    #[uniffi(default = None)]
    pub dropout: Option<f32>,
    /// Whether the scale is alpha / √rank instead of alpha / rank; it is not by default.
    #[uniffi(default = None)]
    pub rslora: Option<bool>,
    /// The linear layers to adapt, by name; all by default.
    #[uniffi(default = None)]
    pub target_modules: Option<Vec<String>>,
}

impl From<LoraSettings> for LoraOptions {
    fn from(settings: LoraSettings) -> Self {
        Self {
            rank: settings.rank.map(|rank| rank as usize),
            alpha: settings.alpha,
            dropout: settings.dropout,
            rslora: settings.rslora,
            target_modules: settings.target_modules.map(Modules::Names),
        }
    }
}

/// What a candidate has to show.
#[derive(Debug, Clone, Default, PartialEq, uniffi::Record)]
pub struct GateSettings {
    /// Independent units of held-out text (a conversation's day, a text that differs) below which nothing is promoted.
    #[uniffi(default = None)]
    pub min_units: Option<u32>,
    /// Smallest gain worth a change, nats a token.
    #[uniffi(default = None)]
    pub min_gain: Option<f64>,
    /// Probability that noise is ever promoted, however often the gate is asked in the life of the
    /// profile.
    #[uniffi(default = None)]
    pub alpha: Option<f64>,
    /// Relative rise of the loss on generic text that training should hold.
    #[uniffi(default = None)]
    pub held_forgetting: Option<f64>,
    /// Relative rise of the loss on generic text that rejects a candidate by itself.
    #[uniffi(default = None)]
    pub max_forgetting: Option<f64>,
}

impl From<GateSettings> for gate::GateSettings {
    fn from(settings: GateSettings) -> Self {
        let defaults = Self::default();
        Self {
            min_units: settings.min_units.map_or(defaults.min_units, |units| units as usize),
            min_gain: settings.min_gain.unwrap_or(defaults.min_gain),
            alpha: settings.alpha.unwrap_or(defaults.alpha),
            held_forgetting: settings.held_forgetting.unwrap_or(defaults.held_forgetting),
            max_forgetting: settings.max_forgetting.unwrap_or(defaults.max_forgetting),
        }
    }
}

mirror! {
    /// One kind of private stretch that is masked before training sees a text.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
    pub enum PrivacyRule into Rule {
        /// Passwords and PINs named as such, and those in addresses and command lines.
        Password,
        /// API keys, access tokens and private keys.
        ApiKey,
        /// Seed phrases of wallets (BIP-39).
        SeedPhrase,
        /// International bank account numbers.
        Iban,
        /// Identity, tax and insurance numbers of persons, by country.
        NationalId,
        /// Payment card numbers.
        PaymentCard,
        /// Numbers of passports, and the lines of travel documents that machines read.
        Passport,
        /// E-mail addresses.
        Email,
        /// One-time and verification codes.
        OneTimeCode,
        /// Coordinates, places in links to maps, plus codes and three words.
        Coordinates,
        /// Telephone numbers.
        Phone,
        /// House numbers with their street, and the postcode beside.
        StreetAddress,
    }
}

/// The settings of a training on the history.
#[derive(Debug, Clone, Default, PartialEq, uniffi::Record)]
pub struct LearnSettings {
    /// Steps, batches, rate, seed, budget.
    #[uniffi(default)]
    pub train: TrainSettings,
    /// The adapter's shape.
    #[uniffi(default)]
    pub lora: LoraSettings,
    /// What the candidate has to show.
    #[uniffi(default)]
    pub gate: GateSettings,
    /// Rules of the privacy filter that are switched off; all are on by default.
    #[uniffi(default)]
    pub unmasked: Vec<PrivacyRule>,
    /// The share of tokens that generic text has in training, so that the model forgets less.
    #[uniffi(default = None)]
    pub replay_share: Option<f64>,
    /// Validation samples at most.
    #[uniffi(default = None)]
    pub most_validation: Option<u32>,
    /// Held-out samples at most.
    #[uniffi(default = None)]
    pub most_held_out: Option<u32>,
    /// Milliseconds between two checkpoints; by default half a minute, or as much more as it takes that they write a gigabyte
    /// an hour at most.
    #[uniffi(default = None)]
    pub checkpoint_every_ms: Option<u64>,
}

impl From<LearnSettings> for personalize::LearnSettings {
    fn from(settings: LearnSettings) -> Self {
        let defaults = Self::default();
        Self {
            train: settings.train.into(),
            lora: settings.lora.into(),
            gate: settings.gate.into(),
            filter: Filter::without(settings.unmasked.into_iter().map(Into::into)),
            replay_share: settings.replay_share.unwrap_or(defaults.replay_share),
            most_validation: settings.most_validation.map_or(defaults.most_validation, |most| most as usize),
            most_held_out: settings.most_held_out.map_or(defaults.most_held_out, |most| most as usize),
            checkpoint_every: settings.checkpoint_every_ms.map(Duration::from_millis),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_open_is_the_engines_default() {
        assert_eq!(personalize::LearnSettings::from(LearnSettings::default()), personalize::LearnSettings::default());
    }
}
