//! The user's day: how its clock stands to the system's, and how long was trained on it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::settings::MINUTES;
use crate::time::DAY;

/// How far the user's clock is ahead of the system's, in seconds, where an app says its minute of the day while the system's
/// local time is `system` (seconds since 1970 as the user's calendar has them): by half a day at most, either way. Added to
/// the system's time from then on, it advances what was said.
pub fn clock_ahead(system: i64, minute: u16) -> i64 {
    let minutes = i64::from(MINUTES);
    let apart = i64::from(minute % MINUTES) - system.rem_euclid(DAY) / 60;
    ((apart + minutes / 2).rem_euclid(minutes) - minutes / 2) * 60
}

/// How long was trained on one day of the user's calendar. Times are local: seconds since 1970 as that calendar has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TrainedToday {
    day: i64,
    milliseconds: u64,
}

impl TrainedToday {
    /// Adds a stretch of training that ends at `local`: what lies before that day's midnight counts no more.
    pub fn add(&mut self, local: i64, stretch: Duration) {
        let since_midnight = Duration::from_secs(local.rem_euclid(DAY).unsigned_abs());
        let stretch = stretch.min(since_midnight).as_millis();
        let milliseconds = self.on(local).as_millis().saturating_add(stretch);
        *self = Self { day: local.div_euclid(DAY), milliseconds: u64::try_from(milliseconds).unwrap_or(u64::MAX) };
    }

    /// How long was trained on the day of `local`.
    pub fn on(&self, local: i64) -> Duration {
        let today = self.day == local.div_euclid(DAY);
        Duration::from_millis(if today { self.milliseconds } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_clock_is_half_a_day_away_at_most() {
        let at = |hour: i64, minute: i64, second: i64| 20_000 * DAY + (hour * 60 + minute) * 60 + second;
        for (system, told, ahead) in [
            (at(22, 0, 0), 22 * 60, 0),
            (at(22, 0, 59), 22 * 60, 0),
            (at(22, 1, 0), 22 * 60, -60),
            (at(23, 59, 30), 0, 60),
            (at(0, 0, 30), 23 * 60 + 59, -60),
            (at(20, 0, 0), 5 * 60, 9 * 3600),
            (at(5, 0, 0), 20 * 60, -9 * 3600),
            (at(0, 0, 0), 12 * 60, -12 * 3600),
            (at(1, 0, 0), 25 * 60, 0),
            (-1, 0, 60),
        ] {
            assert_eq!(clock_ahead(system, told), ahead, "{system}, {told}");
        }
    }

    #[test]
    fn each_part_of_a_stretch_counts_for_its_day() {
        let (midnight, minute) = (20_000 * DAY, Duration::from_secs(60));
        let mut trained = TrainedToday::default();
        // When a stretch ends, its minutes, and what counts for the day then, and for the one before.
        for (ends, minutes, today, yesterday) in [
            (midnight - 3600, 10, 10, 0),
            (midnight - 60, 5, 15, 0),
            (midnight + 120, 3, 2, 0),
            (midnight + 600, 4, 6, 0),
            (midnight + 3 * DAY, 100_000, 0, 0),
            (midnight + 3 * DAY + 60, 100_000, 1, 0),
        ] {
            trained.add(ends, minutes * minute);
            assert_eq!((trained.on(ends), trained.on(ends - DAY)), (today * minute, yesterday * minute), "{ends}");
        }
    }
}
