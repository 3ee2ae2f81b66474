//! How a profile stands.

use idiolect::personalize;

use crate::adapters::AdapterOrigin;
use crate::history::SourceTally;
use crate::mirror::mirror;
use crate::report::LearnReport;
use crate::samples::Tally;

/// A profile at a glance.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
#[uniffi::export(Debug)]
pub struct ProfileStatus {
    /// What was written, repeats included.
    pub messages: u64,
    /// The same, exact repeats counted once.
    pub texts: u64,
    /// The time of the first message, in seconds since 1970 (UTC).
    pub first: Option<i64>,
    /// The time of the last message.
    pub last: Option<i64>,
    /// The messages by app or field, most first.
    pub sources: Vec<SourceTally>,
    /// What training learns from.
    pub trains: Tally,
    /// What ends it early.
    pub validates: Tally,
    /// What the gate alone sees.
    pub held_out: Tally,
    /// Independent units of held-out text, as the gate counts them: a conversation's texts of one day are one,
    /// near-duplicates are one.
    pub held_out_units: u64,
    /// How many adapter versions there are.
    pub versions: u32,
    /// The number of the one in use; none is the base alone.
    pub active: Option<u32>,
    /// What the version in use is.
    pub in_use: Option<VersionInUse>,
    /// Whether the version in use was made for another model than the engine's; none where the model was not opened.
    pub stale: Option<bool>,
    /// Whether a training is under way, in this or another process.
    pub training: bool,
    /// Whether one was paused or killed, so that the next one goes on with it.
    pub paused_training: bool,
    /// The last training that came to its end.
    pub last_training: Option<LearnReport>,
    /// Texts to learn from that were added since then; all of them before the first.
    pub new_texts: u64,
    /// What would make the next training worthwhile.
    pub next_training: NextTraining,
}

impl From<personalize::Status> for ProfileStatus {
    fn from(status: personalize::Status) -> Self {
        Self {
            messages: status.messages,
            texts: status.texts,
            first: status.period.map(|period| period.0),
            last: status.period.map(|period| period.1),
            sources: status.sources.into_iter().map(Into::into).collect(),
            trains: status.trains.into(),
            validates: status.validates.into(),
            held_out: status.held_out.into(),
            held_out_units: status.held_out_units,
            versions: u32::try_from(status.versions).unwrap_or(u32::MAX),
            active: status.active,
            in_use: status.in_use.map(Into::into),
            stale: status.stale,
            training: status.training,
            paused_training: status.paused_training,
            last_training: status.last_training.map(Into::into),
            new_texts: status.new_texts,
            next_training: status.next_training.into(),
        }
    }
}

/// The adapter version in use.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct VersionInUse {
    /// Its number.
    pub version: u32,
    /// When it was made or taken in, in seconds since 1970 (UTC).
    pub created: i64,
    /// Where it came from.
    pub origin: AdapterOrigin,
    /// The share of its effect that it is used with, 0 to 1.
    pub strength: f32,
    /// Whether it learned from texts that were removed since.
    pub learned_from_removed: bool,
    /// What its training learned from, on which device, and what it gained; none for a version from elsewhere.
    pub report: Option<LearnReport>,
}

impl From<personalize::InUse> for VersionInUse {
    fn from(version: personalize::InUse) -> Self {
        Self {
            version: version.version,
            created: version.created,
            origin: version.origin.into(),
            strength: version.strength,
            learned_from_removed: version.learned_from_removed,
            report: version.report.map(Into::into),
        }
    }
}

/// What would make the next training worthwhile, or that it is.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct NextTraining {
    /// Whether a training now may come to something.
    pub worthwhile: bool,
    /// Why, or what is missing, for programs.
    pub reason: NextTrainingReason,
    /// The same in words, with its numbers.
    pub explanation: String,
}

mirror! {
    /// What stands against the next training, or for it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
    pub enum NextTrainingReason from personalize::NextTraining {
        /// One is under way.
        UnderWay,
        /// It goes on with the one that was paused.
        Paused,
        /// There is nothing to learn from.
        NothingToLearn,
        /// The gate would not promote anything for want of held-out text.
        TooFewHeldOut {
            /// Independent units there are.
            units: u64,
            /// Texts there must be.
            needed: u64,
        },
        /// It is worthwhile: the version in use was made for another model.
        OtherBase,
        /// It is worthwhile: the version in use learned from texts that were removed since.
        LearnedFromRemoved,
        /// The last verdict is about all that there is to learn from.
        Unchanged,
        /// Chance explained the last gain, and would explain one of the same size again.
        GainUnproven {
            /// Independent units there are.
            units: u64,
            /// About how many it takes.
            needed: u64,
        },
        /// It is worthwhile: there are new texts.
        NewTexts {
            /// How many were added since the last training.
            texts: u64,
        },
    } else {
        /// One that this surface does not know yet: the words say what it is.
        Other,
    }
}

impl From<personalize::NextTraining> for NextTraining {
    fn from(next: personalize::NextTraining) -> Self {
        Self { worthwhile: next.is_worthwhile(), explanation: next.to_string(), reason: next.into() }
    }
}
