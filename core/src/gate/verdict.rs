//! The verdict on a candidate, and the reason for it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::evidence::{Evidence, GenericLosses, PairedLoss};
use super::interval::{Estimate, ratio, students_ratio};
use super::screen::{Fitness, Unfit};
use super::settings::GateSettings;

/// Units of average size that the gain's lower bound counts beyond those there are, each worse by [`UNSEEN_LOSS`].
///
/// A sample can miss the rare day that a training ruins, and no interval computed from the sample alone can know it. Both
/// numbers were chosen by simulation (`simulation.rs` has the table): without them noise is promoted in one year of four
/// where one text in twenty loses 1.7 nats a token and the others gain a little. The bound on that side is Student's: the
/// skewness has been put there, and to correct for it once more (Hall) would leave a gain of 0.7 on forty days a coin's
/// toss.
const UNSEEN_UNITS: usize = 3;

/// Nats a token.
const UNSEEN_LOSS: f64 = 0.5;

/// What becomes of the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It becomes the active adapter.
    Promoted,
    /// What was active stays: nothing speaks against the candidate but that nothing was shown for it.
    Kept,
    /// What was active stays: the candidate does harm, or learned from what is no language.
    Rejected,
}

impl Decision {
    /// `promoted`, `kept` or `rejected`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::Kept => "kept",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why, as data; [`fmt::Display`] gives it in words.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Promoted: the gain is real, and training held what the base knew.
    RealGain {
        /// Nats a token.
        gain_low: f64,
    },
    /// Promoted: the gain is real, but more of generic text was forgotten than training should hold.
    RealGainDespiteForgetting {
        /// Nats a token.
        gain_low: f64,
        /// Relative rise of the loss on generic text.
        forgetting_high: f64,
        /// What should have been held.
        held: f64,
    },
    /// Kept: too little held-out text to tell.
    TooFewHeldOut {
        /// Independent units there are.
        #[serde(alias = "clusters")]
        units: usize,
        /// Units there must be.
        needed: usize,
    },
    /// Kept: smaller than what is worth a change.
    GainTooSmall {
        /// Nats a token.
        gain: f64,
        /// The least that is worth it.
        needed: f64,
    },
    /// Kept: chance explains the gain.
    GainUnproven {
        /// Nats a token.
        gain: f64,
        /// Nats a token, not above 0.
        gain_low: f64,
    },
    /// Rejected: held-out text got worse, beyond chance.
    Worse {
        /// Nats a token, below 0.
        gain_high: f64,
    },
    /// Rejected: too much of generic text was forgotten.
    Forgets {
        /// Relative rise of the loss on generic text.
        forgetting_high: f64,
        /// What is still allowed.
        allowed: f64,
    },
    /// Rejected: the history cannot be learned from.
    UnfitHistory {
        /// Why not.
        why: Unfit,
        /// Share of its messages that would have to be left out.
        left_out: f64,
    },
    /// Rejected: a loss is not a finite number, or there is no generic text to measure forgetting on.
    NotMeasurable,
    /// Rejected: training came to no candidate, for a loss or a gradient was no number, however low the learning rate.
    Diverged {
        /// Steps that the last try had taken; 0 where the base's own loss is no number.
        steps: usize,
        /// How many learning rates were tried.
        tries: usize,
    },
}

