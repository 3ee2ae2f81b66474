//! The parts of a model and what formats call them.

use idiolect_kernels::ops::ColumnRuns;

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
    /// Queries, keys and values, one behind another.
    Qkv,
    /// Of each head its query, key and value; as many of each.
    QkvByHead,
    /// Attention's output.
    O,
    /// The gate of the feed-forward half.
    Gate,
    /// The gated half; without a gate, what the activation is of.
    Up,
    /// Gate and gated half, one behind the other.
    GateUp,
    /// Back to the hidden width.
    Down,
}

impl Projection {
    /// Whether its output is rotated by the position.
    pub const fn is_rotated(self) -> bool {
        matches!(self, Self::Q | Self::K)
    }

    /// What it is of, where it computes several parts: the columns of queries, keys and values, or of gate and gated half.
    pub(crate) fn parts(self, attention: &AttentionSpec, intermediate_size: usize) -> Vec<ColumnRuns> {
        let behind = |widths: &[usize]| {
            let mut first = 0;
            widths
                .iter()
                .map(|&run| {
                    first += run;
                    ColumnRuns { first: first - run, run, stride: run }
                })
                .collect()
        };
        match self {
            Self::Qkv => behind(&[attention.query_width(), attention.kv_width(), attention.kv_width()]),
            Self::QkvByHead => {
                let run = attention.head_dim;
                (0..3).map(|part| ColumnRuns { first: part * run, run, stride: 3 * run }).collect()
            }
            Self::GateUp => behind(&[intermediate_size; 2]),
            _ => Vec::new(),
        }
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
            Self::Qkv | Self::QkvByHead => (hidden_size, attention.query_width() + 2 * attention.kv_width()),
            Self::O => (attention.query_width(), hidden_size),
            Self::Gate | Self::Up => (hidden_size, intermediate_size),
            Self::GateUp => (hidden_size, 2 * intermediate_size),
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
    /// `[max_position_embeddings, hidden_size]`.
    Positions,
    /// `[hidden_size]`.
    EmbeddingNorm,
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
