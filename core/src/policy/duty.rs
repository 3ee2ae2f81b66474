//! Rest between pieces of work, so that any minute takes at most a share of one core.

use std::collections::VecDeque;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// The stretch of time over which the share counts, wherever it begins. (iOS ends work in the background that takes
/// over 80 % of a core for 60 seconds.)
pub const WINDOW: Duration = Duration::from_secs(60);

/// CPU time kept back from the first piece on, in seconds, before it is known how much one takes.
const RESERVE: f64 = 1.0;

/// A leaky bucket: CPU time flows in as work is done and out at a rate `r`, and the work rests until it is empty.
///
/// Of n pieces in a minute, the first and the last may lie in it with nearly all of their CPU time, and the rest that
/// the last but one asks for may come after it. So the minute takes at most `60 r + 3 d`, where d is what the largest
/// piece takes, and `r = share − 3 d / 60` keeps it below the share. The bound holds as long as no piece takes more
/// than the largest of the two minutes before it, or a third of a second; and d may be up to a tenth of what a minute
/// allows.
#[derive(Debug, Clone)]
pub struct DutyCycle {
    share: f64,
    /// When work was last reported, and the CPU time until then.
    last: Option<(Duration, Duration)>,
    /// CPU time not yet rested for, in seconds.
    debt: f64,
    /// What pieces took of late, in seconds: each larger than all after it.
    largest: VecDeque<(Duration, f64)>,
}

impl DutyCycle {
    /// At most `share` of one core, above 0 and at most 1.
    ///
    /// # Errors
    /// `BadOption` for another share.
    pub fn new(share: f32) -> Result<Self> {
        if !(share > 0.0 && share <= 1.0) {
            return Err(Error::new(ErrorKind::BadOption, "the share of a core must be above 0 and at most 1"));
        }
        Ok(Self { share: f64::from(share), last: None, debt: 0.0, largest: VecDeque::new() })
    }

    /// How long to rest now that a piece of work is done. `now` is the time since any fixed moment, `cpu` the CPU time
    /// of all threads since any fixed moment; the first call only notes them. At most [`WINDOW`]: after such a rest the
    /// past counts no more.
    pub fn rest(&mut self, now: Duration, cpu: Duration) -> Duration {
        let (before, cpu_before) = self.last.replace((now, cpu)).unwrap_or((now, cpu));
        let (elapsed, used) = (now.saturating_sub(before).as_secs_f64(), cpu.saturating_sub(cpu_before).as_secs_f64());
        while self.largest.back().is_some_and(|(_, smaller)| *smaller <= used) {
            self.largest.pop_back();
        }
        self.largest.push_back((now, used));
        while self.largest.front().is_some_and(|(at, _)| *at + 2 * WINDOW < now) {
            self.largest.pop_front();
        }
        let rate = self.rate();
        let most = rate * WINDOW.as_secs_f64();
        self.debt = (self.debt + used - rate * elapsed).clamp(0.0, most);
        Duration::from_secs_f64(self.debt / rate).min(WINDOW)
    }

