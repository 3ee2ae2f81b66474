//! Whether a history as a whole can be learned from.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Learnability, Written};

/// Share of a history that may be left out without a word: every history has some.
const UNREMARKABLE: f64 = 0.02;

/// Share of a history from which on the rest is not trusted either.
const TOO_MUCH: f64 = 0.5;

/// What the screen says of a whole history.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fitness", rename_all = "snake_case")]
pub enum Fitness {
    /// All of it but for a few messages.
    Fit,
    /// Some of it is left out, or counts for less.
    Partly {
        /// Share of the messages that is left out, 0 to 1.
        left_out: f64,
    },
    /// It must not be learned from.
    Unfit {
        /// Why not.
        why: Unfit,
        /// Share of the messages that would have to be left out, 0 to 1.
        left_out: f64,
    },
}

/// Why a history is unfit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unfit {
    /// Most of it is characters in no order.
    NotLanguage,
    /// Most of it is a few messages again and again.
    Repetitive,
}

impl fmt::Display for Fitness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fit => f.write_str("the history is fit to learn from"),
            Self::Partly { left_out } => {
                write!(
                    f,
                    "{:.0} % of the messages are left out: random characters, or repeated too often",
                    100.0 * left_out
                )
            }
            Self::Unfit { why: Unfit::NotLanguage, left_out } => {
                write!(
                    f,
                    "{:.0} % of the messages are left out, mostly because they are random characters",
                    100.0 * left_out
                )
            }
            Self::Unfit { why: Unfit::Repetitive, left_out } => {
                write!(
                    f,
                    "{:.0} % of the messages are left out, mostly because they repeat a few others",
                    100.0 * left_out
                )
            }
        }
    }
}

/// Adds up the second pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    messages: f64,
    random: f64,
    repeated: f64,
}

impl Tally {
    /// Counts a message and what the sieve said of it.
    pub fn add(&mut self, written: &Written<'_>, learnability: Learnability) {
        let messages = written.repeats.max(1) as f64;
        self.messages += messages;
        let left_out = messages * (1.0 - learnability.weight());
        match learnability {
            Learnability::NotLanguage => self.random += left_out,
            _ => self.repeated += left_out,
        }
    }

    /// What it comes to.
    pub fn fitness(&self) -> Fitness {
        let left_out = if self.messages > 0.0 { (self.random + self.repeated) / self.messages } else { 0.0 };
        if left_out <= UNREMARKABLE {
            return Fitness::Fit;
        }
        if left_out <= TOO_MUCH {
            return Fitness::Partly { left_out };
        }
        let why = if self.random >= self.repeated { Unfit::NotLanguage } else { Unfit::Repetitive };
        Fitness::Unfit { why, left_out }
    }
}
