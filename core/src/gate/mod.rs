//! The gate: whether what was learned is better than what was there.
//!
//! A training promises nothing by itself. The gate compares the candidate with what is active now, on text that neither
//! learned from, and promotes it only where the gain is real; otherwise the old adapter stays. [`judge`] says which, and
//! why, in numbers. It is a pure function of losses that others measured.

mod evidence;
pub mod generic;
mod interval;
mod languages;
mod needed;
mod screen;
mod settings;
#[cfg(test)]
mod simulation;
mod strength;
mod student;
mod verdict;

pub use evidence::{Evidence, GenericLosses, PairedLoss};
pub use interval::Estimate;
pub use languages::{Languages, Survey, language_of};
pub use needed::units_needed;
pub use screen::{Fitness, Learnability, Screen, Sieve, Tally, Unfit, Written};
pub use settings::GateSettings;
pub use strength::{NextStrength, STRENGTHS, next_strength};
pub use verdict::{Decision, Forgetting, Reason, Verdict, judge};
