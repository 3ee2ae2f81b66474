//! Choosing the next token from logits: repetition penalty, temperature, top-k, top-p and min-p, in the
//! order of transformers, and a draw that a seed repeats.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

/// How many of the best tokens the full path sorts at first; eight times as many whenever that is too few.
const FIRST_CANDIDATES: usize = 64;

/// How the next token is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SamplingOptions {
    /// Divides the logits; 0 always takes the likeliest token.
    pub temperature: f32,
    /// Only the `top_k` likeliest tokens; 0 for all of them.
    pub top_k: usize,
    /// Only the likeliest tokens that together reach this probability, in (0, 1]; 1 for all of them.
    pub top_p: f32,
    /// Only tokens at least this many times as likely as the likeliest, in [0, 1]; 0 for all of them.
    pub min_p: f32,
    /// Divides the positive logits of tokens that came before, and multiplies the negative ones; 1 for none.
    pub repetition_penalty: f32,
    /// The same seed draws the same tokens from the same logits.
    pub seed: u64,
}

impl Default for SamplingOptions {
    fn default() -> Self {
        Self { temperature: 0.8, top_k: 40, top_p: 0.95, min_p: 0.05, repetition_penalty: 1.0, seed: 0 }
    }
}

impl SamplingOptions {
    /// Always the likeliest token.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::default() }
    }

    /// Checks every option.
    ///
    /// # Errors
    /// `BadOption` naming the option that is out of its range.
    pub fn validate(&self) -> Result<()> {
        let bad = |name: &str, value: f32, range: &str| {
            Err(Error::new(ErrorKind::BadOption, format!("{name} is {value}: it must be {range}")))
        };
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return bad("temperature", self.temperature, "0 or more");
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return bad("top_p", self.top_p, "above 0 and at most 1");
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return bad("min_p", self.min_p, "between 0 and 1");
        }
        if !(self.repetition_penalty.is_finite() && self.repetition_penalty > 0.0) {
            return bad("repetition_penalty", self.repetition_penalty, "above 0");
        }
        Ok(())
    }
}

/// Chooses tokens; holds the state of the random draw.
#[derive(Debug, Clone)]
pub struct Sampler {
    options: SamplingOptions,
    /// How many tokens were drawn: with the seed, all that the next draw depends on.
    drawn: u64,
    candidates: Vec<Candidate>,
    seen: Vec<u32>,
}

/// A token and its logit, after the repetition penalty.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    id: u32,
    logit: f32,
}

/// What is known of the tokens beyond the candidates.
#[derive(Debug, Clone, Copy)]
enum Rest {
    /// There are none.
    Nothing,
    /// There are some. `log_sum_exp` is that of all logits over the temperature, candidates included, where
    /// it is known.
    Unseen { log_sum_exp: Option<f64> },
}

impl Sampler {
    /// A sampler at the beginning of its draws.
    ///
    /// # Errors
    /// As [`SamplingOptions::validate`].
    pub fn new(options: &SamplingOptions) -> Result<Self> {
        options.validate()?;
        Ok(Self { options: options.clone(), drawn: 0, candidates: Vec::new(), seen: Vec::new() })
    }

    /// Whether the likeliest token is always taken, so that one candidate is enough.
    pub fn is_greedy(&self) -> bool {
        self.options.temperature == 0.0
    }

    /// The next token from the logits of the whole vocabulary (`[vocab]`, by id), given the ids that came
    /// before, prompt included. Among equal logits the lowest id comes first. Penalties are written into
    /// `logits`.
    ///
    /// # Errors
    /// `BadData` for a logit that is not finite, or none at all.
    pub fn sample(&mut self, logits: &mut [f32], previous: &[u32]) -> Result<u32> {
        finite(logits)?;
        self.remember(previous);
        for id in &self.seen {
            if let Some(logit) = logits.get_mut(*id as usize) {
                *logit = self.penalized(*logit);
            }
        }
        if self.is_greedy() {
            return likeliest((0..).zip(logits.iter().copied()));
        }

        let mut candidates = std::mem::take(&mut self.candidates);
        let top_k = self.options.top_k;
        let mut count = if top_k > 0 { top_k } else { FIRST_CANDIDATES };
        let log_sum_exp = (top_k == 0).then(|| log_sum_exp(logits, self.options.temperature));
        let chosen = loop {
            candidates.clear();
            candidates.extend((0..).zip(logits.iter()).map(|(id, logit)| Candidate { id, logit: *logit }));
            let rest = if count < candidates.len() {
                candidates.select_nth_unstable_by(count, by_logit);
                candidates.truncate(count);
                Rest::Unseen { log_sum_exp }
            } else {
                Rest::Nothing
            };
            candidates.sort_unstable_by(by_logit);
            match self.draw(&candidates, rest) {
                Some(id) => break id,
                None => count = count.saturating_mul(8),
            }
        };
        self.candidates = candidates;
        Ok(chosen)
    }

