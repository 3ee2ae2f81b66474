//! Rotary positions.

/// How rotary positions are stretched beyond the trained context.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// Every frequency divided by `factor`.
    Linear {
        /// The stretch.
        factor: f64,
    },
    /// By how long a text is, where it is longer than the context of the first training, which no text here is: not at all.
    Dynamic {
        /// The stretch.
        factor: f64,
    },
    /// YaRN (Peng et al., 2023): low frequencies divided by `factor`, high ones kept, a ramp between; scores are stretched.
    Yarn {
        /// The stretch of low frequencies.
        factor: f64,
        /// The context of the first training.
        original_max_position_embeddings: usize,
        /// Frequencies that turn at least so often within it are kept.
        beta_fast: f64,
        /// Frequencies that turn at most so often within it are stretched whole.
        beta_slow: f64,
        /// Factor on cosines and sines, and so twice on scores.
        attention_factor: f64,
        /// Whether the ramp begins and ends at whole indices.
        truncate: bool,
    },
    /// Llama 3.1: low frequencies divided by `factor`, high ones kept, a smooth passage between.
    Llama3 {
        /// The stretch of low frequencies.
        factor: f64,
        /// Wavelengths over `original_max_position_embeddings / low_freq_factor` are stretched whole.
        low_freq_factor: f64,
        /// Wavelengths under `original_max_position_embeddings / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// The context of the first training.
        original_max_position_embeddings: usize,
    },
    /// LongRoPE (Ding et al., 2024): frequency i divided by the i-th factor, of which contexts beyond that of the first
    /// training have other ones.
    LongRope {
        /// Factors within the context of the first training, `dim / 2` of them.
        short_factors: Vec<f32>,
        /// Factors in longer contexts.
        long_factors: Vec<f32>,
        /// The context of the first training.
        original_max_position_embeddings: usize,
        /// Factor on cosines and sines, and so twice on scores.
        attention_factor: f64,
    },
    /// GGUF's `rope_freqs`: frequency i divided by the i-th factor, `dim / 2` of them.
    Factors(Vec<f32>),
}

/// Rotary position embedding, halves rotated: frequency i is `theta^(−2i/dim)` before scaling.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeParameters {
    /// Values of a head that turn; even.
    pub dim: usize,
    /// The base.
    pub theta: f64,
    /// The stretch.
    pub scaling: RopeScaling,
}

impl RopeParameters {
    /// What is wrong with the scaling, where no model has it.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let stretches = |factor: f64| factor >= 1.0 && factor.is_finite();
        if self.dim == 0 || !self.dim.is_multiple_of(2) {
            return Some("an odd number of a head's values, or none, would turn");
        }
        match &self.scaling {
            RopeScaling::Linear { factor }
            | RopeScaling::Dynamic { factor }
            | RopeScaling::Yarn { factor, .. }
            | RopeScaling::Llama3 { factor, .. }
                if !stretches(*factor) =>
            {
                Some("factor must be at least 1")
            }
            RopeScaling::Yarn { beta_fast: fast, beta_slow: slow, .. }
                if !(*slow > 0.0 && fast > slow && fast.is_finite()) =>
            {
                Some("beta_fast must be greater than beta_slow")
            }
            // Its ramp goes by the base's logarithm.
            RopeScaling::Yarn { .. } if self.theta <= 1.0 => Some("no frequencies to scale with a base of 1"),
            RopeScaling::Yarn { attention_factor, .. } | RopeScaling::LongRope { attention_factor, .. }
                if !(*attention_factor > 0.0 && *attention_factor < 1e3) =>
            {
                Some("attention_factor must be positive")
            }
            RopeScaling::LongRope { original_max_position_embeddings: 0 | 1, .. } => {
                Some("original_max_position_embeddings must be more than 1")
            }
            RopeScaling::LongRope { short_factors, long_factors, .. }
                if [short_factors, long_factors].iter().any(|factors| factors.len() != self.dim / 2) =>
            {
                Some("one factor for each pair of a head's values")
            }
            RopeScaling::LongRope { short_factors, long_factors, .. }
                if short_factors.iter().chain(long_factors).any(|f| !(*f > 0.0 && f.is_finite())) =>
            {
                Some("factors must be positive")
            }
            RopeScaling::Llama3 { low_freq_factor: low, high_freq_factor: high, .. }
                if !(*low > 0.0 && high > low && high.is_finite()) =>
            {
                Some("high_freq_factor must be greater than low_freq_factor")
            }
            RopeScaling::Yarn { original_max_position_embeddings: 0, .. }
            | RopeScaling::Llama3 { original_max_position_embeddings: 0, .. } => {
                Some("original_max_position_embeddings must be at least 1")
            }
            RopeScaling::Factors(factors) if factors.len() != self.dim / 2 => {
                Some("one factor for each pair of a head's values")
            }
            RopeScaling::Factors(factors) if factors.iter().any(|f| !(*f > 0.0 && f.is_finite())) => {
                Some("factors must be positive")
            }
            _ => None,
        }
    }
}
