//! The shape of a model, whatever format it came in.

use std::path::Path;

use crate::error::{Error, Result};

/// A model family whose forward and backward passes are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Llama: RMSNorm, rotary grouped-query attention, SwiGLU.
    Llama,
}

impl Family {
    /// The name that `config.json` and GGUF use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
        }
    }
}

/// A linear layer of a decoder block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Linear {
    /// Queries.
    Q,
    /// Keys.
    K,
    /// Values.
    V,
    /// Attention's output.
    O,
    /// The gate of the feed-forward half.
    Gate,
    /// The gated half.
    Up,
    /// Back to the hidden width.
    Down,
}

impl Linear {
    /// All seven, in the order of the forward pass.
    pub const ALL: [Self; 7] = [Self::Q, Self::K, Self::V, Self::O, Self::Gate, Self::Up, Self::Down];

    /// The module's own name, as PEFT's `target_modules` use it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q => "q_proj",
            Self::K => "k_proj",
            Self::V => "v_proj",
            Self::O => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }

    /// The linear layer of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|linear| linear.name() == name)
    }

    /// The module's path in a Hugging Face model: `model.layers.3.self_attn.q_proj`.
    pub fn path(self, layer: usize) -> String {
        let block = if self.is_attention() { "self_attn" } else { "mlp" };
        format!("model.layers.{layer}.{block}.{}", self.name())
    }

    /// The layer and linear layer of a module's path.
    pub fn from_path(path: &str) -> Option<(usize, Self)> {
        let (layer, rest) = path.strip_prefix("model.layers.")?.split_once('.')?;
        let linear = Self::from_name(rest.rsplit('.').next()?)?;
        let layer = layer.parse().ok()?;
        (linear.path(layer) == path).then_some((layer, linear))
    }

    /// Whether it belongs to the attention half of the block.
    pub const fn is_attention(self) -> bool {
        matches!(self, Self::Q | Self::K | Self::V | Self::O)
    }
}

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
    /// GGUF's `rope_freqs`: frequency i divided by the i-th factor, `head_dim / 2` of them.
    Factors(Vec<f32>),
}

/// Rotary position embedding, halves rotated: frequency i is `theta^(−2i/head_dim)` before scaling.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeParameters {
    /// The base.
    pub theta: f64,
    /// The stretch.
    pub scaling: RopeScaling,
}

/// The shape of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// The family.
    pub family: Family,
    /// Rows of the embedding: every token id is less.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward half.
    pub intermediate_size: usize,
    /// Decoder blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head; even, and not always `hidden_size / heads`.
    pub head_dim: usize,
    /// The longest context the model was made for.
    pub max_position_embeddings: usize,
    /// ε of every RMSNorm.
    pub rms_norm_eps: f32,
    /// Rotary positions.
    pub rope: RopeParameters,
    /// Whether the head is the embedding.
    pub tie_word_embeddings: bool,
    /// Whether q, k, v and o have biases.
    pub attention_bias: bool,
    /// Whether gate, up and down have biases.
    pub mlp_bias: bool,
}

impl ModelConfig {
    /// Input and output widths of a linear layer.
    pub const fn widths(&self, linear: Linear) -> (usize, usize) {
        let (queries, keys) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        match linear {
            Linear::Q => (self.hidden_size, queries),
            Linear::K | Linear::V => (self.hidden_size, keys),
            Linear::O => (queries, self.hidden_size),
            Linear::Gate | Linear::Up => (self.hidden_size, self.intermediate_size),
            Linear::Down => (self.intermediate_size, self.hidden_size),
        }
    }

    /// Whether a linear layer has a bias.
    pub const fn has_bias(&self, linear: Linear) -> bool {
        if linear.is_attention() { self.attention_bias } else { self.mlp_bias }
    }