    /// The next token from the largest logits alone: `ids` and their `logits`, as many as were kept of the
    /// whole vocabulary, the lowest ids among equals, and `log_sum_exp`, the logarithm of the sum of
    /// `exp(logit / temperature)` over the whole vocabulary (not used when greedy). Chooses as
    /// [`sample`](Self::sample) does, or gives `None` where the choice needs logits beyond these; then nothing
    /// has been drawn, and `sample` takes the whole. `top_k` candidates are enough with top-k and no repetition
    /// penalty; with one, a few more.
    ///
    /// # Errors
    /// `BadData` for a logit that is not finite, none at all, or ids and logits of unequal number.
    pub fn sample_candidates(
        &mut self,
        ids: &[u32],
        logits: &[f32],
        log_sum_exp: f32,
        previous: &[u32],
    ) -> Result<Option<u32>> {
        finite(logits)?;
        if ids.len() != logits.len() {
            let message = format!("{} candidate ids, but {} logits", ids.len(), logits.len());
            return Err(Error::new(ErrorKind::BadData, message));
        }
        self.remember(previous);
        let mut candidates: Vec<Candidate> =
            std::iter::zip(ids, logits).map(|(id, logit)| Candidate { id: *id, logit: *logit }).collect();
        let Some(last) = candidates.iter().copied().max_by(by_logit) else { return Ok(None) };

        let penalizes = self.options.repetition_penalty != 1.0 && !self.seen.is_empty();
        let mut known = 0;
        for candidate in &mut candidates {
            if self.seen.binary_search(&candidate.id).is_ok() {
                candidate.logit = self.penalized(candidate.logit);
                known += 1;
            }
        }
        if self.options.repetition_penalty < 1.0 && known < self.seen.len() {
            return Ok(None);
        }
        // Every other token comes after the last candidate, as it was given; those that the penalty moved
        // behind that place can no longer be ranked.
        candidates.retain(|candidate| by_logit(candidate, &last) != Ordering::Greater);
        candidates.sort_unstable_by(by_logit);
        if self.is_greedy() {
            return Ok(candidates.first().map(|candidate| candidate.id));
        }
        if self.options.top_k > 0 {
            candidates.truncate(self.options.top_k);
        }
        let log_sum_exp = (!penalizes && log_sum_exp.is_finite()).then_some(f64::from(log_sum_exp));
        Ok(self.draw(&candidates, Rest::Unseen { log_sum_exp }))
    }

    /// Draws from the likeliest tokens, best first, or gives `None` where they do not decide.
    fn draw(&mut self, candidates: &[Candidate], rest: Rest) -> Option<u32> {
        let best = candidates.first()?.logit;
        let temperature = f64::from(self.options.temperature);
        let relative = |logit: f32| (f64::from(logit) - f64::from(best)) / temperature;
        let weights: Vec<f64> = candidates.iter().map(|candidate| relative(candidate.logit).exp()).collect();

        // Whether the candidates are all that top-k leaves, and the mass of what it leaves, where known.
        let top_k = self.options.top_k;
        let whole = matches!(rest, Rest::Nothing) || (top_k > 0 && candidates.len() == top_k);
        let seen: f64 = weights.iter().sum();
        let total = match rest {
            _ if whole => Some(seen),
            Rest::Unseen { log_sum_exp: Some(sum) } if top_k == 0 => {
                Some((sum - f64::from(best) / temperature).exp().max(seen))
            }
            _ => None,
        };

        // Top-p keeps a token if those before it fall short of the limit; min-p compares with the best, whose
        // weight is 1.
        let top_p = f64::from(self.options.top_p);
        let min_p = f64::from(self.options.min_p);
        let limit = if top_p < 1.0 { top_p * total? } else { f64::INFINITY };
        let mut mass = 0.0;
        let mut kept = 0;
        for weight in weights.iter().take_while(|weight| **weight >= min_p) {
            if mass >= limit {
                break;
            }
            mass += weight;
            kept += 1;
        }
        // The filters end within the candidates, or else nothing beyond them may be filtered.
        let closed = whole || kept < weights.len() || mass >= limit;
        let kept_mass = match total {
            _ if closed => mass,
            Some(total) if limit.is_infinite() && min_p == 0.0 => total,
            _ => return None,
        };

        let target = uniform(self.options.seed, self.drawn) * kept_mass;
        let mut below = 0.0;
        let chosen = weights[..kept].iter().position(|weight| {
            below += weight;
            target < below
        });
        let chosen = match chosen {
            Some(index) => index,
            // Rounding alone can leave the target at the very end.
            None if closed => kept - 1,
            None => return None,
        };
        self.drawn += 1;
        Some(candidates[chosen].id)
    }