impl Reason {
    /// What follows from it.
    pub fn decision(&self) -> Decision {
        match self {
            Self::RealGain { .. } | Self::RealGainDespiteForgetting { .. } => Decision::Promoted,
            Self::TooFewHeldOut { .. } | Self::GainTooSmall { .. } | Self::GainUnproven { .. } => Decision::Kept,
            Self::Worse { .. }
            | Self::Forgets { .. }
            | Self::UnfitHistory { .. }
            | Self::NotMeasurable
            | Self::Diverged { .. } => Decision::Rejected,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::RealGain { gain_low } => {
                write!(f, "held-out text improved by at least {gain_low:.3} nats a token")
            }
            Self::RealGainDespiteForgetting { gain_low, forgetting_high, held } => write!(
                f,
                "held-out text improved by at least {gain_low:.3} nats a token; the loss on generic text rose by up to \
                 {:.1} %, above the {:.1} % that training should hold",
                100.0 * forgetting_high,
                100.0 * held
            ),
            Self::TooFewHeldOut { units, needed } => write!(
                f,
                "{units} independent held-out texts are too few to tell a gain from chance, and {needed} are needed; a \
                 conversation's of one day count as one"
            ),
            Self::GainTooSmall { gain, needed } => {
                write!(
                    f,
                    "held-out text changed by {gain:+.3} nats a token; less than {needed:.3} is not worth a change"
                )
            }
            Self::GainUnproven { gain, gain_low } => write!(
                f,
                "chance explains the gain of {gain:.3} nats a token on held-out text: its lower bound is {gain_low:.3}"
            ),
            Self::Worse { gain_high } => {
                write!(f, "held-out text got worse, by at least {:.3} nats a token", -gain_high)
            }
            Self::Forgets { forgetting_high, allowed } => write!(
                f,
                "the loss on generic text may have risen by {:.1} %; {:.1} % is allowed",
                100.0 * forgetting_high,
                100.0 * allowed
            ),
            Self::UnfitHistory { why, left_out } => Fitness::Unfit { why, left_out }.fmt(f),
            Self::NotMeasurable => {
                f.write_str("the losses before and after cannot be compared: one is not finite, or none")
            }
            Self::Diverged { steps: 0, .. } => f.write_str(
                "the loss or its gradient is not finite before anything is learned: the weights of the model are damaged, or \
                 the adapter's scale is too large",
            ),
            Self::Diverged { steps, tries } => write!(
                f,
                "the loss or its gradient is not finite after {steps} steps, at the lowest of {tries} learning rates too"
            ),
        }
    }
}

/// How much of a language was forgotten.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forgetting {
    /// ISO 639-3.
    pub language: String,
    /// Relative rise of the loss on generic text, 0.05 for 5 %.
    pub rise: Estimate,
}

/// The gate's answer. Numbers are `None` where too little was measured to compute them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What becomes of the candidate.
    pub decision: Decision,
    /// Why.
    pub reason: Reason,
    /// Mean loss on held-out text before, nats a token.
    pub held_out_before: Option<f64>,
    /// The same after.
    pub held_out_after: Option<f64>,
    /// Before less after, nats a token; bounds at the level of this asking.
    pub gain: Option<Estimate>,
    /// Relative rise of the loss on generic text, 0.05 for 5 %, in the language in which it may have risen most; bounds at
    /// [`GateSettings::alpha`].
    pub forgetting: Option<Estimate>,
    /// The same in each language that it was measured in; none in a verdict of an earlier release, which measured English.
    #[serde(default)]
    pub forgetting_in: Vec<Forgetting>,
    /// Held-out texts that were compared.
    pub samples: usize,
    /// Independent units among them: a conversation's texts of one day are one, near-duplicates are one.
    #[serde(alias = "clusters")]
    pub units: usize,
}

impl Verdict {
    /// The verdict on a history that must not be learned from.
    pub fn unfit(why: Unfit, left_out: f64) -> Self {
        Self::without_losses(Reason::UnfitHistory { why, left_out })
    }

    /// The verdict on a training that came to no candidate.
    pub fn diverged(steps: usize, tries: usize) -> Self {
        Self::without_losses(Reason::Diverged { steps, tries })
    }

    fn without_losses(reason: Reason) -> Self {
        Self {
            decision: reason.decision(),
            reason,
            held_out_before: None,
            held_out_after: None,
            gain: None,
            forgetting: None,
            forgetting_in: Vec::new(),
            samples: 0,
            units: 0,
        }
    }
}

