//! What one decoder layer computes.

use idiolect_kernels::ops::Activation;

/// A decoder layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSpec {
    /// Its norms.
    pub norm: Norm,
    /// Its attention.
    pub attention: AttentionSpec,
    /// Width of its feed-forward half.
    pub intermediate_size: usize,
    /// What the gate of its feed-forward half goes through.
    pub activation: Activation,
    /// Its linear layers, in the order of the family's modules.
    pub linears: Vec<LinearSpec>,
}

/// What a norm computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// `x / √(mean(x²) + ε) · gain`.
    Rms,
    /// `(x − mean(x)) / √(mean((x − mean(x))²) + ε) · gain + bias`.
    Layer,
}

/// A normalization.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    /// What it computes.
    pub kind: NormKind,
    /// ε.
    pub epsilon: f32,
}

/// Grouped-query attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionSpec {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head; even, and not always the hidden width over `heads`.
    pub head_dim: usize,
    /// Factor on the scores: `1/√head_dim` in most families.
    pub scale: f32,
    /// Soft cap of the scaled scores: `c·tanh(s/c)`.
    pub cap: Option<f32>,
    /// Which of the model's rotations it has; without one it sees no positions.
    pub rope: Option<usize>,
    /// Whether scores fall with the distance of a key (ALiBi).
    pub alibi: bool,
    /// Keys that a query sees, its own among them; without a window, all of them up to its own.
    pub window: Option<usize>,
    /// Values that a norm of queries, and one of keys, goes over at a time, where they have norms.
    pub norm_widths: Option<[usize; 2]>,
}

/// What distinguishes one layer of a model from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerKind {
    /// Which of the model's rotations; none where it sees no positions.
    pub rope: Option<usize>,
    pub window: Option<usize>,
}

impl AttentionSpec {
    /// Values of a row of queries.
    pub const fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Values of a row of keys, and of one of values.
    pub const fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }
}

/// A linear layer `[outputs, inputs]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinearSpec {
    /// Width of its input.
    pub inputs: usize,
    /// Width of its output.
    pub outputs: usize,
    /// Whether it has a bias `[outputs]`.
    pub bias: bool,
}
