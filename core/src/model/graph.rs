//! The forward pass of the Llama family as operations of a program.

use idiolect_kernels::ops::{
    Attention, Dropout, Embed, Linear as LinearOp, LoraDown, LoraTerm, RmsNorm, Rope, ScatterRows, SwiGlu,
};
use idiolect_kernels::program::{BufferId, Operation, Program, RowCounts, Rows, StateId};

use super::base::BaseModel;
use super::config::Linear;
use crate::adapter::{LoraLayout, LoraSlot};

/// An adapter as the programs of one executor see it.
#[derive(Debug, Clone)]
pub(crate) struct LoraBinding {
    pub layout: LoraLayout,
    /// The flat parameters.
    pub params: StateId,
    /// Dropout on the adapter's input while training; 0 otherwise.
    pub dropout: f32,
}

/// Inputs that every pass has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenInputs {
    /// u32 `[t, 1]`.
    pub ids: BufferId,
    /// u32 `[t, 1]`.
    pub positions: BufferId,
    /// u32 `[t, 2]`, or `[t, 3]` in branches.
    pub spans: BufferId,
}

/// Key and value caches of one layer, `[capacity, kv_width]` each, and the cache row of every token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerCache {
    pub keys: BufferId,
    pub values: BufferId,
    pub slots: BufferId,
}

/// What a layer computes on the way, for its gradient.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttentionParts {
    pub x: BufferId,
    pub q: BufferId,
    pub k: BufferId,
    pub v: BufferId,
    pub attended: BufferId,
    pub lse: BufferId,
    /// The residual stream after attention.
    pub mid: BufferId,
}

/// The same for the feed-forward half.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MlpParts {
    pub gate: BufferId,
    pub up: BufferId,
}

/// Builds a program over a base model and an adapter.
pub(crate) struct Graph<'a> {
    pub base: &'a BaseModel,
    pub lora: Option<&'a LoraBinding>,
    pub program: Program,
    pub tokens: TokenInputs,
    params: Option<BufferId>,
}

impl<'a> Graph<'a> {
    pub fn new(name: &'static str, base: &'a BaseModel, lora: Option<&'a LoraBinding>, capacity: RowCounts) -> Self {
        Self::on(Program::new(name, capacity), base, lora, 2)
    }

    /// The same for a handful of rows, which may be branches: their spans have three numbers.
    pub fn few(name: &'static str, base: &'a BaseModel, lora: Option<&'a LoraBinding>, capacity: RowCounts) -> Self {
        let mut program = Program::new(name, capacity);
        program.few_rows = true;
        Self::on(program, base, lora, 3)
    }

    fn on(mut program: Program, base: &'a BaseModel, lora: Option<&'a LoraBinding>, span: usize) -> Self {
        let tokens = TokenInputs {
            ids: program.input("ids", Rows::Tokens, 1),
            positions: program.input("positions", Rows::Tokens, 1),
            spans: program.input("spans", Rows::Tokens, span),
        };
        let lora = lora.filter(|lora| !lora.layout.is_empty());
        let params = lora.map(|lora| program.state("adapter", lora.params, 1, lora.layout.len()));
        Self { base, lora, program, tokens, params }
    }

    pub fn push(&mut self, operation: impl Operation + 'static) {
        self.program.push(operation);
    }

    pub fn per_token(&mut self, name: &'static str, width: usize) -> BufferId {
        self.program.scratch(name, Rows::Tokens, width)
    }

    /// The adapter of a linear layer, with the buffer of its parameters.
    pub fn slot(&self, layer: usize, linear: Linear) -> Option<(&'a LoraBinding, LoraSlot, BufferId)> {
        let lora = self.lora?;
        Some((lora, lora.layout.slot(layer, linear)?, self.params?))
    }

    /// The embedded tokens, `[t, hidden]`.
    pub fn embed(&mut self) -> BufferId {
        let out = self.per_token("x", self.base.config.hidden_size);
        self.push(Embed { table: self.base.embedding, ids: self.tokens.ids, out });
        out
    }

    pub fn norm(&mut self, gain: idiolect_kernels::program::VectorId, x: BufferId) -> BufferId {
        let (rows, width) = (self.program.buffer(x).rows, self.program.buffer(x).width);
        let out = self.program.scratch("normed", rows, width);
        self.push(RmsNorm { x, gain, out, epsilon: self.base.config.rms_norm_eps });
        out
    }

