//! The gate's levels and their defaults.

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};

/// What a candidate has to show.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GateSettings {
    /// Held-out texts, near-duplicates counted once, below which nothing is promoted.
    pub min_clusters: usize,
    /// Smallest gain worth a change, nats a token.
    pub min_gain: f64,
    /// Probability that noise is ever promoted, however often the gate is asked.
    pub alpha: f64,
    /// Relative rise of the loss on generic text that training should hold: above it, the verdict says so.
    pub held_forgetting: f64,
    /// Relative rise of the loss on generic text that rejects a candidate by itself.
    pub max_forgetting: f64,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self { min_clusters: 20, min_gain: 0.02, alpha: 0.05, held_forgetting: 0.05, max_forgetting: 0.30 }
    }
}

impl GateSettings {
    /// Checks every value's range.
    ///
    /// # Errors
    /// A `BadOption` that names the setting.
    pub fn check(&self) -> Result<()> {
        for (name, value) in [
            ("min-gain", self.min_gain),
            ("alpha", self.alpha),
            ("held-forgetting", self.held_forgetting),
            ("max-forgetting", self.max_forgetting),
        ] {
            if !value.is_finite() || value < 0.0 {
                let message = format!("the gate's {name} of {value} is no number from 0 on");
                return Err(Error::new(ErrorKind::BadOption, message));
            }
        }
        if self.alpha > 0.5 {
            let message = format!("the gate's alpha of {} is above 0.5", self.alpha);
            return Err(Error::new(ErrorKind::BadOption, message));
        }
        Ok(())
    }

    /// The level of the test when the gate is asked for the `asked`-th time: `α · 6 / (π² k²)`. Since Σ 1/k² = π²/6
    /// (Euler), the levels of all askings add up to α, and by Boole's inequality so does the chance that any of them
    /// promotes noise, whatever the askings have in common.
    pub fn level(&self, asked: u32) -> f64 {
        let k = f64::from(asked.max(1));
        self.alpha * 6.0 / (std::f64::consts::PI * k).powi(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_refused() {
        let plain = GateSettings::default();
        for (settings, allowed) in [
            (plain, true),
            (GateSettings { min_gain: 0.0, min_clusters: 0, alpha: 0.5, ..plain }, true),
            (GateSettings { alpha: 0.51, ..plain }, false),
            (GateSettings { alpha: f64::NAN, ..plain }, false),
            (GateSettings { min_gain: -0.1, ..plain }, false),
            (GateSettings { max_forgetting: f64::INFINITY, ..plain }, false),
        ] {
            assert_eq!(settings.check().is_ok(), allowed, "{settings:?}");
        }
    }

    #[test]
    fn the_levels_of_all_askings_add_up_to_alpha() {
        let settings = GateSettings::default();
        let sum: f64 = (1..1_000_000).map(|k| settings.level(k)).sum();
        assert!(sum <= settings.alpha && sum > settings.alpha * 0.999, "{sum}");
        assert_eq!(settings.level(0), settings.level(1));
    }
}
