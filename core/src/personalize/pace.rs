//! When a checkpoint is due: flash wears with what is written to it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Time between two checkpoints at least, where none was asked for.
const LEAST: Duration = Duration::from_secs(30);

/// Bytes that checkpoints may take in an hour.
const AN_HOUR: u64 = 1_000_000_000;

const HOUR: Duration = Duration::from_secs(3600);

/// Where a training has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Between two steps, or two rows of a measurement.
    Midway,
    /// At an epoch's end.
    EpochEnd,
}

/// Tells when the next checkpoint is due. Nobody asked, it is after half a minute, or after as long as a checkpoint of
/// its size has to wait so that an hour sees a gigabyte at most; at an epoch's end it is due at once, if that is kept.
#[derive(Debug)]
pub(super) struct Pace {
    /// The time between two checkpoints that was asked for.
    asked: Option<Duration>,
    /// The bytes that the next one will write, as far as they are known.
    next: u64,
    last: Instant,
    /// What was written in the last hour, and when.
    written: VecDeque<(Instant, u64)>,
}

impl Pace {
    /// A pace that begins at `now`.
    pub fn new(asked: Option<Duration>, now: Instant) -> Self {
        Self { asked, next: 0, last: now, written: VecDeque::new() }
    }

    /// The next checkpoint will write so many bytes more.
    pub fn expect(&mut self, bytes: u64) {
        self.next += bytes;
    }

    /// A checkpoint was written, and so many bytes beside it, which the next one will not write again.
    pub fn saved(&mut self, checkpoint: u64, beside: u64, now: Instant) {
        (self.last, self.next) = (now, checkpoint);
        self.written.push_back((now, checkpoint + beside));
        while self.written.front().is_some_and(|(when, _)| now - *when >= HOUR) {
            self.written.pop_front();
        }
    }

    /// Whether a checkpoint is due.
    pub fn is_due(&self, moment: Moment, now: Instant) -> bool {
        let since = now - self.last;
        if let Some(asked) = self.asked {
            return moment == Moment::EpochEnd || since >= asked;
        }
        let recent: u64 = self.written.iter().filter(|(when, _)| now - *when < HOUR).map(|(_, bytes)| bytes).sum();
        let has_room = recent + self.next <= AN_HOUR;
        let stretched = HOUR.mul_f64(self.next as f64 / AN_HOUR as f64);
        // One that is larger than an hour's bytes has room when nothing else was written for as long as it has to wait.
        let by_time = since >= LEAST.max(stretched) && (has_room || recent == 0);
        by_time || moment == Moment::EpochEnd && has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_due_by_time_size_and_moment() {
        use Moment::{EpochEnd, Midway};
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mega = 1_000_000;
        // Time asked for, megabytes of a checkpoint, seconds since the last one; whether the next is due midway, and at an
        // epoch's end.
        for (asked, size, seconds, expected) in [
            (None, 5, 29, [false, true]),
            (None, 5, 30, [true, true]),
            (None, 30, 107, [false, true]),
            (None, 30, 108, [true, true]),
            (None, 600, 2159, [false, false]),
            (None, 600, 2160, [false, false]),
            (None, 600, 3600, [true, true]),
            (None, 2000, 7199, [false, false]),
            (None, 2000, 7200, [true, true]),
            (Some(0), 2000, 0, [true, true]),
            (Some(40), 2000, 39, [false, true]),
            (Some(40), 2000, 40, [true, true]),
        ] {
            let mut pace = Pace::new(asked.map(Duration::from_secs), start);
            pace.saved(size * mega, 0, at(0));
            let due = [Midway, EpochEnd].map(|moment| pace.is_due(moment, at(seconds)));
            assert_eq!(due, expected, "{asked:?}, {size} MB after {seconds} s");
        }
        // The first one waits as long as its size demands.
        let mut pace = Pace::new(None, start);
        pace.expect(30 * mega);
        assert_eq!([30, 108].map(|seconds| pace.is_due(Midway, at(seconds))), [false, true]);
    }

    #[test]
    fn no_hour_sees_more_than_a_gigabyte_and_half_a_minute_passes_in_between() {
        let start = Instant::now();
        // Megabytes of a checkpoint, of the best epoch's parameters, and seconds that an epoch takes.
        for (size, best, epoch) in
            [(5, 2, 1), (5, 2, 1000), (30, 10, 7), (30, 10, 100_000), (400, 130, 60), (900, 0, 9)]
        {
            let (size, best) = (size * 1_000_000, best * 1_000_000);
            let mut pace = Pace::new(None, start);
            pace.expect(size);
            let (mut written, mut midway, mut beside) = (Vec::new(), Vec::new(), 0);
            for second in 1..4 * 3600_u64 {
                let (now, ended) = (start + Duration::from_secs(second), second % epoch == 0);
                if ended && beside == 0 {
                    beside = best;
                    pace.expect(best);
                }
                if pace.is_due(if ended { Moment::EpochEnd } else { Moment::Midway }, now) {
                    pace.saved(size, beside, now);
                    written.push((second, size + std::mem::take(&mut beside)));
                    midway.extend((!ended).then_some(second));
                }
            }
            for (second, _) in &written {
                let hour = written.iter().filter(|(at, _)| (*second..second + 3600).contains(at));
                let bytes: u64 = hour.map(|(_, bytes)| bytes).sum();
                assert!(bytes <= AN_HOUR, "{size} bytes, an epoch of {epoch} s: {bytes} in an hour");
            }
            assert!(midway.windows(2).all(|pair| pair[1] - pair[0] >= 30), "{size} bytes: {midway:?}");
            assert!(written.len() >= 4, "{size} bytes, an epoch of {epoch} s: saved {} times", written.len());
        }
    }
}
