//! What the gate does in the long run: with noise, and with a real gain.
//!
//! What a training does to the texts of one day's talk is partly the same. In the simulation that share is half, days have
//! five texts on average, and noise is of five kinds. Of 400 histories with a year of weekly trainings on noise, so many
//! percent had one promoted, by what counts as independent and what is counted beyond the sample:
//!
//! | | normal | heavy tails | left-skewed | very left-skewed | rarely ruinous |
//! |---|---|---|---|---|---|
//! | every text a unit | 44 | 40 | 45 | 43 | 34 |
//! | a day a unit, nothing unseen | 3 | 2 | 14 | 18 | 24 |
//! | … and three unseen days | 0.0 | 0.0 | 0.0 | 1.3 | 1.5 |

use super::{Decision, Evidence, Fitness, GateSettings, GenericLosses, PairedLoss, judge};
use crate::random::Random;

/// Distributions of mean 0 and variance about 1.
#[derive(Debug, Clone, Copy)]
enum Noise {
    /// Normal.
    Normal,
    /// Student's t of 2 degrees: heavy tails, no variance; scaled to half.
    HeavyTails,
    /// Most a little better, some worse: 1 − exponential.
    LeftSkewed,
    /// Most a little better, few much worse: mirrored log-normal.
    VeryLeftSkewed,
    /// One in twenty ruined, all others better by as much as that loses.
    RarelyRuinous,
}

const NOISES: [Noise; 5] =
    [Noise::Normal, Noise::HeavyTails, Noise::LeftSkewed, Noise::VeryLeftSkewed, Noise::RarelyRuinous];

impl Noise {
    fn draw(self, random: &mut Random) -> f64 {
        match self {
            Self::Normal => normal(random),
            Self::HeavyTails => 0.5 * normal(random) / uniform(random).ln().abs().sqrt(),
            Self::LeftSkewed => 1.0 + uniform(random).ln(),
            Self::VeryLeftSkewed => (0.5f64.exp() - normal(random).exp()) / 2.161,
            Self::RarelyRuinous => {
                let ruined = if uniform(random) < 0.05 { -0.95 } else { 0.05 };
                ruined / 0.218 + 0.3 * normal(random)
            }
        }
    }
}

