//! The rotations of rotary position embedding, with the scalings that models ship.

use idiolect_kernels::ops::RopeTable;

use crate::shape::{RopeParameters, RopeScaling};

/// The table of `positions` positions.
pub(crate) fn table(rope: &RopeParameters, positions: usize) -> RopeTable {
    let mut table = RopeTable::new(&frequencies(rope, positions), positions);
    if let RopeScaling::Yarn { attention_factor, .. } | RopeScaling::LongRope { attention_factor, .. } = rope.scaling {
        table.values.iter_mut().for_each(|value| *value *= attention_factor as f32);
    }
    table
}

/// Radians a position for each of the `dim/2` pairs of a head: `θ^(−2j/dim)`, scaled.
///
/// Linear scaling divides all by the factor. Llama 3's (as published with Llama 3.1) divides those that turn fewer than
/// `low_freq_factor` times within the original context, keeps those that turn more than `high_freq_factor` times, and
/// blends in between. YaRN's ramp between the two runs over the index of the frequency. LongRoPE's factors are those for
/// contexts of `positions`, whatever a text's length is: what is in a cache cannot turn otherwise later.
fn frequencies(rope: &RopeParameters, positions: usize) -> Vec<f32> {
    let (dim, base) = (rope.dim, rope.theta as f32);
    let ramp = Ramp::of(rope);
    (0..dim / 2)
        .map(|j| {
            let frequency = 1.0 / base.powf((2 * j) as f32 / dim as f32);
            match &rope.scaling {
                RopeScaling::None | RopeScaling::Dynamic { .. } => frequency,
                RopeScaling::Yarn { factor, .. } => {
                    let kept = 1.0 - ramp.at(j);
                    frequency / *factor as f32 * (1.0 - kept) + frequency * kept
                }
                RopeScaling::Linear { factor } => frequency / *factor as f32,
                RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => {
                    let (factor, low, high) = (*factor as f32, *low_freq_factor as f32, *high_freq_factor as f32);
                    let turns = *original_max_position_embeddings as f32 * frequency / (2.0 * std::f32::consts::PI);
                    let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                    (1.0 - kept) * frequency / factor + kept * frequency
                }
                RopeScaling::Factors(factors) => frequency / factors[j],
                RopeScaling::LongRope { short_factors, long_factors, original_max_position_embeddings, .. } => {
                    let long = positions > *original_max_position_embeddings;
                    frequency / if long { long_factors[j] } else { short_factors[j] }
                }
            }
        })
        .collect()
}

/// Where YaRN's passage from kept frequencies to stretched ones begins and ends, as indices of frequencies.
struct Ramp {
    low: f32,
    high: f32,
}

impl Ramp {
    /// The index whose frequency turns n times within the original context L is `dim·ln(L / 2πn) / (2·ln θ)`.
    fn of(rope: &RopeParameters) -> Self {
        let RopeScaling::Yarn { original_max_position_embeddings, beta_fast, beta_slow, truncate, .. } = rope.scaling
        else {
            return Self { low: 0.0, high: 1.0 };
        };
        let (dim, context) = (rope.dim as f64, original_max_position_embeddings as f64);
        let turning = |turns: f64| dim * (context / (turns * std::f64::consts::TAU)).ln() / (2.0 * rope.theta.ln());
        let (low, high) = (turning(beta_fast), turning(beta_slow));
        let (low, high) = if truncate { (low.floor(), high.ceil()) } else { (low, high) };
        let (low, high) = (low.max(0.0), high.min(dim - 1.0));
        Self { low: low as f32, high: if low == high { high as f32 + 0.001 } else { high as f32 } }
    }

    /// From 0, kept, to 1, stretched.
    fn at(&self, index: usize) -> f32 {
        ((index as f32 - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}
