//! What the person wrote.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use idiolect::history::{self, SampleId};

use crate::error::Result;
use crate::mirror::mirror;
use crate::samples::{Added, NewSample, Origin, Split, StoredSample, Tally};

/// The history of an engine's profile: usable until that is erased, also when the engine is shut down.
#[derive(uniffi::Object)]
pub struct History {
    engine: Arc<idiolect::Engine>,
}

impl History {
    pub(crate) fn of(engine: Arc<idiolect::Engine>) -> Arc<Self> {
        Arc::new(Self { engine })
    }
}

#[uniffi::export]
impl History {
    /// Adds a batch, all of it or nothing; durable on return. Another text under a known id takes the old one's place; of
    /// several with one id the last one stands, or the one with the latest time. A text without an id and without a time is
    /// always another.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is added then.
    pub fn add(&self, samples: Vec<NewSample>) -> Result<Added> {
        Ok(self.engine.history().add(&own(samples))?.into())
    }

    /// Adds all messages of a file or an exported chat, in durable batches. Those without an id are known by what they
    /// say, where and when, with a time or without: added again, or in a later export with more, nothing counts twice.
    ///
    /// # Errors
    /// When the database cannot be written. Batches before the one that failed are there; added again, the others follow.
    pub fn add_all(&self, samples: Vec<NewSample>) -> Result<Added> {
        Ok(self.engine.history().add_all(&own(samples))?.into())
    }

    /// Up to `limit` samples, latest added first; `before` is the number of the last of the page before, none for the
    /// first page.
    ///
    /// # Errors
    /// When the database cannot be read or is damaged.
    pub fn list(&self, before: Option<i64>, limit: u32) -> Result<Vec<StoredSample>> {
        let samples = self.engine.history().list(before.map(SampleId), limit as usize)?;
        Ok(samples.into_iter().map(Into::into).collect())
    }

    /// Figures of the whole history.
    ///
    /// # Errors
    /// When the database cannot be read or is damaged.
    pub fn stats(&self) -> Result<HistoryStats> {
        Ok(self.engine.history().stats()?.into())
    }

    /// Removes what is selected, for good, and with it all that a training under way has kept of it; adapters that
    /// learned from it are marked.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remove(&self, selection: Selection) -> Result<Removed> {
        Ok(self.engine.remove_from_history(&selection.into())?.into())
    }

    /// Removes everything, and all that a training under way has kept of it; adapters that learned from it are marked.
    /// Exclusions and the retention cap stay.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn clear(&self) -> Result<Removed> {
        Ok(self.engine.clear_history()?.into())
    }

    /// Cuts the write-ahead log after a removal that reported itself as pending; whether it is done.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn finish_removal(&self) -> Result<bool> {
        Ok(self.engine.history().finish_removal()?)
    }

    /// Keeps a source or contact out from now on.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn exclude(&self, exclusion: Exclusion) -> Result<()> {
        Ok(self.engine.history().exclude(&exclusion.into())?)
    }

    /// Lets a source or contact in again; whether it was excluded.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn include(&self, exclusion: Exclusion) -> Result<bool> {
        Ok(self.engine.history().include(&exclusion.into())?)
    }

    /// All that is excluded.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn exclusions(&self) -> Result<Vec<Exclusion>> {
        Ok(self.engine.history().exclusions()?.into_iter().map(Into::into).collect())
    }

    /// The cap in force; none at first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn retention(&self) -> Result<Retention> {
        Ok(self.engine.history().retention()?.into())
    }

    /// Sets the cap and applies it; how many messages went.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn set_retention(&self, retention: Retention) -> Result<u64> {
        Ok(self.engine.history().set_retention(retention.into())?)
    }

    /// Which adapter versions learned from it, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn learned_versions(&self) -> Result<Vec<LearnedVersion>> {
        Ok(self.engine.history().versions()?.into_iter().map(Into::into).collect())
    }

    /// The numbers of the samples, still there, that an adapter version learned from.
    ///
    /// # Errors
    /// `BadOption` for a version that did not learn here.
    pub fn learned_from(&self, version: u32) -> Result<Vec<i64>> {
        Ok(self.engine.history().learned_from(version)?.into_iter().map(|id| id.0).collect())
    }
}

fn own(samples: Vec<NewSample>) -> Vec<history::NewSample> {
    samples.into_iter().map(Into::into).collect()
}

mirror! {
    /// An adapter version and what became of the samples that it learned from.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
    pub struct LearnedVersion from history::LearnedVersion {
        /// Its number.
        pub version: u32,
        /// How many samples it learned from.
        pub samples: u64,
        /// How many of them were removed since, because somebody asked: above zero, the version is marked.
        pub removed: u64,
        /// How many of them the retention cap took since.
        pub expired: u64,
        /// How many of them the person has edited since, so that another text is in their place.
        pub replaced: u64,
    }
}

/// What to remove. Of a text that was written several times, only the times that are meant go.
#[derive(Clone, PartialEq, Eq, uniffi::Enum)]
#[uniffi::export(Debug)]
pub enum Selection {
    /// Samples by their numbers, with all their repeats.
    Samples {
        /// The numbers.
        ids: Vec<i64>,
    },
    /// Messages by the app's own ids.
    AppIds {
        /// The ids.
        ids: Vec<String>,
    },
    /// What was written in an app or field.
    Source {
        /// Its name.
        name: String,
    },
    /// What was written to somebody.
    Contact {
        /// Their name.
        name: String,
    },
    /// What was written from `start` until before `end`, in seconds since 1970 (UTC).
    Time {
        /// The first second.
        start: i64,
        /// The first second that is not meant any more.
        end: i64,
    },
}

