//! Whether a training would come to anything, looked up where something has changed.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::gate::GateSettings;
use crate::personalize::{self, NextTraining, Timesheet};
use crate::policy::Prospect;
use crate::profile::Profile;
use crate::time;

/// What is known of a profile.
pub(super) struct Prospects {
    profile: Arc<Profile>,
    gate: GateSettings,
    /// How long new texts alone begin no training after one that came to its end.
    rest: Duration,
    /// The model's, once it was asked.
    fingerprint: Option<String>,
    seen: Option<Seen>,
}

/// What was found when the profile was last looked at.
#[derive(Debug, Clone, Copy)]
struct Seen {
    revision: u64,
    sheet: Timesheet,
    next: NextTraining,
    /// Whether the version in use may be another model's.
    may_be_stale: bool,
}

impl Prospects {
    pub fn new(profile: Arc<Profile>, gate: GateSettings, rest: Duration) -> Self {
        Self { profile, gate, rest, fingerprint: None, seen: None }
    }

    /// Takes note of the model.
    pub fn know(&mut self, fingerprint: String) {
        self.fingerprint = Some(fingerprint);
        self.forget();
    }

    /// Something has changed.
    pub fn forget(&mut self) {
        self.seen = None;
    }

    /// How long was trained.
    pub fn timesheet(&self) -> Result<Timesheet> {
        personalize::timesheet(&self.profile)
    }

    /// The same, and whether a training would come to anything.
    pub fn look(&mut self) -> Result<(Timesheet, Prospect)> {
        let (revision, sheet) = (self.profile.history().revision()?, self.timesheet()?);
        let stands =
            |seen: &Seen| seen.revision == revision && seen.sheet == sheet && seen.next != NextTraining::UnderWay;
        let seen = match self.seen.filter(stands) {
            Some(seen) => seen,
            None => {
                let status = personalize::status(&self.profile, &self.gate, self.fingerprint.as_deref())?;
                let may_be_stale = status.active.is_some() && status.stale.is_none();
                Seen { revision, sheet, next: status.next_training, may_be_stale }
            }
        };
        self.seen = Some(seen);
        Ok((sheet, seen.prospect(self.rest, time::now())))
    }
}

impl Seen {
    fn prospect(&self, rest: Duration, now: i64) -> Prospect {
        let rested = |ended: i64| now.saturating_sub(ended).unsigned_abs() >= rest.as_secs();
        let words = match self.next {
            NextTraining::UnderWay => return Prospect::UnderWay,
            NextTraining::NewTexts { .. } if !self.sheet.ended.is_none_or(rested) => {
                let hours = rest.as_secs().div_ceil(3600);
                format!("not yet: the last one came to its end less than {hours} hours ago")
            }
            next if next.is_worthwhile() => return Prospect::Worthwhile,
            next => next.to_string(),
        };
        // Where there is too little to learn from, another model's version is no reason either.
        let too_little = matches!(self.next, NextTraining::NothingToLearn | NextTraining::TooFewHeldOut { .. });
        if self.may_be_stale && !too_little { Prospect::Unsure(words) } else { Prospect::NotYet(words) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prospect_follows_from_the_status_and_the_last_end() {
        let (day, hour) = (86_400, 3600);
        let few = NextTraining::TooFewHeldOut { units: 1, needed: 12 };
        let new = NextTraining::NewTexts { texts: 3 };
        // What the status says, hours since the last end, whether the version in use may be another model's.
        for (next, since, may_be_stale, expected) in [
            (new, None, false, "worthwhile"),
            (new, Some(20), false, "worthwhile"),
            (new, Some(19), false, "not yet: the last one came to its end less than 20 hours ago"),
            (new, Some(19), true, "unsure: the last one came to its end less than 20 hours ago"),
            // The clock was set back.
            (new, Some(-30), false, "worthwhile"),
            (NextTraining::Paused, Some(1), false, "worthwhile"),
            (NextTraining::OtherBase, Some(1), false, "worthwhile"),
            (NextTraining::LearnedFromRemoved, Some(1), false, "worthwhile"),
            (NextTraining::UnderWay, None, true, "under way"),
            (NextTraining::Unchanged, Some(1), true, "unsure: no text to learn from was added since the last one"),
            (NextTraining::Unchanged, Some(1), false, "not yet: no text to learn from was added since the last one"),
            (NextTraining::NothingToLearn, None, true, "not yet: there is nothing to learn from"),
            (few, None, true, &few.to_string()),
        ] {
            let now = 20_000 * day;
            let sheet = Timesheet { ended: since.map(|hours| now - hours * hour), ..Timesheet::default() };
            let seen = Seen { revision: 1, sheet, next, may_be_stale };
            let found = match seen.prospect(Duration::from_secs(20 * 3600), now) {
                Prospect::Worthwhile => "worthwhile".into(),
                Prospect::UnderWay => "under way".into(),
                Prospect::NotYet(words) => words,
                Prospect::Unsure(words) => words.replacen("not yet", "unsure", 1),
            };
            assert_eq!(found, expected, "{seen:?}");
        }
    }
}
