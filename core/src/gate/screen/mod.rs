//! The screen: which of what was written can teach a language at all.
//!
//! A history can hold what is no language (random characters) or the same message over and over. Neither is a way of
//! writing, and training on it spoils the model. The screen looks for both without knowing any language: a [`Screen`]
//! sees the whole history once and becomes a [`Sieve`], which then says of each message whether it is [`Learnable`],
//! and of the whole whether it is fit to be learned from.
//!
//! [`Learnable`]: Learnability::Learnable

mod alphabet;
mod fitness;
mod ngrams;
mod randomness;

use std::collections::BTreeMap;

pub use self::fitness::{Fitness, Tally, Unfit};
use self::ngrams::{Ngrams, Normalized};
use self::randomness::{JUDGED_CHARACTERS, looks_random};
use crate::random::Random;

/// Clusters whose text the statistics rest on. A history of any length costs the memory of so many.
const SAMPLED_CLUSTERS: usize = 2000;

/// One message of a history.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// What the person wrote.
    pub text: &'a str,
    /// How often they wrote exactly this.
    pub repeats: u64,
    /// The near-duplicate cluster it belongs to.
    pub cluster: u64,
    /// Messages in that cluster, repeats included.
    pub cluster_size: u64,
}

/// What a message is good for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Learnability {
    /// Language: learned as often as it was written.
    Learnable,
    /// A message that fills more of the history than one may. How often someone says "otw" is style, so it stays, but
    /// each writing counts for `weight` of one, 0 < `weight` < 1.
    Repetitive {
        /// What one writing of it counts for.
        weight: f64,
    },
    /// Characters in no order: never learned.
    NotLanguage,
}

impl Learnability {
    /// What one writing of the message counts for, from 0 to 1.
    pub fn weight(self) -> f64 {
        match self {
            Self::Learnable => 1.0,
            Self::Repetitive { weight } => weight,
            Self::NotLanguage => 0.0,
        }
    }
}

/// The first pass over a history.
#[derive(Debug, Default)]
pub struct Screen {
    /// A bottom-k sample of the clusters (Cohen, 1997): those with the smallest keys, whatever their order and size.
    sampled: BTreeMap<u64, Normalized>,
    messages: u64,
}

impl Screen {
    /// A screen that has seen nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of a message.
    pub fn see(&mut self, written: &Written<'_>) {
        self.messages = self.messages.saturating_add(written.repeats.max(1));
        let key = cluster_key(written.cluster);
        let full = self.sampled.len() >= SAMPLED_CLUSTERS;
        if self.sampled.contains_key(&key) || full && self.sampled.last_key_value().is_some_and(|(last, _)| key > *last)
        {
            return;
        }
        self.sampled.insert(key, Normalized::new(written.text));
        if full {
            self.sampled.pop_last();
        }
    }

    /// Ends the pass.
    pub fn finish(self) -> Sieve {
        let mut ngrams = Ngrams::default();
        self.sampled.values().for_each(|text| ngrams.add(text));
        let mut sieve = Sieve { ngrams, sampled: self.sampled, messages: self.messages, mostly_random: false };
        let long = |text: &&Normalized| text.len() >= JUDGED_CHARACTERS;
        let random =
            sieve.sampled.values().filter(long).filter(|text| looks_random(&sieve.ngrams, text, true, false)).count();
        sieve.mostly_random = 2 * random > sieve.sampled.values().filter(long).count();
        sieve
    }
}

/// What a whole history says about each of its messages.
#[derive(Debug)]
pub struct Sieve {
    ngrams: Ngrams,
    sampled: BTreeMap<u64, Normalized>,
    messages: u64,
    /// Most of what is long enough to tell is random: then so is what is not.
    mostly_random: bool,
}

impl Sieve {
    /// What a message of the history is good for.
    pub fn judge(&self, written: &Written<'_>) -> Learnability {
        if self.is_random(written) {
            return Learnability::NotLanguage;
        }
        let (most, size) = (self.most_of_one_message(), written.cluster_size.max(written.repeats) as f64);
        if size > most { Learnability::Repetitive { weight: most / size } } else { Learnability::Learnable }
    }

    fn is_random(&self, written: &Written<'_>) -> bool {
        let text = Normalized::new(written.text);
        if text.len() < JUDGED_CHARACTERS {
            return self.mostly_random;
        }
        looks_random(&self.ngrams, &text, self.sampled.contains_key(&cluster_key(written.cluster)), self.mostly_random)
    }

    /// How many of `n` messages may be one and the same: √n, or one in a hundred if that is more. People do repeat
    /// themselves; the message that a chat of a few thousand lines has most often is one or two of a hundred.
    fn most_of_one_message(&self) -> f64 {
        let n = self.messages as f64;
        n.sqrt().max(n / 100.0)
    }
}

/// A number for a cluster that looks drawn at random, a different one for each.
fn cluster_key(cluster: u64) -> u64 {
    Random::new(cluster).next_u64()
}