/// Judges a candidate.
///
/// The gain is Σ (before − after) / Σ tokens over clusters of near-duplicates, each entering with the mean of its texts;
/// its interval is that of sums over independent units, each of one cluster or of those of a conversation's day. It has
/// to reach [`GateSettings::min_gain`], and its lower bound at [`GateSettings::level`] has to lie above 0.
/// Forgetting is Σ (after − before) / Σ before over pieces of generic text, in each language by itself; the highest of
/// the upper bounds counts. A history that is unfit is rejected without any losses.
pub fn judge(evidence: &Evidence<'_>, settings: &GateSettings) -> Verdict {
    let units = by_unit(evidence.held_out);
    let gain = gain(&units, settings.level(evidence.asked));
    let forgetting_in =
        evidence.generic.iter().map(|generic| forgetting(generic, settings.alpha)).collect::<Option<_>>();
    let forgetting_in: Vec<Forgetting> = forgetting_in.unwrap_or_default();
    let rises = forgetting_in.iter().map(|language| language.rise);
    let forgetting = rises.max_by(|a, b| a.high.total_cmp(&b.high));
    let tokens: f64 = units.iter().map(|sums| sums.tokens).sum();
    let mean_loss = |loss: fn(&Sums) -> f64| {
        let mean = units.iter().map(loss).sum::<f64>() / tokens;
        mean.is_finite().then_some(mean)
    };
    let reason = match evidence.history {
        Fitness::Unfit { why, left_out } => Reason::UnfitHistory { why, left_out },
        Fitness::Fit | Fitness::Partly { .. } => reason(units.len(), gain, forgetting, settings),
    };
    Verdict {
        decision: reason.decision(),
        reason,
        held_out_before: mean_loss(|sums| sums.before),
        held_out_after: mean_loss(|sums| sums.after),
        gain,
        forgetting,
        forgetting_in,
        samples: evidence.held_out.len(),
        units: units.len(),
    }
}

fn reason(units: usize, gain: Option<Estimate>, forgetting: Option<Estimate>, settings: &GateSettings) -> Reason {
    let Some(forgetting) = forgetting else { return Reason::NotMeasurable };
    if forgetting.high > settings.max_forgetting {
        return Reason::Forgets { forgetting_high: forgetting.high, allowed: settings.max_forgetting };
    }
    if units < settings.min_units.max(2) {
        return Reason::TooFewHeldOut { units, needed: settings.min_units.max(2) };
    }
    match gain {
        None => Reason::NotMeasurable,
        Some(gain) if gain.high < 0.0 => Reason::Worse { gain_high: gain.high },
        Some(gain) if gain.value < settings.min_gain => {
            Reason::GainTooSmall { gain: gain.value, needed: settings.min_gain }
        }
        Some(gain) if gain.low <= 0.0 => Reason::GainUnproven { gain: gain.value, gain_low: gain.low },
        Some(gain) if forgetting.high > settings.held_forgetting => Reason::RealGainDespiteForgetting {
            gain_low: gain.low,
            forgetting_high: forgetting.high,
            held: settings.held_forgetting,
        },
        Some(gain) => Reason::RealGain { gain_low: gain.low },
    }
}

/// The rise of the loss in a language; none where it cannot be computed.
fn forgetting(generic: &GenericLosses, alpha: f64) -> Option<Forgetting> {
    let units = by_unit(&generic.losses);
    let rises: Vec<(f64, f64)> = units.iter().map(|sums| (sums.after - sums.before, sums.before)).collect();
    Some(Forgetting { language: generic.language.clone(), rise: ratio(&rises, alpha)? })
}

/// The gain a token; its lower bound counts the units that no sample shows.
fn gain(units: &[Sums], level: f64) -> Option<Estimate> {
    let mut units: Vec<(f64, f64)> = units.iter().map(|sums| (sums.before - sums.after, sums.tokens)).collect();
    let seen = ratio(&units, level)?;
    let tokens = units.iter().map(|unit| unit.1).sum::<f64>() / units.len() as f64;
    units.extend([(-UNSEEN_LOSS * tokens, tokens); UNSEEN_UNITS]);
    let careful = students_ratio(&units, level)?;
    Some(Estimate { low: careful.low.min(seen.low), ..seen })
}

/// What a unit adds up to: for each of its clusters, the mean of the cluster's texts.
#[derive(Debug, Default)]
struct Sums {
    before: f64,
    after: f64,
    tokens: f64,
}

