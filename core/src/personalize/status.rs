//! How a profile stands, and what would make the next training worthwhile.

use std::fmt;

use serde::Serialize;

use super::checkpoint::Checkpoints;
use super::records::{LastTraining, Records};
use super::report::LearnReport;
use crate::error::Result;
use crate::gate::{GateSettings, units_needed};
use crate::history::{SampleId, SourceTally, Split, Stats, Tally};
use crate::profile::Profile;
use crate::registry::{Origin, RegistryState, Version};

/// A profile at a glance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// What was written, repeats included.
    pub messages: u64,
    /// The same, exact repeats counted once.
    pub texts: u64,
    /// The times of the first and the last message, in seconds since 1970 (UTC).
    pub period: Option<(i64, i64)>,
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
    pub versions: usize,
    /// The number of the one in use; none is the base alone.
    pub active: Option<u32>,
    /// What the version in use is.
    pub in_use: Option<InUse>,
    /// Whether the version in use was made for another model than the one that was named; none without a model.
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

/// The adapter version in use.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InUse {
    /// Its number.
    pub version: u32,
    /// When it was made or taken in, in seconds since 1970 (UTC).
    pub created: i64,
    /// Where it came from.
    pub origin: Origin,
    /// The share of its effect that it is used with, 0 to 1.
    pub strength: f32,
    /// Whether it learned from texts that were removed since.
    pub learned_from_removed: bool,
    /// What its training learned from, on which device, and what it gained; none for a version from elsewhere.
    pub report: Option<LearnReport>,
}

impl From<&Version> for InUse {
    fn from(version: &Version) -> Self {
        Self {
            version: version.version,
            created: version.created,
            origin: version.origin,
            strength: version.strength,
            learned_from_removed: version.learned_from_removed,
            report: LearnReport::of(version),
        }
    }
}

/// What would make the next training worthwhile, or that it is; [`fmt::Display`] gives it in words. It is told by the
/// rules of trainings and the gate, from what is known without a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum NextTraining {
    /// One is under way.
    UnderWay,
    /// It goes on with the one that was paused.
    Paused,
    /// Something to learn from.
    NothingToLearn,
    /// More held-out text: the gate would not promote anything.
    TooFewHeldOut {
        /// Independent units there are.
        units: u64,
        /// Units there must be.
        needed: u64,
    },
    /// It is: the version in use was made for another model.
    OtherBase,
    /// It is: the version in use learned from texts that were removed since.
    LearnedFromRemoved,
    /// New texts: the last verdict is about all that there is to learn from.
    Unchanged,
    /// More held-out text: chance explained the last gain, and would explain one of the same size again.
    GainUnproven {
        /// Independent units there are.
        units: u64,
        /// About how many it takes.
        needed: u64,
    },
    /// It is: there are new texts.
    NewTexts {
        /// How many were added since the last training; all of them before the first.
        texts: u64,
    },
}

impl NextTraining {
    /// Whether a training now may come to something.
    pub fn is_worthwhile(&self) -> bool {
        match self {
            Self::Paused | Self::OtherBase | Self::LearnedFromRemoved | Self::NewTexts { .. } => true,
            Self::UnderWay
            | Self::NothingToLearn
            | Self::TooFewHeldOut { .. }
            | Self::Unchanged
            | Self::GainUnproven { .. } => false,
        }
    }
}

/// Of so many new units, one is held out.
const HELD_OUT_OF: u64 = 10;