    /// Keeps the distinct ids that the penalty falls on, ascending.
    fn remember(&mut self, previous: &[u32]) {
        self.seen.clear();
        if self.options.repetition_penalty != 1.0 {
            self.seen.extend_from_slice(previous);
            self.seen.sort_unstable();
            self.seen.dedup();
        }
    }

    fn penalized(&self, logit: f32) -> f32 {
        let penalty = self.options.repetition_penalty;
        let penalized = if logit < 0.0 { logit * penalty } else { logit / penalty };
        penalized.clamp(f32::MIN, f32::MAX)
    }
}

/// Best first; among equals the lowest id.
fn by_logit(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit.partial_cmp(&a.logit).unwrap_or(Ordering::Equal).then(a.id.cmp(&b.id))
}

fn likeliest(logits: impl Iterator<Item = (u32, f32)>) -> Result<u32> {
    let best = logits.map(|(id, logit)| Candidate { id, logit }).min_by(by_logit);
    best.map(|best| best.id).ok_or_else(|| Error::new(ErrorKind::BadData, "no logits to choose from"))
}

fn finite(logits: &[f32]) -> Result<()> {
    if logits.is_empty() {
        return Err(Error::new(ErrorKind::BadData, "no logits to choose from"));
    }
    match logits.iter().position(|logit| !logit.is_finite()) {
        None => Ok(()),
        Some(at) => {
            let message = format!("logit {at} of {} is {}", logits.len(), logits[at]);
            Err(Error::new(ErrorKind::BadData, message)
                .with_hint("the model's weights or the device's results are damaged"))
        }
    }
}

/// `log Σ exp(logit / temperature)`.
fn log_sum_exp(logits: &[f32], temperature: f32) -> f64 {
    let temperature = f64::from(temperature);
    let largest = f64::from(logits.iter().copied().fold(f32::MIN, f32::max));
    let sum: f64 = logits.iter().map(|logit| ((f64::from(*logit) - largest) / temperature).exp()).sum();
    largest / temperature + sum.ln()
}

