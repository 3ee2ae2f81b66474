//! The strength that a candidate is given: full, unless it forgets too much at that.

use super::settings::GateSettings;
use super::verdict::{Decision, Verdict};

/// Strengths at which a candidate is judged, one after the other until one is settled on.
pub const STRENGTHS: [f32; 5] = [1.0, 0.85, 0.7, 0.5, 0.35];

/// How the search for a strength goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NextStrength {
    /// Measure and judge the candidate at this strength.
    Judge(f32),
    /// The verdict at this place of those so far counts, and its strength.
    Settled(usize),
}

/// What follows from the verdicts at the first of [`STRENGTHS`], in their order.
///
/// A candidate whose upper bound of forgetting is within [`GateSettings::held_forgetting`] keeps its full strength. One
/// that gains but forgets more is weakened to the largest strength that holds it and still promotes; where none does, to
/// the largest that promotes. One that does not gain at full strength is judged by that alone: to ask again and again
/// until chance agrees would undo the correction for repeated asking.
pub fn next_strength(verdicts: &[Verdict], settings: &GateSettings) -> NextStrength {
    let (Some(full), Some(last)) = (verdicts.first(), verdicts.last()) else {
        return NextStrength::Judge(STRENGTHS[0]);
    };
    let gains = full.gain.is_some_and(|gain| gain.low > 0.0 && gain.value >= settings.min_gain);
    if !gains || holds(full, settings) {
        return NextStrength::Settled(0);
    }
    let promoted = |verdict: &Verdict| verdict.decision == Decision::Promoted;
    if promoted(last) && holds(last, settings) {
        return NextStrength::Settled(verdicts.len() - 1);
    }
    match STRENGTHS.get(verdicts.len()) {
        Some(&strength) => NextStrength::Judge(strength),
        None => NextStrength::Settled(verdicts.iter().position(promoted).unwrap_or(0)),
    }
}

fn holds(verdict: &Verdict, settings: &GateSettings) -> bool {
    verdict.forgetting.is_some_and(|forgetting| forgetting.high <= settings.held_forgetting)
}

#[cfg(test)]
mod tests {
    use super::super::{Evidence, Fitness, GenericLosses, PairedLoss, judge};
    use super::*;

    /// The verdict on a candidate that gains `gain` nats a token and makes generic text worse by `forgetting`.
    fn verdict(gain: f64, forgetting: f64) -> Verdict {
        let pairs = |before: f64, after: f64| -> Vec<PairedLoss> {
            (0..60).map(|unit| PairedLoss { unit, cluster: unit, tokens: 10, before, after }).collect()
        };
        let (held_out, generic) = (pairs(40.0, 40.0 - 10.0 * gain), pairs(30.0, 30.0 * (1.0 + forgetting)));
        let generic = [GenericLosses { language: "eng".into(), losses: generic }];
        let evidence = Evidence { held_out: &held_out, generic: &generic, asked: 1, history: Fitness::Fit };
        judge(&evidence, &GateSettings::default())
    }

    #[test]
    fn the_largest_strength_that_holds_is_taken() {
        for (name, curve, strength) in [
            ("nothing forgotten", &[(0.5, 0.01)][..], 1.0),
            ("no gain", &[(0.0, 0.2)], 1.0),
            ("harm", &[(-0.5, 0.2)], 1.0),
            ("a little too much", &[(0.5, 0.06), (0.45, 0.045)], 0.85),
            ("more than is allowed at all", &[(0.5, 0.4), (0.4, 0.2), (0.3, 0.1), (0.25, 0.04)], 0.5),
            ("the gain goes first", &[(0.5, 0.2), (0.3, 0.1), (0.02, 0.06), (0.01, 0.04), (0.0, 0.02)], 1.0),
            ("nothing holds", &[(0.5, 0.5), (0.5, 0.4), (0.5, 0.25), (0.5, 0.2), (0.4, 0.15)], 0.7),
            ("nothing is allowed", &[(0.5, 0.5), (0.5, 0.4), (0.5, 0.4), (0.5, 0.4), (0.5, 0.4)], 1.0),
        ] {
            let mut verdicts: Vec<Verdict> = Vec::new();
            let settled = loop {
                match next_strength(&verdicts, &GateSettings::default()) {
                    NextStrength::Settled(place) => break STRENGTHS[place],
                    NextStrength::Judge(strength) => {
                        assert_eq!(strength, STRENGTHS[verdicts.len()], "{name}");
                        let (gain, forgetting) = curve[verdicts.len()];
                        verdicts.push(verdict(gain, forgetting));
                    }
                }
            };
            assert_eq!((settled, verdicts.len()), (strength, curve.len()), "{name}");
        }
    }
}