impl fmt::Display for NextTraining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UnderWay => f.write_str("one is under way"),
            Self::Paused => f.write_str("worthwhile: it goes on with the one that was paused"),
            Self::NothingToLearn => f.write_str("not yet: there is nothing to learn from"),
            Self::TooFewHeldOut { units, needed } => write!(
                f,
                "not yet: {units} independent texts are held out and the gate needs {needed} (a conversation's of one \
                 day count as one); about {} more would do, for one in {HELD_OUT_OF} is held out",
                needed.saturating_sub(units).saturating_mul(HELD_OUT_OF)
            ),
            Self::OtherBase => f.write_str("worthwhile: the version in use was made for another model"),
            Self::LearnedFromRemoved => {
                f.write_str("worthwhile: the version in use learned from texts that were removed since")
            }
            Self::Unchanged => f.write_str("not yet: no text to learn from was added since the last one"),
            Self::GainUnproven { units, needed } => write!(
                f,
                "not yet: chance explained the last gain; it takes about {needed} independent held-out texts to tell one \
                 of that size from chance (a conversation's of one day count as one), and there are {units}"
            ),
            Self::NewTexts { texts } => write!(f, "worthwhile: {texts} texts to learn from are new"),
        }
    }
}

/// How a profile stands. `gate` says what a candidate will have to show; `base_fingerprint` is the model's that would be
/// trained on, where it is known.
///
/// # Errors
/// When the profile cannot be read.
pub fn status(profile: &Profile, gate: &GateSettings, base_fingerprint: Option<&str>) -> Result<Status> {
    let _inside = profile.enter()?;
    let stats = profile.history().stats()?;
    let registry = profile.registry()?.state()?;
    let checkpoints = profile.checkpoints()?;
    let last = Records::open(&checkpoints, profile.key())?.last()?;
    let in_use = registry.active.map(|number| registry.version(number)).transpose()?;
    let tally = |split| stats.splits.iter().find(|(of, _)| *of == split).map_or(Tally::default(), |(_, tally)| *tally);
    let mut status = Status {
        messages: stats.total.messages,
        texts: stats.total.samples,
        period: stats.period,
        trains: tally(Split::Training),
        validates: tally(Split::Validation),
        held_out: tally(Split::HeldOut),
        held_out_units: stats.held_out_units,
        versions: registry.versions.len(),
        active: registry.active,
        in_use: in_use.map(InUse::from),
        stale: base_fingerprint.map(|fingerprint| registry.stale(fingerprint).is_some()),
        training: profile.is_training()?,
        paused_training: Checkpoints::open(&checkpoints, profile.key())?.exist(),
        new_texts: new_texts(profile, &stats, &registry, last.as_ref())?,
        last_training: last.map(|last| last.report),
        next_training: NextTraining::NothingToLearn,
        sources: stats.sources,
    };
    status.next_training = next_training(&status, gate);
    Ok(status)
}

/// Texts to learn from that the last training has not seen.
fn new_texts(profile: &Profile, stats: &Stats, registry: &RegistryState, last: Option<&LastTraining>) -> Result<u64> {
    let history = profile.history();
    let Some(last) = last.filter(|last| last.stands(registry)) else { return history.new_texts(None) };
    if last.revision == stats.revision {
        return Ok(0);
    }
    let newest = match (last.newest, last.about) {
        (Some(newest), _) => Some(SampleId(newest)),
        // What an earlier release wrote: the ledger knows what was learned from, where there is a version.
        (None, Some(version)) => history.learned_from(version).ok().and_then(|samples| samples.last().copied()),
        (None, None) => None,
    };
    history.new_texts(newest)
}