    /// The adapter's input and `x·Aᵀ` of a linear layer.
    pub fn lora_low(&mut self, layer: usize, linear: Linear, x: BufferId) -> Option<(BufferId, BufferId)> {
        let (lora, slot, params) = self.slot(layer, linear)?;
        let input = if lora.dropout > 0.0 {
            let out = self.per_token("dropped", slot.inputs);
            self.push(Dropout { x, out, rate: lora.dropout, module: module_number(layer, linear), add: false });
            out
        } else {
            x
        };
        let low = self.per_token("low", lora.layout.rank);
        self.push(LoraDown { x: input, params, a: slot.a, low });
        Some((input, low))
    }

    /// One linear layer with its adapter: `[t, outputs]`.
    pub fn linear(&mut self, layer: usize, linear: Linear, x: BufferId, residual: Option<BufferId>) -> BufferId {
        let (weight, bias) = self.base.layers[layer].linear(linear);
        let low = self.lora_low(layer, linear, x);
        let lora = low.zip(self.slot(layer, linear)).map(|((_, low), (lora, slot, params))| LoraTerm {
            low,
            params,
            offset: slot.b,
            scale: lora.layout.scale,
        });
        let out = self.per_token(linear.name(), self.base.config.widths(linear).1);
        self.push(LinearOp { x, weight, bias, lora, residual, out });
        out
    }

    pub fn rope(&mut self, x: BufferId, inverse: bool) {
        let (positions, head_dim) = (self.tokens.positions, self.base.config.head_dim);
        self.push(Rope { x, positions, table: self.base.rope, head_dim, inverse });
    }

    /// `mid = x + o(attention(norm(x)))`, over this row's own keys or a cache that they are first written to.
    pub fn attention(&mut self, layer: usize, x: BufferId, cache: Option<LayerCache>) -> AttentionParts {
        let heads = self.base.heads();
        let normed = self.norm(self.base.layers[layer].attention_norm, x);
        let q = self.linear(layer, Linear::Q, normed, None);
        let k = self.linear(layer, Linear::K, normed, None);
        let v = self.linear(layer, Linear::V, normed, None);
        self.rope(q, false);
        self.rope(k, false);
        let (keys, values) = match cache {
            Some(cache) => {
                self.push(ScatterRows { src: k, index: cache.slots, out: cache.keys, keep: true });
                self.push(ScatterRows { src: v, index: cache.slots, out: cache.values, keep: true });
                (cache.keys, cache.values)
            }
            None => (k, v),
        };
        let attended = self.per_token("attended", heads.query * heads.dim);
        let lse = self.per_token("lse", heads.query);
        let spans = self.tokens.spans;
        self.push(Attention { q, k: keys, v: values, spans, out: attended, lse, heads });
        let mid = self.linear(layer, Linear::O, attended, Some(x));
        AttentionParts { x, q, k, v, attended, lse, mid }
    }

    /// `gate` and `up` of `norm(mid)`.
    pub fn mlp_inputs(&mut self, layer: usize, mid: BufferId) -> MlpParts {
        let normed = self.norm(self.base.layers[layer].mlp_norm, mid);
        let gate = self.linear(layer, Linear::Gate, normed, None);
        let up = self.linear(layer, Linear::Up, normed, None);
        MlpParts { gate, up }
    }

    /// `silu(gate)·up`.
    pub fn activation(&mut self, mlp: MlpParts) -> BufferId {
        let out = self.per_token("activation", self.base.config.intermediate_size);
        self.push(SwiGlu { gate: mlp.gate, up: mlp.up, out });
        out
    }

    /// A whole layer; its parts and its output.
    pub fn layer(
        &mut self,
        layer: usize,
        x: BufferId,
        cache: Option<LayerCache>,
    ) -> (AttentionParts, MlpParts, BufferId) {
        let attention = self.attention(layer, x, cache);
        let mlp = self.mlp_inputs(layer, attention.mid);
        let activation = self.activation(mlp);
        let out = self.linear(layer, Linear::Down, activation, Some(attention.mid));
        (attention, mlp, out)
    }
}

/// Distinguishes the dropout masks of one run.
pub(crate) fn module_number(layer: usize, linear: Linear) -> u32 {
    (layer * Linear::ALL.len() + linear as usize) as u32
}
