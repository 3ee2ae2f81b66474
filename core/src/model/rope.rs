//! The angular frequencies of rotary position embedding, with the scalings that models ship.

use crate::shape::{RopeParameters, RopeScaling};

/// Radians a position for each of the `dim/2` pairs of a head: `θ^(−2j/dim)`, scaled.
///
/// Linear scaling divides all by the factor. Llama 3's (as published with Llama 3.1) divides those that turn fewer than
/// `low_freq_factor` times within the original context, keeps those that turn more than `high_freq_factor` times, and
/// blends in between.
pub(crate) fn frequencies(rope: &RopeParameters) -> Vec<f32> {
    let (dim, base) = (rope.dim, rope.theta as f32);
    (0..dim / 2)
        .map(|j| {
            let frequency = 1.0 / base.powf((2 * j) as f32 / dim as f32);
            match &rope.scaling {
                RopeScaling::None => frequency,
                RopeScaling::Linear { factor } => frequency / *factor as f32,
                RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => {
                    let (factor, low, high) = (*factor as f32, *low_freq_factor as f32, *high_freq_factor as f32);
                    let turns = *original_max_position_embeddings as f32 * frequency / (2.0 * std::f32::consts::PI);
                    let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                    (1.0 - kept) * frequency / factor + kept * frequency
                }
                RopeScaling::Factors(factors) => frequency / factors[j],
            }
        })
        .collect()
}
