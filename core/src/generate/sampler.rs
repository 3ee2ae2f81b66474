//! Choosing the next token from logits: repetition penalty, temperature, top-k, top-p and min-p, in the
//! order of transformers, and a draw that a seed repeats.

use std::cmp::Ordering;

use idiolect_kernels::cpu::Normaliser;
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
    let Normaliser { largest, sum } = Normaliser::of(logits, temperature);
    f64::from(largest) / f64::from(temperature) + f64::from(sum).ln()
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
mod tests;
