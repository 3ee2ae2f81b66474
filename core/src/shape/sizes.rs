//! What a file says of a model, before anything is computed or allocated from it.

use std::path::Path;

use super::{AttentionSpec, Family, HeadNorms, LayerKind, LayerSpec, LinearSpec, ModelConfig, Norm, RopeParameters};
use crate::error::{Error, Result};

/// The sizes that a file states, for all layers alike.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sizes {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub max_position_embeddings: usize,
    pub norm_epsilon: f32,
    /// Attention's factor on scores is its root's inverse; the width of a head in most families.
    pub attention_scalar: f32,
    pub attention_cap: Option<f32>,
    pub logit_cap: Option<f32>,
    /// The rotations that layers choose from.
    pub ropes: Vec<RopeParameters>,
    pub tie_word_embeddings: bool,
}

/// What a file format calls them, for messages.
#[derive(Debug)]
pub(crate) struct SizeNames {
    pub vocab_size: String,
    pub hidden_size: String,
    pub intermediate_size: String,
    pub layers: String,
    pub heads: String,
    pub kv_heads: String,
    pub head_dim: String,
    pub max_position_embeddings: String,
    pub norm_epsilon: String,
    pub attention_scalar: String,
    pub attention_cap: String,
    pub logit_cap: String,
    pub rope_theta: String,
    pub rope_scaling: String,
}

impl Sizes {
    /// Refuses sizes that no model has. `names` gives the field of `file` that each was read from.
    pub fn check(&self, file: &Path, names: &SizeNames) -> Result<()> {
        let sizes = [
            (&names.vocab_size, self.vocab_size, 1 << 24),
            (&names.hidden_size, self.hidden_size, 1 << 20),
            (&names.intermediate_size, self.intermediate_size, 1 << 22),
            (&names.layers, self.layers, 1 << 12),
            (&names.heads, self.heads, 1 << 14),
            (&names.kv_heads, self.kv_heads, 1 << 14),
            (&names.head_dim, self.head_dim, 1 << 12),
            (&names.max_position_embeddings, self.max_position_embeddings, 1 << 31),
        ];
        for (field, size, limit) in sizes {
            if size == 0 || size > limit {
                return Err(Error::bad_file(file, field, format!("{size} is outside 1 to {limit}")));
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            let what = format!("{} key/value heads do not divide {} heads", self.kv_heads, self.heads);
            return Err(Error::bad_file(file, &names.kv_heads, what));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(Error::bad_file(file, &names.head_dim, format!("{} is odd", self.head_dim)));
        }
        if !(self.norm_epsilon > 0.0 && self.norm_epsilon < 1.0) {
            let what = format!("{} is outside 0 to 1", self.norm_epsilon);
            return Err(Error::bad_file(file, &names.norm_epsilon, what));
        }
        let positive = [
            (&names.attention_scalar, Some(self.attention_scalar)),
            (&names.attention_cap, self.attention_cap),
            (&names.logit_cap, self.logit_cap),
        ];
        for (field, value) in positive.into_iter().filter_map(|(field, value)| Some((field, value?))) {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::bad_file(file, field, format!("{value} is not positive")));
            }
        }
        for rope in &self.ropes {
            let theta = rope.theta;
            if !(theta >= 1.0 && theta.is_finite()) {
                return Err(Error::bad_file(file, &names.rope_theta, format!("{theta} is no base of frequencies")));
            }
            if let Some(fault) = rope.fault() {
                return Err(Error::bad_file(file, &names.rope_scaling, fault));
            }
        }
        Ok(())
    }

    /// The model of these sizes. `biases` says of each of the family's modules whether it has one, `kinds` of each layer
    /// what it is like.
    pub fn model(self, family: &'static Family, biases: &[bool], kinds: &[LayerKind]) -> ModelConfig {
        let (query_width, kv_width) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let attention = AttentionSpec {
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            scale: 1.0 / self.attention_scalar.sqrt(),
            cap: self.attention_cap,
            rope: None,
            alibi: family.alibi,
            window: None,
            norm_widths: match family.head_norms {
                HeadNorms::None => None,
                HeadNorms::EachHead => Some([self.head_dim; 2]),
                HeadNorms::WholeRow => Some([query_width, kv_width]),
            },
        };
        let norm = Norm { kind: family.norm, epsilon: self.norm_epsilon };
        let (hidden_size, intermediate_size) = (self.hidden_size, self.intermediate_size);
        let linears = family.modules.iter().zip(biases).map(|(module, &bias)| {
            let (inputs, outputs) = module.projection.widths(hidden_size, &attention, intermediate_size);
            LinearSpec { inputs, outputs, bias }
        });
        let linears: Vec<_> = linears.collect();
        // A window that holds the whole context is none.
        let window = |kind: &LayerKind| kind.window.filter(|window| *window < self.max_position_embeddings);
        let layer = |kind: &LayerKind| LayerSpec {
            norm,
            attention: AttentionSpec { rope: kind.rope, window: window(kind), ..attention },
            intermediate_size,
            activation: family.activation,
            linears: linears.clone(),
        };
        let layers = kinds.iter().map(layer).collect();
        ModelConfig {
            family,
            vocab_size: self.vocab_size,
            hidden_size,
            max_position_embeddings: self.max_position_embeddings,
            tie_word_embeddings: self.tie_word_embeddings,
            embedding_scale: if family.scales_embedding { (hidden_size as f32).sqrt() } else { 1.0 },
            logit_cap: self.logit_cap,
            ropes: self.ropes,
            final_norm: norm,
            layers,
        }
    }
}

#[cfg(test)]
impl Sizes {
    /// A Llama model of these sizes.
    pub(crate) fn of_llama(self) -> ModelConfig {
        let kinds = vec![LayerKind { rope: Some(0), window: None }; self.layers];
        self.model(&super::LLAMA, &[false; 7], &kinds)
    }

    /// Those of [`ModelConfig::tiny`].
    pub(crate) fn tiny() -> Self {
        Self {
            vocab_size: 40,
            hidden_size: 12,
            intermediate_size: 20,
            layers: 2,
            heads: 2,
            kv_heads: 1,
            head_dim: 8,
            max_position_embeddings: 64,
            norm_epsilon: 1e-5,
            attention_scalar: 8.0,
            attention_cap: None,
            logit_cap: None,
            ropes: vec![RopeParameters { dim: 8, theta: 10_000.0, scaling: super::RopeScaling::None }],
            tie_word_embeddings: true,
        }
    }
}
