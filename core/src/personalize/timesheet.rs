//! When a profile's trainings ran: how long today, and when the last one came to its end.
//!
//! It lies sealed in the profile, so that a process that begins anew, or another one, knows what of the day is used up.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::records::Records;
use crate::error::Result;
use crate::policy::TrainedToday;
use crate::profile::Profile;
use crate::seal::Key;
use crate::time;

/// How long a training runs between two entries: what a kill leaves out.
const ENTRY: Duration = Duration::from_secs(60);

/// What is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Timesheet {
    pub today: TrainedToday,
    /// When a training last came to its end, in seconds since 1970 (UTC).
    pub ended: Option<i64>,
}

/// A profile's timesheet; an empty one before the first training.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn timesheet(profile: &Profile) -> Result<Timesheet> {
    let _inside = profile.enter()?;
    Records::open(&profile.checkpoints()?, profile.key())?.timesheet()
}

/// Keeps the timesheet while a training runs, for who holds the training lock. What the disk refuses is entered later, or
/// not at all: it costs no training.
pub(crate) struct TimeKeeper<C> {
    records: Records,
    /// The user's local time, in seconds since 1970 as their calendar has them.
    clock: C,
    entered: Instant,
}

impl<C: Fn() -> i64> TimeKeeper<C> {
    /// Begins now, with what lies in the folder of checkpoints.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn begin(folder: &Path, key: &Key, clock: C) -> Result<Self> {
        Ok(Self { records: Records::open(folder, key)?, clock, entered: Instant::now() })
    }

    /// It goes on.
    pub fn go_on(&mut self) {
        if self.entered.elapsed() >= ENTRY {
            self.enter(None);
        }
    }

    /// It stops; `ended` where it came to its end.
    pub fn stop(mut self, ended: bool) {
        self.enter(ended.then(time::now));
    }

    fn enter(&mut self, ended: Option<i64>) {
        let now = Instant::now();
        let entered = self.records.timesheet().and_then(|mut sheet| {
            sheet.today.add((self.clock)(), now - self.entered);
            sheet.ended = ended.or(sheet.ended);
            self.records.write_timesheet(&sheet)
        });
        if entered.is_ok() {
            self.entered = now;
        }
    }
}