impl From<Selection> for history::Selection {
    fn from(selection: Selection) -> Self {
        match selection {
            Selection::Samples { ids } => Self::Samples(ids.into_iter().map(SampleId).collect()),
            Selection::AppIds { ids } => Self::AppIds(ids),
            Selection::Source { name } => Self::Source(name),
            Selection::Contact { name } => Self::Contact(name),
            Selection::Time { start, end } => Self::Time(start..end),
        }
    }
}

impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        history::Selection::from(self.clone()).fmt(f)
    }
}

mirror! {
    /// What a removal did.
    #[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
    pub struct Removed from history::Removed {
        /// Messages, repeats included.
        pub messages: u64,
        /// Texts of which no message is left.
        pub samples: u64,
        /// Adapter versions that learned from a text that has gone.
        pub marked: Vec<u32>,
        /// Whether traces remain in the write-ahead log, because another process was reading: `finish_removal` cuts it.
        pub pending: bool,
        /// Whether a training under way lost its checkpoint, because it may know what was removed: the next one begins anew.
        pub checkpoint_dropped: bool,
    }
}

/// Something of which nothing enters the history. What is there already stays until it is removed.
#[derive(Clone, PartialEq, Eq, uniffi::Enum)]
#[uniffi::export(Debug)]
pub enum Exclusion {
    /// An app or field.
    Source {
        /// Its name.
        name: String,
    },
    /// A correspondent.
    Contact {
        /// Their name.
        name: String,
    },
}

impl From<Exclusion> for history::Exclusion {
    fn from(exclusion: Exclusion) -> Self {
        match exclusion {
            Exclusion::Source { name } => Self::Source(name),
            Exclusion::Contact { name } => Self::Contact(name),
        }
    }
}

impl From<history::Exclusion> for Exclusion {
    fn from(exclusion: history::Exclusion) -> Self {
        match exclusion {
            history::Exclusion::Source(name) => Self::Source { name },
            history::Exclusion::Contact(name) => Self::Contact { name },
        }
    }
}

impl fmt::Debug for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        history::Exclusion::from(self.clone()).fmt(f)
    }
}

/// A cap on the history. It holds when the engine is opened, after every batch that is added, and before a training; the
/// oldest messages go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct Retention {
    /// The most messages to keep, repeats included.
    #[uniffi(default = None)]
    pub max_messages: Option<u64>,
    /// The greatest age of a message, in seconds.
    #[uniffi(default = None)]
    pub max_age_seconds: Option<u64>,
}

impl From<Retention> for history::Retention {
    fn from(retention: Retention) -> Self {
        Self { max_messages: retention.max_messages, max_age: retention.max_age_seconds.map(Duration::from_secs) }
    }
}

impl From<history::Retention> for Retention {
    fn from(retention: history::Retention) -> Self {
        Self { max_messages: retention.max_messages, max_age_seconds: retention.max_age.map(|age| age.as_secs()) }
    }
}

/// The texts of one part in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct SplitTally {
    /// The part.
    pub split: Split,
    /// Its texts.
    pub tally: Tally,
}

/// The texts that came to be in one way.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug)]
pub struct OriginTally {
    /// The way.
    pub origin: Origin,
    /// Its texts.
    pub tally: Tally,
}

/// The messages of one app or field.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug)]
pub struct SourceTally {
    /// Its name; none stands for the messages without one.
    pub source: Option<String>,
    /// How many.
    pub messages: u64,
    /// The time of the first, in seconds since 1970 (UTC).
    pub first: i64,
    /// The time of the last.
    pub last: i64,
}

impl From<history::SourceTally> for SourceTally {
    fn from(tally: history::SourceTally) -> Self {
        let (first, last) = tally.period;
        Self { source: tally.source, messages: tally.messages, first, last }
    }
}

impl fmt::Debug for SourceTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceTally").field("messages", &self.messages).finish_non_exhaustive()
    }
}

/// Figures of a history.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug)]
pub struct HistoryStats {
    /// All of it.
    pub total: Tally,
    /// By part in training, over texts that training may use.
    pub splits: Vec<SplitTally>,
    /// By how the texts came to be: those that this library knows, then those that it has a name of alone.
    pub origins: Vec<OriginTally>,
    /// Independent units of held-out text that training may use, as the gate counts them: a conversation's texts of one
    /// day are one, near-duplicates are one.
    pub held_out_units: u64,
    /// By app or field, most messages first.
    pub sources: Vec<SourceTally>,
    /// Clusters of near-duplicates, single texts included.
    pub clusters: u64,
    /// Messages in the largest of them.
    pub largest_cluster: u64,
    /// The time of the first message, in seconds since 1970 (UTC).
    pub first: Option<i64>,
    /// The time of the last message.
    pub last: Option<i64>,
    /// Rises with every change of the samples.
    pub revision: u64,
    /// Whether removed rows may still lie in the write-ahead log.
    pub removal_pending: bool,
}

impl From<history::Stats> for HistoryStats {
    fn from(stats: history::Stats) -> Self {
        let splits = stats.splits.into_iter();
        let origins = stats.origins.into_iter();
        let sources = stats.sources.into_iter();
        Self {
            total: stats.total.into(),
            splits: splits.map(|(split, tally)| SplitTally { split: split.into(), tally: tally.into() }).collect(),
            origins: origins
                .map(|(origin, tally)| OriginTally { origin: origin.into(), tally: tally.into() })
                .collect(),
            held_out_units: stats.held_out_units,
            sources: sources.map(Into::into).collect(),
            clusters: stats.clusters,
            largest_cluster: stats.largest_cluster,
            first: stats.period.map(|period| period.0),
            last: stats.period.map(|period| period.1),
            revision: stats.revision,
            removal_pending: stats.removal_pending,
        }
    }
}