/// The first thing that stands against a training, or for one.
fn next_training(status: &Status, gate: &GateSettings) -> NextTraining {
    let (units, needed) = (status.held_out_units, gate.min_units.max(2) as u64);
    let last = status.last_training.as_ref();
    let proving = last.and_then(|report| units_needed(&report.verdict, report.asked, gate));
    if status.training {
        NextTraining::UnderWay
    } else if status.paused_training {
        NextTraining::Paused
    } else if status.trains.samples == 0 {
        NextTraining::NothingToLearn
    } else if units < needed {
        NextTraining::TooFewHeldOut { units, needed }
    } else if status.stale == Some(true) {
        NextTraining::OtherBase
    } else if status.in_use.as_ref().is_some_and(|version| version.learned_from_removed) {
        NextTraining::LearnedFromRemoved
    } else if status.new_texts == 0 {
        NextTraining::Unchanged
    } else if let Some(needed) = proving.filter(|&needed| units < needed) {
        NextTraining::GainUnproven { units, needed }
    } else {
        NextTraining::NewTexts { texts: status.new_texts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Reason, Unfit, Verdict};

    /// A profile with 100 texts to learn from, 30 held out, and a version in use.
    fn standing() -> Status {
        let tally = |samples| Tally { samples, messages: samples };
        Status {
            messages: 140,
            texts: 140,
            period: Some((1, 2)),
            sources: Vec::new(),
            trains: tally(100),
            validates: tally(10),
            held_out: tally(30),
            held_out_units: 30,
            versions: 1,
            active: Some(1),
            in_use: Some(InUse {
                version: 1,
                created: 3,
                origin: Origin::Trained,
                strength: 1.0,
                learned_from_removed: false,
                report: None,
            }),
            stale: None,
            training: false,
            paused_training: false,
            last_training: None,
            new_texts: 7,
            next_training: NextTraining::NothingToLearn,
        }
    }

    fn ended(reason: Reason) -> Option<LearnReport> {
        let verdict = Verdict { reason, units: 30, ..Verdict::unfit(Unfit::NotLanguage, 0.0) };
        let device =
            crate::DeviceInfo { kind: crate::DeviceKind::Cpu, name: String::new(), reason: String::new(), threads: 1 };
        Some(LearnReport::without_candidate(verdict, &device))
    }

    #[test]
    fn the_next_training_follows_from_the_rules() {
        use NextTraining::*;
        let change = |change: fn(&mut Status)| {
            let mut status = standing();
            change(&mut status);
            status
        };
        let marked = |status: &mut Status| status.in_use.as_mut().unwrap().learned_from_removed = true;
        // With the same spread, four times as many texts halve the interval; the quantile of more of them is smaller.
        let unproven = Reason::GainUnproven { gain: 0.1, gain_low: -0.1 };
        let cases = [
            ("new texts", standing(), NewTexts { texts: 7 }),
            ("training", change(|s| (s.training, s.paused_training) = (true, true)), UnderWay),
            ("paused", change(|s| (s.paused_training, s.held_out_units) = (true, 0)), Paused),
            ("empty", change(|s| (s.trains, s.held_out_units) = (Tally::default(), 0)), NothingToLearn),
            (
                "few held out",
                change(|s| (s.held_out_units, s.stale) = (7, Some(true))),
                TooFewHeldOut { units: 7, needed: 12 },
            ),
            ("another model", change(|s| (s.stale, s.new_texts) = (Some(true), 0)), OtherBase),
            ("its own model", change(|s| s.stale = Some(false)), NewTexts { texts: 7 }),
            ("removed", change(marked), LearnedFromRemoved),
            ("nothing new", change(|s| s.new_texts = 0), Unchanged),
            (
                "unproven",
                Status { last_training: ended(unproven), ..standing() },
                GainUnproven { units: 30, needed: 109 },
            ),
            (
                "unproven, with many more by now",
                Status { last_training: ended(unproven), held_out_units: 109, ..standing() },
                NewTexts { texts: 7 },
            ),
            (
                "too small",
                Status { last_training: ended(Reason::GainTooSmall { gain: 0.0, needed: 0.02 }), ..standing() },
                NewTexts { texts: 7 },
            ),
        ];
        for (what, status, expected) in cases {
            let next = next_training(&status, &GateSettings::default());
            assert_eq!(next, expected, "{what}");
            assert_eq!(next.is_worthwhile(), next.to_string().starts_with("worthwhile"), "{what}: {next}");
            let json = serde_json::to_value(next).unwrap();
            assert!(json["code"].is_string(), "{json}");
        }
        let strict = GateSettings { min_units: 31, ..GateSettings::default() };
        assert_eq!(next_training(&standing(), &strict), TooFewHeldOut { units: 30, needed: 31 });
    }
}
