//! Learning-rate schedules with warm-up.

use std::str::FromStr;

use serde::Serialize;

use crate::error::{Error, ErrorKind};

/// How the learning rate falls after warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum Decay {
    /// It does not.
    Constant,
    /// Linearly to nothing.
    #[default]
    Linear,
    /// Along half a cosine.
    Cosine,
}

impl FromStr for Decay {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "constant" => Ok(Self::Constant),
            "linear" => Ok(Self::Linear),
            "cosine" => Ok(Self::Cosine),
            _ => Err(Error::new(ErrorKind::BadOption, "schedule: constant, linear or cosine")),
        }
    }
}

/// A learning rate for every step: `peak · min(1, (k + 1)/warm-up) · max(floor, decay(k/n))` at step k of n, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Schedule {
    /// The highest rate.
    pub peak: f32,
    /// Steps of warm-up; 0 for none.
    pub warmup: usize,
    /// The fall after it.
    pub decay: Decay,
    /// The lowest share of the peak.
    pub floor: f32,
}

impl Schedule {
    /// The rate at step `k` of `n`.
    pub fn rate(&self, k: usize, n: usize) -> f32 {
        let warmup = if self.warmup == 0 { 1.0 } else { ((k + 1) as f64 / self.warmup as f64).min(1.0) };
        let progress = k as f64 / n.max(1) as f64;
        let decay = match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear => 1.0 - progress,
            Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        };
        (f64::from(self.peak) * warmup * decay.max(f64::from(self.floor))) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_follow_the_formula() {
        let schedule = |decay, warmup, floor| Schedule { peak: 2e-3, warmup, decay, floor };
        for (schedule, k, n, expected) in [
            (schedule(Decay::Linear, 10, 0.05), 0, 100, 2e-4),
            (schedule(Decay::Linear, 10, 0.05), 9, 100, 2e-3 * 0.91),
            (schedule(Decay::Linear, 10, 0.05), 50, 100, 1e-3),
            (schedule(Decay::Linear, 10, 0.05), 99, 100, 1e-4),
            (schedule(Decay::Constant, 0, 0.05), 0, 100, 2e-3),
            (schedule(Decay::Constant, 4, 0.0), 1, 100, 1e-3),
            (schedule(Decay::Cosine, 0, 0.0), 50, 100, 1e-3),
            (schedule(Decay::Cosine, 0, 0.1), 100, 100, 2e-4),
        ] {
            let rate = schedule.rate(k, n);
            assert!((rate - expected).abs() < 1e-9, "{schedule:?} at {k}/{n}: {rate}, not {expected}");
        }
    }
}
