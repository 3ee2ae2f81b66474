//! How much held-out text it takes to tell a gain from chance.

use super::settings::GateSettings;
use super::student::upper_quantile;
use super::verdict::{Reason, Verdict};

/// Beyond so many degrees of freedom a quantile changes no more.
const MOST_FREEDOM: usize = 2000;

/// Rounds until the number of units and the quantile at that number agree.
const ROUNDS: usize = 6;

/// About how many independent units of held-out text prove a gain that chance explained at the `asked`-th asking, when the
/// gate is asked again: an interval narrows with the root of their number, and the next asking's level is lower. `None`
/// where the verdict is another, or there is no gain to prove.
pub fn units_needed(verdict: &Verdict, asked: u32, settings: &GateSettings) -> Option<u64> {
    let Reason::GainUnproven { gain, gain_low } = verdict.reason else { return None };
    if gain <= 0.0 || verdict.units < 2 {
        return None;
    }
    let quantile = |asked: u32, units: f64| {
        let freedom = (units as usize).saturating_sub(1).clamp(1, MOST_FREEDOM);
        upper_quantile(settings.level(asked), freedom)
    };
    let units = verdict.units as f64;
    let now = quantile(asked, units);
    let mut needed = units;
    for _ in 0..ROUNDS {
        needed = units * ((gain - gain_low) / gain * quantile(asked.saturating_add(1), needed) / now).powi(2);
    }
    Some(needed.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::super::{Evidence, Fitness, GenericLosses, PairedLoss, judge};
    use super::*;

    /// The verdict on `units` units that differ and gain 0.1 nats a token on average.
    fn verdict(units: usize, asked: u32) -> Verdict {
        let pair = |unit: usize| PairedLoss {
            unit: unit as u64,
            cluster: unit as u64,
            tokens: 10,
            before: 40.0,
            after: 39.0 + [-3.0, 2.0, 0.0, 3.0, -2.0][unit % 5],
        };
        let held_out: Vec<PairedLoss> = (0..units).map(pair).collect();
        let losses = (0..20).map(|unit| PairedLoss { after: 40.0, ..pair(unit) }).collect();
        let generic = [GenericLosses { language: "eng".into(), losses }];
        let evidence = Evidence { held_out: &held_out, generic: &generic, asked, history: Fitness::Fit };
        judge(&evidence, &GateSettings::default())
    }

    #[test]
    fn as_many_units_as_it_says_prove_the_gain() {
        let settings = GateSettings::default();
        for asked in [1, 10, 52, 520] {
            let units = units_needed(&verdict(20, asked), asked, &settings).unwrap();
            let next = |share: f64| verdict((units as f64 * share) as usize, asked + 1);
            assert!(matches!(next(0.6).reason, Reason::GainUnproven { .. }), "asked {asked}, {units}: {:?}", next(0.6));
            assert!(matches!(next(1.2).reason, Reason::RealGain { .. }), "asked {asked}, {units}: {:?}", next(1.2));
            assert_eq!(units_needed(&next(1.2), asked, &settings), None);
        }
    }
}
