//! What the gate does in the long run: with noise, and with a real gain.

use super::{Decision, Evidence, Fitness, GateSettings, PairedLoss, judge};
use crate::random::Random;

const WEEKS: u32 = 52;

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

/// One held-out text: its length, and how it differs from the others whatever is trained.
struct Text {
    tokens: usize,
    constant: f64,
}

impl Text {
    /// Message-like lengths; the differences a token of long texts vary less than those of short ones.
    fn draw(noise: Noise, random: &mut Random) -> Self {
        let tokens = (2.3 + 0.8 * normal(random)).exp().ceil() as usize + 1;
        Self { tokens, constant: noise.draw(random) }
    }

    /// Its losses around one training: a gain of `gain` nats a token and noise, half of it the text's own, so that one
    /// week's accident is the next week's as well.
    fn pair(&self, cluster: usize, gain: f64, noise: Noise, spread: f64, random: &mut Random) -> PairedLoss {
        let deviation = std::f64::consts::FRAC_1_SQRT_2 * (self.constant + noise.draw(random));
        let tokens = self.tokens as f64;
        let difference = gain * tokens + spread * deviation * (8.0 * tokens).sqrt();
        PairedLoss {
            cluster: cluster as u64,
            tokens: self.tokens,
            before: 4.0 * tokens,
            after: 4.0 * tokens - difference,
        }
    }
}

fn generic() -> Vec<PairedLoss> {
    (0..20).map(|cluster| PairedLoss { cluster, tokens: 40, before: 120.0, after: 120.0 }).collect()
}

/// A year of weekly trainings that change held-out text by noise alone; the held-out set grows from `first` by `weekly`.
fn ever_promoted(noise: Noise, first: usize, weekly: usize, random: &mut Random) -> bool {
    let generic = generic();
    let mut texts: Vec<Text> = (0..first).map(|_| Text::draw(noise, random)).collect();
    (1..=WEEKS).any(|asked| {
        let held_out: Vec<PairedLoss> =
            texts.iter().enumerate().map(|(i, text)| text.pair(i, 0.0, noise, 0.4, random)).collect();
        texts.extend((0..weekly).map(|_| Text::draw(noise, random)));
        let evidence = Evidence { held_out: &held_out, generic: &generic, asked, history: Fitness::Fit };
        judge(&evidence, &GateSettings::default()).decision == Decision::Promoted
    })
}

#[test]
fn a_year_of_noise_promotes_in_at_most_one_history_of_twenty() {
    let repetitions = 300;
    for noise in NOISES {
        for (first, weekly) in [(20, 2), (60, 6)] {
            let mut random = Random::new(52);
            let promoted = (0..repetitions).filter(|_| ever_promoted(noise, first, weekly, &mut random)).count();
            assert!(promoted * 20 <= repetitions, "{noise:?} from {first} texts: {promoted} of {repetitions}");
        }
    }
}

#[test]
fn a_real_gain_is_promoted() {
    let repetitions = 300;
    let generic = generic();
    for (noise, samples, gain, asked, at_least) in [
        (Noise::Normal, 100, 0.1, 1, 0.9),
        (Noise::HeavyTails, 100, 0.1, 1, 0.8),
        (Noise::LeftSkewed, 100, 0.1, 1, 0.9),
        (Noise::Normal, 200, 0.1, 10, 0.9),
        (Noise::Normal, 30, 0.3, 1, 0.9),
    ] {
        let mut random = Random::new(7);
        let promoted = (0..repetitions).filter(|_| {
            let texts = (0..samples).map(|i| (i, Text::draw(noise, &mut random))).collect::<Vec<_>>();
            let held_out: Vec<PairedLoss> =
                texts.iter().map(|(i, text)| text.pair(*i, gain, noise, 0.3, &mut random)).collect();
            let evidence = Evidence { held_out: &held_out, generic: &generic, asked, history: Fitness::Fit };
            judge(&evidence, &GateSettings::default()).decision == Decision::Promoted
        });
        let share = promoted.count() as f64 / f64::from(repetitions);
        assert!(share >= at_least, "{noise:?}, {samples} texts, gain {gain}, asked {asked}: {share}");
    }
}
