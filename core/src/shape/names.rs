//! The parts of a model and what formats call them.

use super::AttentionSpec;

/// What a linear layer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Projection {
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

impl Projection {
    /// Whether its output is rotated by the position.
    pub const fn is_rotated(self) -> bool {
        matches!(self, Self::Q | Self::K)
    }

    /// Widths of its input and its output.
    pub(super) const fn widths(
        self,
        hidden_size: usize,
        attention: &AttentionSpec,
        intermediate_size: usize,
    ) -> (usize, usize) {
        match self {
            Self::Q => (hidden_size, attention.query_width()),
            Self::K | Self::V => (hidden_size, attention.kv_width()),
            Self::O => (attention.query_width(), hidden_size),
            Self::Gate | Self::Up => (hidden_size, intermediate_size),
            Self::Down => (intermediate_size, hidden_size),
        }
    }
}

/// Where a decoder layer has a norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NormPlace {
    /// Before attention.
    Attention,
    /// Over what attention adds to the residual stream.
    AfterAttention,
    /// Before the feed-forward half.
    Mlp,
    /// Over what the feed-forward half adds to the residual stream.
    AfterMlp,
    /// Over the queries, before they are rotated.
    Queries,
    /// Over the keys.
    Keys,
}

/// What a part is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    /// By Hugging Face and MLX.
    pub hugging_face: &'static str,
    /// By GGUF.
    pub gguf: &'static str,
}

/// Whether a linear layer has a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    /// Where this field of `config.json` says so; in GGUF, where there is one.
    Stated(&'static str),
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A linear layer of a family's decoder layers: a matrix of its own, which an adapter can have its factors beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module {
    /// Its names, within the layer.
    pub names: Names,
    /// What it computes.
    pub projection: Projection,
    /// Whether it has a bias.
    pub bias: Bias,
}

impl Module {
    /// Its own name, as PEFT's `target_modules` use it: `q_proj`.
    pub fn name(&self) -> &'static str {
        let path = self.names.hugging_face;
        path.rsplit_once('.').map_or(path, |(_, name)| name)
    }
}

/// A linear layer of a model, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleId {
    /// The decoder layer.
    pub layer: usize,
    /// Its place among the family's modules.
    pub index: usize,
}

/// A tensor by its place in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TensorName {
    /// `[vocab_size, hidden_size]`.
    Embedding,
    /// `[vocab_size, hidden_size]`; the embedding where they are tied.
    Head,
    /// `[hidden_size]`.
    FinalNorm,
    /// A norm of a layer, as long as [`ModelConfig::norm_width`](super::ModelConfig::norm_width) says.
    Norm(usize, NormPlace),
    /// A linear layer, `[outputs, inputs]`.
    Linear(ModuleId),
}

impl From<ModuleId> for TensorName {
    fn from(module: ModuleId) -> Self {
        Self::Linear(module)
    }
}
