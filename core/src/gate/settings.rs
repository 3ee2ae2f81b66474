//! The gate's levels and their defaults.

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};

/// The asking by which half of α is spent. A first adapter gains so much that hardly any level is too low for it, so the
/// early askings need not have most; the power at the 52nd would be little better with a later half.
const HALF_SPENT: f64 = 10.0;

/// What a candidate has to show.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GateSettings {
    /// Independent units of held-out text (a conversation's day, a text that differs) below which nothing is promoted.
    pub min_units: usize,
    /// Smallest gain worth a change, nats a token.
    pub min_gain: f64,
    /// Probability that noise is ever promoted, however often the gate is asked in the life of a profile.
    pub alpha: f64,
    /// Relative rise of the loss on generic text that training should hold: above it, the verdict says so.
    pub held_forgetting: f64,
    /// Relative rise of the loss on generic text that rejects a candidate by itself.
    pub max_forgetting: f64,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self { min_units: 12, min_gain: 0.02, alpha: 0.05, held_forgetting: 0.05, max_forgetting: 0.30 }
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

    /// The level of the test when the gate is asked for the `asked`-th time: `α · h / ((k + h − 1)(k + h))`.
    ///
    /// It is what the spending function `α · k / (k + h)` gives out at the k-th asking (Lan and DeMets, Discrete
    /// sequential boundaries for clinical trials, Biometrika 70, 1983). The levels of all askings add up to α, and by
    /// Boole's inequality so does the chance that any of them promotes noise, whatever the askings have in common.
    /// `6 / (π² k²)` adds up as well, and leaves the 52nd asking a twelfth of this.
    pub fn level(&self, asked: u32) -> f64 {
        let k = f64::from(asked.max(1));
        self.alpha * HALF_SPENT / ((k + HALF_SPENT - 1.0) * (k + HALF_SPENT))
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
            (GateSettings { min_gain: 0.0, min_units: 0, alpha: 0.5, ..plain }, true),
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
        let spent = |asked: u32| (1..=asked).map(|k| settings.level(k)).sum::<f64>();
        assert!((spent(10) / settings.alpha - 0.5).abs() < 1e-9, "half by the tenth");
        let sum = spent(1_000_000);
        assert!(sum <= settings.alpha && sum > settings.alpha * 0.9999, "{sum}");
        assert_eq!(settings.level(0), settings.level(1));
        assert!((1..10_000).all(|k| settings.level(k + 1) < settings.level(k)));
    }
}
