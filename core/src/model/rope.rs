//! The angular frequencies of rotary position embedding, with the scalings that models ship.

use crate::shape::{ModelConfig, RopeScaling};

/// Radians a position for each of the `head_dim/2` pairs: `θ^(−2j/head_dim)`, scaled.
///
/// Linear scaling divides all by the factor. Llama 3's (as published with Llama 3.1) divides those that turn fewer than
/// `low_freq_factor` times within the original context, keeps those that turn more than `high_freq_factor` times, and
/// blends in between.
pub(crate) fn frequencies(config: &ModelConfig) -> Vec<f32> {
    let dim = config.head_dim;
    let base = config.rope.theta as f32;
    (0..dim / 2)
        .map(|j| {
            let frequency = 1.0 / base.powf((2 * j) as f32 / dim as f32);
            match &config.rope.scaling {
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