    /// CPU time a second that leaves room for the largest piece.
    fn rate(&self) -> f64 {
        let largest = self.largest.front().map_or(0.0, |(_, used)| *used);
        let reserve = (3.0 * largest).max(RESERVE * self.share) / WINDOW.as_secs_f64();
        (self.share - reserve).max(self.share / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Runs pieces of `(wall, cpu)` seconds for ten minutes, resting as told; gives when CPU time was taken: from,
    /// until, seconds.
    fn run(share: f32, mut piece: impl FnMut() -> (f64, f64)) -> Vec<(f64, f64, f64)> {
        let mut duty = DutyCycle::new(share).unwrap();
        let (mut now, mut cpu, mut taken) = (5.0, 100.0, Vec::new());
        let seconds = Duration::from_secs_f64;
        assert_eq!(duty.rest(seconds(now), seconds(cpu)), Duration::ZERO);
        while now < 600.0 {
            let (wall, used) = piece();
            taken.push((now, now + wall, used));
            (now, cpu) = (now + wall, cpu + used);
            now += duty.rest(seconds(now), seconds(cpu)).as_secs_f64();
        }
        taken
    }

    /// The most CPU time in any minute. A piece is taken to spend all of its time at whichever of its ends is worse:
    /// every piece that touches the minute counts whole.
    fn worst_minute(taken: &[(f64, f64, f64)]) -> f64 {
        let minute = |first: usize| {
            let start = taken[first].1;
            taken[first..].iter().take_while(|(from, ..)| *from <= start + 60.0).map(|(.., used)| used).sum::<f64>()
        };
        (0..taken.len()).map(minute).fold(0.0, f64::max)
    }

    #[test]
    fn no_minute_takes_more_than_its_share() {
        // The share, and what pieces take: seconds at least and at most, and on how many cores.
        for (seed, share, shortest, longest, cores) in [
            (1, 0.8, 0.01, 0.3, 1.0),
            (2, 0.8, 0.1, 0.1, 1.0),
            (3, 0.8, 0.3, 0.3, 2.0),
            (4, 0.8, 0.001, 0.05, 8.0),
            (5, 0.8, 0.2, 1.0, 4.0),
            (6, 0.8, 2.0, 4.0, 1.0),
            (7, 0.5, 0.05, 0.2, 1.5),
            (8, 0.1, 0.01, 0.05, 2.0),
            (9, 1.0, 0.05, 0.2, 4.0),
        ] {
            for round in 0..20 {
                let mut random = Random::new(100 * seed + round);
                // The largest piece comes first: later ones are no surprise.
                let mut first = true;
                let taken = run(share, || {
                    let part = if std::mem::take(&mut first) { 1.0 } else { f64::from(random.uniform()) };
                    let wall = shortest + (longest - shortest) * part;
                    (wall, wall * cores)
                });
                let (worst, most) = (worst_minute(&taken), 60.0 * f64::from(share));
                assert!(worst <= most + 1e-6, "{share} {shortest} {longest} {cores}: {worst} s, not {most} s");
            }
        }
    }

    #[test]
    fn the_share_is_made_use_of() {
        for (share, wall, cores, least) in
            [(0.8, 0.1, 1.0, 0.95), (0.8, 0.1, 4.0, 0.95), (0.8, 0.5, 2.0, 0.9), (0.3, 0.05, 1.0, 0.95)]
        {
            let taken = run(share, || (wall, wall * cores));
            let used: f64 = taken.iter().map(|(.., used)| used).sum();
            let of_share = used / (600.0 * f64::from(share));
            assert!(of_share >= least, "{share} {wall} {cores}: {of_share}");
        }
    }

    #[test]
    fn work_below_its_share_never_rests() {
        let taken = run(0.8, || (1.0, 0.5));
        assert!(taken.windows(2).all(|pair| (pair[0].1 - pair[1].0).abs() < 1e-9));
    }

    #[test]
    fn odd_clocks_do_no_harm() {
        let seconds = Duration::from_secs_f64;
        for (times, expected) in [
            (&[(10.0, 1.0), (5.0, 0.5), (5.0, 0.5)][..], 0.0),
            (&[(0.0, 0.0), (1.0, 1e6)], 60.0),
            (&[(0.0, 0.0), (1.0, 1e6), (61.0, 1e6)], 0.0),
            (&[(0.0, 0.0), (1e9, 10.0)], 0.0),
        ] {
            let mut duty = DutyCycle::new(0.8).unwrap();
            let rest = times.iter().map(|(now, cpu)| duty.rest(seconds(*now), seconds(*cpu))).last().unwrap();
            assert!((rest.as_secs_f64() - expected).abs() < 1e-6, "{times:?}: {rest:?}");
        }
        for share in [0.0, -1.0, 1.1, f32::NAN] {
            assert_eq!(DutyCycle::new(share).unwrap_err().kind(), ErrorKind::BadOption);
        }
    }
}