/// The sums of each unit, in a fixed order. Texts without tokens say nothing.
fn by_unit(losses: &[PairedLoss]) -> Vec<Sums> {
    let mut clusters: BTreeMap<(u64, u64), (f64, Sums)> = BTreeMap::new();
    for loss in losses.iter().filter(|loss| loss.tokens > 0) {
        let (count, sum) = clusters.entry((loss.unit, loss.cluster)).or_default();
        *count += 1.0;
        sum.before += loss.before;
        sum.after += loss.after;
        sum.tokens += loss.tokens as f64;
    }
    let mut units: BTreeMap<u64, Sums> = BTreeMap::new();
    for ((unit, _), (count, sum)) in clusters {
        let sums = units.entry(unit).or_default();
        sums.before += sum.before / count;
        sums.after += sum.after / count;
        sums.tokens += sum.tokens / count;
    }
    units.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `n` texts of ten tokens at 3 nats, the i-th better by `gain(i)` nats a token.
    fn texts(n: usize, gain: impl Fn(usize) -> f64) -> Vec<PairedLoss> {
        let text = |i: usize| PairedLoss {
            unit: i as u64,
            cluster: i as u64,
            tokens: 10,
            before: 30.0 + (i % 7) as f64,
            after: 30.0 + (i % 7) as f64 - 10.0 * gain(i),
        };
        (0..n).map(text).collect()
    }

    fn wobble(i: usize) -> f64 {
        [-0.3, 0.2, 0.0, 0.3, -0.2][i % 5]
    }

    /// The same losses in one language.
    fn english(losses: &[PairedLoss]) -> GenericLosses {
        GenericLosses { language: "eng".into(), losses: losses.to_vec() }
    }

    fn verdict(held_out: &[PairedLoss], generic: &[PairedLoss], asked: u32) -> Verdict {
        let evidence = Evidence { held_out, generic: &[english(generic)], asked, history: Fitness::Fit };
        judge(&evidence, &GateSettings::default())
    }

    #[test]
    fn the_language_that_is_forgotten_most_decides() {
        let held_out = texts(100, |_| 0.5);
        let losses = |language: &str, rise: f64| {
            let losses = texts(40, |i| -3.0 * rise + 0.01 * wobble(i));
            GenericLosses { language: language.into(), losses }
        };
        let judged = |generic: &[GenericLosses]| {
            let evidence = Evidence { held_out: &held_out, generic, asked: 1, history: Fitness::Fit };
            judge(&evidence, &GateSettings::default())
        };
        for (rises, code, worst) in [
            (&[("eng", 0.01), ("deu", 0.02)][..], "real_gain", 1),
            (&[("eng", 0.01), ("deu", 0.1)], "real_gain_despite_forgetting", 1),
            (&[("hin", 0.5), ("eng", -0.1), ("deu", 0.1)], "forgets", 0),
        ] {
            let generic: Vec<GenericLosses> = rises.iter().map(|&(language, rise)| losses(language, rise)).collect();
            let verdict = judged(&generic);
            assert_eq!(serde_json::to_value(verdict.reason).unwrap()["code"], code, "{rises:?}");
            let languages: Vec<&str> = verdict.forgetting_in.iter().map(|of| of.language.as_str()).collect();
            assert_eq!(languages, rises.iter().map(|(language, _)| *language).collect::<Vec<_>>());
            assert_eq!(verdict.forgetting, Some(verdict.forgetting_in[worst].rise), "{rises:?}");
        }
        // One that cannot be measured is not left out.
        let unmeasured = GenericLosses { language: "fra".into(), losses: Vec::new() };
        assert_eq!(judged(&[losses("eng", 0.0), unmeasured]).reason, Reason::NotMeasurable);
        assert_eq!(judged(&[]).reason, Reason::NotMeasurable);
    }

    #[test]
    fn verdicts_follow_the_numbers() {
        let same = texts(40, |_| 0.0);
        let told = |text: PairedLoss, unit, cluster| PairedLoss { unit, cluster, ..text };
        let one_message: Vec<PairedLoss> =
            texts(200, |_| 1.0).into_iter().map(|text| told(text, text.unit % 3, text.unit % 3)).collect();
        let few_days: Vec<PairedLoss> =
            texts(300, |i| 0.2 + wobble(i)).into_iter().map(|text| told(text, text.unit / 30, text.cluster)).collect();
        // Each day's texts have the day's change in common: 0.8 better or 0.5 worse.
        let unlike_days: Vec<PairedLoss> = texts(600, |i| if i / 20 % 2 == 0 { 0.8 } else { -0.5 })
            .into_iter()
            .map(|text| told(text, text.unit / 20, text.cluster))
            .collect();
        for (name, held_out, generic, asked, code) in [
            ("a clear gain", texts(100, |i| 0.2 + wobble(i)), same.clone(), 1, "real_gain"),
            ("the same, asked for the 50th time", texts(100, |i| 0.2 + wobble(i)), same.clone(), 50, "real_gain"),
            ("a gain that only one asking shows", texts(100, |i| 0.08 + wobble(i)), same.clone(), 50, "gain_unproven"),
            ("no change", texts(100, |_| 0.0), same.clone(), 1, "gain_too_small"),
            ("a tiny certain gain", texts(100, |_| 0.01), same.clone(), 1, "gain_too_small"),
            ("a loss within chance", texts(30, |i| -0.01 + wobble(i)), same.clone(), 1, "gain_too_small"),
            ("harm", texts(100, |i| -0.2 + wobble(i)), same.clone(), 1, "worse"),
            ("nothing held out", Vec::new(), same.clone(), 1, "too_few_held_out"),
            ("few texts", texts(11, |_| 1.0), same.clone(), 1, "too_few_held_out"),
            ("many copies of few texts", one_message, same.clone(), 1, "too_few_held_out"),
            ("many texts of few days", few_days, same.clone(), 1, "too_few_held_out"),
            ("days that differ", unlike_days, same.clone(), 1, "gain_unproven"),
            ("forgetting a little", texts(100, |_| 0.5), texts(80, |_| -0.3), 1, "real_gain_despite_forgetting"),
            ("forgetting much", texts(100, |_| 0.5), texts(80, |i| -1.1 + wobble(i)), 1, "forgets"),
            ("no generic text", texts(100, |_| 0.5), Vec::new(), 1, "not_measurable"),
            (
                "an infinite loss",
                texts(100, |i| if i == 5 { f64::NEG_INFINITY } else { 0.5 }),
                same.clone(),
                1,
                "not_measurable",
            ),
            ("no number", texts(100, |_| f64::NAN), same.clone(), 1, "not_measurable"),
        ] {
            let verdict = verdict(&held_out, &generic, asked);
            let json = serde_json::to_value(&verdict).unwrap();
            assert_eq!(json["reason"]["code"], code, "{name}: {verdict:?}");
            assert_eq!(json["decision"], verdict.decision.to_string(), "{name}");
            assert_eq!(serde_json::from_value::<Verdict>(json).unwrap(), verdict, "{name}");
            assert!(!verdict.reason.to_string().is_empty());
        }
    }

    #[test]
    fn a_history_that_is_no_language_is_rejected_whatever_the_numbers() {
        let history = Fitness::Unfit { why: Unfit::NotLanguage, left_out: 0.9 };
        for held_out in [texts(100, |_| 0.5), Vec::new()] {
            let evidence = Evidence { held_out: &held_out, generic: &[english(&held_out)], asked: 1, history };
            let verdict = judge(&evidence, &GateSettings::default());
            assert_eq!(verdict.reason, Reason::UnfitHistory { why: Unfit::NotLanguage, left_out: 0.9 });
            assert_eq!(verdict.decision, Decision::Rejected);
        }
    }

    #[test]
    fn near_duplicates_count_once() {
        let mut held_out = texts(40, |_| 0.25);
        // Ninety copies of one text that lost much: one unit among forty-one.
        held_out.extend((0..90).map(|_| PairedLoss { unit: 99, cluster: 99, tokens: 10, before: 30.0, after: 60.0 }));
        let generic: Vec<PairedLoss> =
            (0..50).map(|i| PairedLoss { unit: i, cluster: i, tokens: 20, before: 60.0, after: 62.4 }).collect();
        let verdict = verdict(&held_out, &generic, 1);
        let gain = verdict.gain.unwrap();
        assert!((gain.value - (40.0 * 0.25 - 3.0) / 41.0).abs() < 1e-12, "{gain:?}");
        assert!((verdict.held_out_before.unwrap() - verdict.held_out_after.unwrap() - gain.value).abs() < 1e-12);
        assert_eq!((verdict.samples, verdict.units), (130, 41));
        let forgetting = verdict.forgetting.unwrap();
        assert!((forgetting.value - 0.04).abs() < 1e-12 && (forgetting.high - 0.04).abs() < 1e-12, "{forgetting:?}");
    }
}