/// Uniform in (0, 1).
fn uniform(random: &mut Random) -> f64 {
    ((random.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// Box and Muller.
fn normal(random: &mut Random) -> f64 {
    (-2.0 * uniform(random).ln()).sqrt() * (std::f64::consts::TAU * uniform(random)).cos()
}

/// How the texts of a history come.
#[derive(Debug, Clone, Copy)]
struct Habit {
    /// Texts of a day, on average: 1 for texts that have nothing in common.
    day: f64,
    /// The share of a text's noise that is its day's.
    shared: f64,
}

const APART: Habit = Habit { day: 1.0, shared: 0.0 };
const DAYS: Habit = Habit { day: 5.0, shared: 0.5 };

/// One held-out text: its day, its length, and how it differs from the others whatever is trained.
struct Text {
    day: usize,
    tokens: usize,
    constant: f64,
}

/// A held-out set as it grows.
struct HeldOut {
    noise: Noise,
    habit: Habit,
    texts: Vec<Text>,
    /// How each day differs from the others whatever is trained.
    days: Vec<f64>,
}

impl HeldOut {
    fn new(noise: Noise, habit: Habit) -> Self {
        Self { noise, habit, texts: Vec::new(), days: Vec::new() }
    }

    /// More texts, by whole days but for the last one. They have message-like lengths; the differences a token of long
    /// texts vary less than those of short ones.
    fn grow(&mut self, texts: usize, random: &mut Random) {
        let target = self.texts.len() + texts;
        while self.texts.len() < target {
            let of_day =
                if self.habit.day > 1.0 { (-self.habit.day * uniform(random).ln()).ceil() as usize } else { 1 };
            self.days.push(self.noise.draw(random));
            for _ in 0..of_day.min(target - self.texts.len()) {
                let tokens = (2.3 + 0.8 * normal(random)).exp().ceil() as usize + 1;
                self.texts.push(Text { day: self.days.len() - 1, tokens, constant: self.noise.draw(random) });
            }
        }
    }

    /// The losses around one training: a gain of `gain` nats a token and noise, half of it the texts' and days' own, so
    /// that one week's accident is the next week's as well.
    fn pairs(&self, gain: f64, spread: f64, random: &mut Random) -> Vec<PairedLoss> {
        let both = |constant: f64, anew: f64| std::f64::consts::FRAC_1_SQRT_2 * (constant + anew);
        let days: Vec<f64> = self.days.iter().map(|day| both(*day, self.noise.draw(random))).collect();
        let pair = |(cluster, text): (usize, &Text)| {
            let own = both(text.constant, self.noise.draw(random));
            let deviation = self.habit.shared.sqrt() * days[text.day] + (1.0 - self.habit.shared).sqrt() * own;
            let tokens = text.tokens as f64;
            let difference = gain * tokens + spread * deviation * (8.0 * tokens).sqrt();
            PairedLoss {
                unit: text.day as u64,
                cluster: cluster as u64,
                tokens: text.tokens,
                before: 4.0 * tokens,
                after: 4.0 * tokens - difference,
            }
        };
        self.texts.iter().enumerate().map(pair).collect()
    }
}

fn promotes(held_out: &[PairedLoss], asked: u32) -> bool {
    let generic = |unit| PairedLoss { unit, cluster: unit, tokens: 40, before: 120.0, after: 120.0 };
    let generic = [GenericLosses { language: "eng".into(), losses: (0..20).map(generic).collect() }];
    let evidence = Evidence { held_out, generic: &generic, asked, history: Fitness::Fit };
    judge(&evidence, &GateSettings::default()).decision == Decision::Promoted
}

/// The texts of a held-out set at first, those that come each week, and the most that are looked at.
type Growth = (usize, usize, usize);

/// How many of `histories` ever see noise promoted in so many weekly trainings.
fn ever_promoted(noise: Noise, habit: Habit, growth: Growth, weeks: u32, histories: usize) -> usize {
    let (first, weekly, most) = growth;
    let mut random = Random::new(52);
    let mut ever = || {
        let mut held_out = HeldOut::new(noise, habit);
        held_out.grow(first, &mut random);
        (1..=weeks).any(|asked| {
            let pairs = held_out.pairs(0.0, 0.4, &mut random);
            held_out.grow(weekly.min(most - held_out.texts.len()), &mut random);
            promotes(&pairs, asked)
        })
    };
    (0..histories).filter(|_| ever()).count()
}

#[test]
fn noise_is_ever_promoted_in_at_most_one_history_of_twenty() {
    for (weeks, histories, habit, growth) in [
        (52, 300, APART, (20, 2, 1000)),
        (52, 300, APART, (60, 6, 1000)),
        (52, 300, DAYS, (100, 10, 1000)),
        (520, 60, APART, (20, 2, 100)),
        (520, 60, DAYS, (100, 10, 200)),
    ] {
        for noise in NOISES {
            let promoted = ever_promoted(noise, habit, growth, weeks, histories);
            assert!(promoted * 20 <= histories, "{weeks} weeks, {noise:?}, {habit:?}: {promoted} of {histories}");
        }
    }
}

#[test]
fn a_real_gain_is_promoted() {
    let repetitions = 300;
    for (noise, habit, samples, gain, asked, at_least) in [
        (Noise::Normal, APART, 200, 0.1, 52, 0.9),
        (Noise::LeftSkewed, APART, 200, 0.1, 52, 0.8),
        (Noise::HeavyTails, APART, 200, 0.1, 52, 0.6),
        (Noise::Normal, APART, 200, 0.1, 520, 0.8),
        (Noise::Normal, APART, 100, 0.1, 1, 0.75),
        (Noise::Normal, APART, 30, 0.3, 1, 0.9),
        (Noise::LeftSkewed, APART, 30, 0.3, 1, 0.75),
        (Noise::Normal, DAYS, 200, 0.3, 1, 0.85),
        (Noise::Normal, DAYS, 200, 0.5, 52, 0.8),
        (Noise::RarelyRuinous, DAYS, 200, 0.7, 52, 0.8),
    ] {
        let mut random = Random::new(7);
        let promoted = (0..repetitions).filter(|_| {
            let mut held_out = HeldOut::new(noise, habit);
            held_out.grow(samples, &mut random);
            promotes(&held_out.pairs(gain, 0.3, &mut random), asked)
        });
        let share = promoted.count() as f64 / f64::from(repetitions);
        assert!(share >= at_least, "{noise:?}, {habit:?}, {samples} texts, gain {gain}, asked {asked}: {share}");
    }
}