    /// Refuses sizes that no model has, before anything is computed or allocated from them. `names` gives the field of
    /// `file` that each size was read from.
    pub(crate) fn validate(&self, file: &Path, names: &ConfigFields) -> Result<()> {
        let sizes = [
            (names.vocab_size, self.vocab_size, 1 << 24),
            (names.hidden_size, self.hidden_size, 1 << 20),
            (names.intermediate_size, self.intermediate_size, 1 << 22),
            (names.layers, self.layers, 1 << 12),
            (names.heads, self.heads, 1 << 14),
            (names.kv_heads, self.kv_heads, 1 << 14),
            (names.head_dim, self.head_dim, 1 << 12),
            (names.max_position_embeddings, self.max_position_embeddings, 1 << 31),
        ];
        for (field, size, limit) in sizes {
            if size == 0 || size > limit {
                return Err(Error::bad_file(file, field, format!("{size} is outside 1 to {limit}")));
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            let what = format!("{} key/value heads do not divide {} heads", self.kv_heads, self.heads);
            return Err(Error::bad_file(file, names.kv_heads, what));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(Error::bad_file(file, names.head_dim, format!("{} is odd", self.head_dim)));
        }
        if !(self.rms_norm_eps > 0.0 && self.rms_norm_eps < 1.0) {
            let what = format!("{} is outside 0 to 1", self.rms_norm_eps);
            return Err(Error::bad_file(file, names.rms_norm_eps, what));
        }
        self.validate_rope(file, names)
    }

    fn validate_rope(&self, file: &Path, names: &ConfigFields) -> Result<()> {
        let theta = self.rope.theta;
        if !(theta >= 1.0 && theta.is_finite()) {
            return Err(Error::bad_file(file, names.rope_theta, format!("{theta} is no base of frequencies")));
        }
        let wrong = |what: &str| Err(Error::bad_file(file, names.rope_scaling, what));
        let stretches = |factor: f64| factor >= 1.0 && factor.is_finite();
        match &self.rope.scaling {
            RopeScaling::None => Ok(()),
            RopeScaling::Linear { factor } if stretches(*factor) => Ok(()),
            RopeScaling::Linear { .. } => wrong("factor must be at least 1"),
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => {
                if !stretches(*factor) {
                    wrong("factor must be at least 1")
                } else if !(*low_freq_factor > 0.0
                    && high_freq_factor > low_freq_factor
                    && high_freq_factor.is_finite())
                {
                    wrong("high_freq_factor must be greater than low_freq_factor")
                } else if *original_max_position_embeddings == 0 {
                    wrong("original_max_position_embeddings must be at least 1")
                } else {
                    Ok(())
                }
            }
            RopeScaling::Factors(factors) => {
                if factors.len() != self.head_dim / 2 {
                    wrong("one factor for each pair of a head's values")
                } else if factors.iter().any(|f| !(*f > 0.0 && f.is_finite())) {
                    wrong("factors must be positive")
                } else {
                    Ok(())
                }
            }
        }
    }
}

/// What a file format calls the sizes of a [`ModelConfig`], for messages.
#[derive(Debug)]
pub(crate) struct ConfigFields {
    pub vocab_size: &'static str,
    pub hidden_size: &'static str,
    pub intermediate_size: &'static str,
    pub layers: &'static str,
    pub heads: &'static str,
    pub kv_heads: &'static str,
    pub head_dim: &'static str,
    pub max_position_embeddings: &'static str,
    pub rms_norm_eps: &'static str,
    pub rope_theta: &'static str,
    pub rope_scaling: &'static str,
}

#[cfg(test)]
impl ModelConfig {
    /// A model for tests: every width that may differ from another does.
    pub(crate) fn tiny() -> Self {
        Self {
            family: Family::Llama,
            vocab_size: 40,
            hidden_size: 12,
            intermediate_size: 20,
            layers: 2,
            heads: 2,
            kv_heads: 1,
            head_dim: 8,
            max_position_embeddings: 64,
            rms_norm_eps: 1e-5,
            rope: RopeParameters { theta: 10_000.0, scaling: RopeScaling::None },
            tie_word_embeddings: true,
            attention_bias: false,
            mlp_bias: false,
        }
    }
}