/// The `index`-th number of `seed`'s sequence, uniform in [0, 1): SplitMix64 (Steele, Lea and Flood 2014).
fn uniform(seed: u64, index: u64) -> f64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut bits = seed.wrapping_add(STEP.wrapping_mul(index.wrapping_add(1)));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: SamplingOptions =
        SamplingOptions { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, seed: 7 };

    fn logs(probabilities: &[f32]) -> Vec<f32> {
        probabilities.iter().map(|p| p.ln()).collect()
    }

    /// Logits of a made-up vocabulary, some of them equal.
    fn made_up(size: usize, seed: u64) -> Vec<f32> {
        (0..size as u64).map(|index| (uniform(seed, index) * 40.0).floor() as f32 / 4.0 - 3.0).collect()
    }

    #[test]
    fn filters_leave_the_likeliest_in_their_proportions() {
        let logits = logs(&[0.05, 0.4, 0.1, 0.25, 0.2]);
        let cases = [
            (ALL, vec![0.05, 0.4, 0.1, 0.25, 0.2]),
            (SamplingOptions { top_k: 2, ..ALL }, vec![0.0, 8.0 / 13.0, 0.0, 5.0 / 13.0, 0.0]),
            (SamplingOptions { top_k: 9, ..ALL }, vec![0.05, 0.4, 0.1, 0.25, 0.2]),
            (SamplingOptions { top_p: 0.6, ..ALL }, vec![0.0, 8.0 / 13.0, 0.0, 5.0 / 13.0, 0.0]),
            (SamplingOptions { top_p: 0.66, ..ALL }, vec![0.0, 8.0 / 17.0, 0.0, 5.0 / 17.0, 4.0 / 17.0]),
            (SamplingOptions { top_p: 0.01, ..ALL }, vec![0.0, 1.0, 0.0, 0.0, 0.0]),
            (SamplingOptions { min_p: 0.45, ..ALL }, vec![0.0, 8.0 / 17.0, 0.0, 5.0 / 17.0, 4.0 / 17.0]),
            (SamplingOptions { min_p: 1.0, ..ALL }, vec![0.0, 1.0, 0.0, 0.0, 0.0]),
            // Top-p counts what top-k left: 0.4 / 0.65 is enough for 0.6.
            (SamplingOptions { top_k: 2, top_p: 0.6, ..ALL }, vec![0.0, 1.0, 0.0, 0.0, 0.0]),
            // Half the temperature squares the probabilities.
            (SamplingOptions { temperature: 0.5, top_k: 2, ..ALL }, vec![0.0, 64.0 / 89.0, 0.0, 25.0 / 89.0, 0.0]),
            (SamplingOptions { temperature: 0.0, ..ALL }, vec![0.0, 1.0, 0.0, 0.0, 0.0]),
        ];
        for (options, expected) in cases {
            let mut sampler = Sampler::new(&options).expect("options");
            let mut counts = vec![0_u32; logits.len()];
            for _ in 0..20_000 {
                counts[sampler.sample(&mut logits.clone(), &[]).expect("a token") as usize] += 1;
            }
            for (count, probability) in counts.iter().zip(&expected) {
                let share = f64::from(*count) / 20_000.0;
                assert!((share - probability).abs() < 0.012, "{options:?}: {counts:?}, not {expected:?}");
                assert_eq!(*count == 0, *probability == 0.0, "{options:?}: {counts:?}");
            }
        }
    }

    #[test]
    fn the_penalty_falls_once_on_each_token_that_came_before() {
        let greedy = |penalty| SamplingOptions { temperature: 0.0, repetition_penalty: penalty, ..ALL };
        for (logits, previous, penalty, expected) in [
            (vec![2.0, 3.0, 1.0], vec![], 2.0, 1),
            (vec![2.0, 3.0, 1.0], vec![1], 2.0, 0),
            (vec![2.0, 3.0, 1.0], vec![1, 1, 1], 1.4, 1),
            (vec![-2.0, -1.0, -3.0], vec![1, 99], 2.5, 0),
            (vec![2.0, 3.0, 1.0], vec![0], 0.5, 0),
            (vec![1.0, 3.0, 3.0, 3.0], vec![], 1.0, 1),
            (vec![-0.0, 0.0, -1.0], vec![], 1.0, 0),
            (vec![f32::MAX, f32::MIN, 0.0], vec![0, 1], 0.5, 0),
        ] {
            let mut sampler = Sampler::new(&greedy(penalty)).expect("options");
            assert_eq!(sampler.sample(&mut logits.clone(), &previous), Ok(expected), "{logits:?} {previous:?}");
        }
    }

    #[test]
    fn candidates_choose_as_the_whole_does() {
        let options = [
            ALL,
            SamplingOptions { temperature: 0.0, ..ALL },
            SamplingOptions { temperature: 0.0, repetition_penalty: 1.3, ..ALL },
            SamplingOptions { top_k: 20, ..ALL },
            SamplingOptions { top_k: 20, repetition_penalty: 1.3, ..ALL },
            SamplingOptions { top_k: 20, repetition_penalty: 0.9, ..ALL },
            SamplingOptions { top_p: 0.5, temperature: 0.4, ..ALL },
            SamplingOptions { min_p: 0.3, temperature: 0.7, ..ALL },
            SamplingOptions { min_p: 0.01, top_p: 0.9, temperature: 0.3, repetition_penalty: 1.1, ..ALL },
            SamplingOptions { temperature: 0.2, ..ALL },
            SamplingOptions::default(),
        ];
        for options in options {
            let mut decided = 0;
            for round in 0..200 {
                let options = SamplingOptions { seed: round, ..options.clone() };
                let mut logits = made_up(3000, round);
                let mut sorted: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
                sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
                let (ids, largest): (Vec<u32>, Vec<f32>) = sorted.into_iter().take(400).unzip();
                // What came before: likely tokens in one round, any in the next.
                let random = |i: u64| (uniform(round, 5000 + i) * 3000.0) as usize;
                let likely = round % 2 == 0;
                let previous: Vec<u32> =
                    (0..12).map(random).map(|at| if likely { ids[at % 400] } else { at as u32 }).collect();
                let sum = if options.temperature > 0.0 { log_sum_exp(&logits, options.temperature) } else { 0.0 };

                let mut by_candidates = Sampler::new(&options).expect("options");
                let mut by_all = by_candidates.clone();
                let chosen = by_candidates.sample_candidates(&ids, &largest, sum as f32, &previous).expect("a choice");
                let whole = by_all.sample(&mut logits, &previous).expect("a token");
                if let Some(chosen) = chosen {
                    assert_eq!((chosen, by_candidates.drawn), (whole, by_all.drawn), "{options:?}");
                    decided += 1;
                } else {
                    assert_eq!(by_candidates.drawn, 0);
                }
            }
            let undecidable = options.top_p < 1.0 && options.top_k == 0 && options.repetition_penalty != 1.0;
            assert_eq!(decided > 0, !undecidable, "{options:?}: {decided} of 200 decided");
        }
    }

    #[test]
    fn too_few_candidates_do_not_decide() {
        let logits = [3.0, 2.5, 2.0];
        for (options, previous, chosen) in [
            (SamplingOptions { top_k: 4, ..ALL }, vec![], None),
            (SamplingOptions { top_p: 0.9, ..ALL }, vec![], None),
            (SamplingOptions { min_p: 0.01, ..ALL }, vec![], None),
            (SamplingOptions { temperature: 0.0, repetition_penalty: 2.0, ..ALL }, vec![0, 1], Some(2)),
            (SamplingOptions { temperature: 0.0, repetition_penalty: 2.0, ..ALL }, vec![0, 1, 2], None),
            (SamplingOptions { temperature: 0.0, repetition_penalty: 0.5, ..ALL }, vec![9], None),
            (SamplingOptions { top_p: 0.1, ..ALL }, vec![], Some(0)),
            (SamplingOptions { top_k: 1, ..ALL }, vec![], Some(0)),
        ] {
            let mut sampler = Sampler::new(&options).expect("options");
            let result = sampler.sample_candidates(&[0, 1, 2], &logits, 5.0, &previous);
            assert_eq!(result, Ok(chosen), "{options:?}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_tokens_everywhere() {
        let draws = |seed| {
            let mut sampler = Sampler::new(&SamplingOptions { seed, ..ALL }).expect("options");
            let draw = |_| sampler.sample(&mut made_up(500, 1), &[]).expect("a token");
            (0..8).map(draw).collect::<Vec<u32>>()
        };
        assert_eq!(draws(0), SEED_0);
        assert_eq!(draws(42), SEED_42);
        // The first outputs of SplitMix64 from 1234567, published with its reference implementation.
        let published: [u64; 3] = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        for (index, bits) in (0..).zip(published) {
            assert_eq!(uniform(1_234_567, index), (bits >> 11) as f64 / 2.0_f64.powi(53));
        }
    }

    const SEED_0: [u32; 8] = [427, 85, 105, 16, 323, 355, 474, 489];
    const SEED_42: [u32; 8] = [400, 435, 122, 396, 116, 274, 2, 254];

    #[test]
    fn options_out_of_range_are_refused_by_name() {
        for (options, name) in [
            (SamplingOptions { temperature: -0.1, ..ALL }, "temperature"),
            (SamplingOptions { temperature: f32::INFINITY, ..ALL }, "temperature"),
            (SamplingOptions { top_p: 0.0, ..ALL }, "top_p"),
            (SamplingOptions { top_p: f32::NAN, ..ALL }, "top_p"),
            (SamplingOptions { min_p: 1.5, ..ALL }, "min_p"),
            (SamplingOptions { repetition_penalty: 0.0, ..ALL }, "repetition_penalty"),
        ] {
            let error = Sampler::new(&options).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::BadOption);
            assert!(error.message().contains(name), "{error}");
        }
    }

    #[test]
    fn logits_that_are_not_numbers_are_an_error() {
        for logits in [vec![], vec![0.0, f32::NAN], vec![f32::NEG_INFINITY, 0.0], vec![f32::INFINITY]] {
            for options in [ALL, SamplingOptions::greedy()] {
                let mut sampler = Sampler::new(&options).expect("options");
                assert_eq!(sampler.sample(&mut logits.clone(), &[]).map_err(|e| e.kind()), Err(ErrorKind::BadData));
                let ids = vec![0; logits.len()];
                let result = sampler.sample_candidates(&ids, &logits, 0.0, &[]);
                assert_eq!(result.map_err(|e| e.kind()), Err(ErrorKind::BadData));
            }
        }
    }
}
