//! The training step as two programs: `accumulate` (forward, recomputation, backward; once a packed row) and `update`
//! (norm, clipping, AdamW; once a step).

use idiolect_kernels::ops::{
    AdamW, AttentionBackward, CrossEntropy, Dropout, GatherRows, LinearBackward, LoraBackward, LoraInputGradient,
    LoraTerm, LossGradient, RmsNorm, RmsNormBackward, ScatterRows, SwiGluBackward,
};
use idiolect_kernels::program::{BufferId, Program, RowCounts, Rows, StateId};

use super::base::BaseModel;
use super::config::Linear;
use super::graph::{AttentionParts, Graph, LoraBinding, MlpParts, TokenInputs, module_number};

/// What a layer keeps from its forward pass; the rest is computed again on the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// q, k, v, attention's output, both residual streams, gate and up; norms and the activation are made again.
    All,
    /// All but gate and up.
    Attention,
    /// The layer's input alone.
    Input,
}

/// State tensors of a training.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TrainState {
    pub grads: StateId,
    pub first_moment: StateId,
    pub second_moment: StateId,
    /// One value: the step's loss.
    pub total: StateId,
}

/// Inputs of `accumulate`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TrainInputs {
    pub tokens: TokenInputs,
    /// u32 `[t, 1]`.
    pub reach: BufferId,
    /// u32 `[s, 1]`: rows whose next token carries loss.
    pub selected: BufferId,
    /// u32 `[s, 1]`: that next token.
    pub targets: BufferId,
}

/// How much memory a training program may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrainShape {
    pub capacity: RowCounts,
    /// One entry a layer.
    pub keep: Vec<Keep>,
    /// Rows of logits that exist at a time.
    pub logit_rows: usize,
}

/// Forward, cross-entropy and backward of one packed row; adds to gradients and loss.
pub(crate) fn accumulate(
    base: &BaseModel,
    lora: &LoraBinding,
    state: TrainState,
    shape: &TrainShape,
) -> (Program, TrainInputs) {
    let mut graph = Graph::new("accumulate", base, Some(lora), shape.capacity);
    let inputs = TrainInputs {
        tokens: graph.tokens,
        reach: graph.program.input("reach", Rows::Tokens, 1),
        selected: graph.program.input("selected", Rows::Selected, 1),
        targets: graph.program.input("targets", Rows::Selected, 1),
    };
    let grads = graph.program.state("gradients", state.grads, 1, lora.layout.len());
    let total = graph.program.state("loss", state.total, 1, 1);

    let mut x = graph.embed();
    let mut kept = Vec::with_capacity(base.layers.len());
    for layer in 0..base.layers.len() {
        let (attention, mlp, out) = graph.layer(layer, x, None);
        kept.push((attention, mlp));
        x = out;
    }
    let dx = loss_and_gradient(&mut graph, x, inputs, total, shape.logit_rows);
    let Some(lowest) = lora.layout.lowest_layer() else {
        return (graph.program, inputs);
    };
    let mut backward = Backward { graph, inputs, grads, dx, lowest };
    for layer in (lowest..base.layers.len()).rev() {
        let (attention, mlp) = backward.recompute(layer, kept[layer], shape.keep[layer]);
        backward.mlp(layer, attention.mid, mlp);
        backward.attention(layer, attention);
    }
    (backward.graph.program, inputs)
}

/// Norm, clipping and AdamW over all adapter parameters; the report is loss, gradient norm and whether it was applied.
pub(crate) fn update(lora: &LoraBinding, state: TrainState, adam: &AdamSettings) -> (Program, BufferId) {
    let mut program = Program::new("update", RowCounts::default());
    program.indivisible = true;
    let len = lora.layout.len();
    let params = program.state("adapter", lora.params, 1, len);
    let grads = program.state("gradients", state.grads, 1, len);
    let first_moment = program.state("first moment", state.first_moment, 1, len);
    let second_moment = program.state("second moment", state.second_moment, 1, len);
    let total = program.state("loss", state.total, 1, 1);
    let report = program.output("report", Rows::Fixed(1), 3);
    program.push(AdamW {
        params,
        grads,
        first_moment,
        second_moment,
        total,
        report,
        clip: adam.clip,
        beta1: adam.beta1,
        beta2: adam.beta2,
        epsilon: adam.epsilon,
        weight_decay: adam.weight_decay,
    });
    (program, report)
}

/// The optimizer's constants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AdamSettings {
    pub clip: f32,
    pub beta1: f32,
    pub beta2: f32,
    pub epsilon: f32,
    pub weight_decay: f32,
}

impl Default for AdamSettings {
    fn default() -> Self {
        Self { clip: 1.0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 }
    }
}

/// Final norm, head and loss over the selected rows; returns the gradient of the residual stream.
fn loss_and_gradient(
    graph: &mut Graph,
    x: BufferId,
    inputs: TrainInputs,
    total: BufferId,
    logit_rows: usize,
) -> BufferId {
    let (hidden, vocabulary) = (graph.base.config.hidden_size, graph.base.config.vocab_size);
    let (gain, head, epsilon) = (graph.base.final_norm, graph.base.head, graph.base.config.rms_norm_eps);
    let per_selected = |graph: &mut Graph, name, width| graph.program.scratch(name, Rows::Selected, width);
    let rows = per_selected(graph, "selected rows", hidden);
    graph.push(GatherRows { src: x, index: inputs.selected, out: rows });
    let normed = per_selected(graph, "normed", hidden);
    graph.push(RmsNorm { x: rows, gain, out: normed, epsilon });
    let losses = per_selected(graph, "losses", 1);
    let dnormed = per_selected(graph, "d normed", hidden);
    let logits = graph.program.scratch("logits", Rows::Fixed(logit_rows), vocabulary);
    let gradient = Some(LossGradient { dx: dnormed, total });
    graph.push(CrossEntropy { x: normed, head, targets: inputs.targets, losses, logits, gradient });
    let drows = per_selected(graph, "d selected rows", hidden);
    graph.push(RmsNormBackward { x: rows, gain, dy: dnormed, dx: drows, epsilon, add: false });
    let dx = graph.per_token("dx", hidden);
    graph.push(ScatterRows { src: drows, index: inputs.selected, out: dx, keep: false });
    dx
}

/// The way back: `dx` is the gradient of the residual stream, updated in place from layer to layer.
struct Backward<'a> {
    graph: Graph<'a>,
    inputs: TrainInputs,
    grads: BufferId,
    dx: BufferId,
    lowest: usize,
}

impl Backward<'_> {
    /// The parts of a layer that were not kept.
    fn recompute(
        &mut self,
        layer: usize,
        (attention, mlp): (AttentionParts, MlpParts),
        keep: Keep,
    ) -> (AttentionParts, MlpParts) {
        let attention = match keep {
            Keep::All | Keep::Attention => attention,
            Keep::Input => self.graph.attention(layer, attention.x, None),
        };
        let mlp = match keep {
            Keep::All => mlp,
            Keep::Attention | Keep::Input => self.graph.mlp_inputs(layer, attention.mid),
        };
        (attention, mlp)
    }

    fn mlp(&mut self, layer: usize, mid: BufferId, mlp: MlpParts) {
        let intermediate = self.graph.base.config.intermediate_size;
        let gain = self.graph.base.layers[layer].mlp_norm;
        let activation = self.graph.activation(mlp);
        let dactivation = self.graph.per_token("d activation", intermediate);
        self.linear(layer, Linear::Down, activation, self.dx, Some((dactivation, false)));
        let dgate = self.graph.per_token("d gate", intermediate);
        let dup = self.graph.per_token("d up", intermediate);
        self.graph.push(SwiGluBackward { gate: mlp.gate, up: mlp.up, dout: dactivation, dgate, dup });
        let normed = self.graph.norm(gain, mid);
        let dnormed = self.graph.per_token("d normed", self.graph.base.config.hidden_size);
        self.linear(layer, Linear::Gate, normed, dgate, Some((dnormed, false)));
        self.linear(layer, Linear::Up, normed, dup, Some((dnormed, true)));
        self.norm(gain, mid, dnormed);
    }

    fn attention(&mut self, layer: usize, parts: AttentionParts) {
        let heads = self.graph.base.heads();
        let (q_width, kv_width) = (heads.query * heads.dim, self.graph.base.kv_width());
        let gain = self.graph.base.layers[layer].attention_norm;
        let dattended = self.graph.per_token("d attended", q_width);
        self.linear(layer, Linear::O, parts.attended, self.dx, Some((dattended, false)));
        let delta = self.graph.per_token("delta", heads.query);
        let dq = self.graph.per_token("d q", q_width);
        let dk = self.graph.per_token("d k", kv_width);
        let dv = self.graph.per_token("d v", kv_width);
        self.graph.push(AttentionBackward {
            q: parts.q,
            k: parts.k,
            v: parts.v,
            out: parts.attended,
            lse: parts.lse,
            dout: dattended,
            spans: self.inputs.tokens.spans,
            reach: self.inputs.reach,
            delta,
            dq,
            dk,
            dv,
            heads,
        });
        self.graph.rope(dq, true);
        self.graph.rope(dk, true);
        let normed = self.graph.norm(gain, parts.x);
        // Below the lowest adapter nothing learns: its input needs no gradient.
        let wants_input = layer > self.lowest;
        let dnormed = wants_input.then(|| self.graph.per_token("d normed", self.graph.base.config.hidden_size));
        self.linear(layer, Linear::Q, normed, dq, dnormed.map(|d| (d, false)));
        self.linear(layer, Linear::K, normed, dk, dnormed.map(|d| (d, true)));
        self.linear(layer, Linear::V, normed, dv, dnormed.map(|d| (d, true)));
        if let Some(dnormed) = dnormed {
            self.norm(gain, parts.x, dnormed);
        }
    }

    /// Adapter gradients of a linear layer, and the gradient of its input written or added to `dx`.
    fn linear(&mut self, layer: usize, linear: Linear, x: BufferId, dy: BufferId, dx: Option<(BufferId, bool)>) {
        let graph = &mut self.graph;
        let (weight, _) = graph.base.layers[layer].linear(linear);
        let mut term = None;
        let mut dropped = None;
        if let (Some((input, low)), Some((lora, slot, params))) =
            (graph.lora_low(layer, linear, x), graph.slot(layer, linear))
        {
            let rank = lora.layout.rank;
            let dlow = graph.per_token("d low", rank);
            let scale = lora.layout.scale;
            graph.push(LoraBackward {
                x: input,
                dy,
                low,
                dlow,
                params,
                grads: self.grads,
                a: slot.a,
                b: slot.b,
                scale,
            });
            if lora.dropout > 0.0 {
                let out = graph.per_token("d dropped", slot.inputs);
                dropped = Some((lora.dropout, LoraInputGradient { dlow, params, a: slot.a, out }));
            } else {
                term = Some(LoraTerm { low: dlow, params, offset: slot.a, scale: 1.0 });
            }
        }
        let Some((dx, add)) = dx else { return };
        graph.push(LinearBackward { dy, weight, lora: term, dx, add });
        if let Some((rate, gradient)) = dropped {
            let x = gradient.out;
            graph.push(gradient);
            graph.push(Dropout { x, out: dx, rate, module: module_number(layer, linear), add: true });
        }
    }

    /// Adds the gradient through a norm to the residual stream's.
    fn norm(&mut self, gain: idiolect_kernels::program::VectorId, x: BufferId, dy: BufferId) {
        let epsilon = self.graph.base.config.rms_norm_eps;
        self.graph.push(RmsNormBackward { x, gain, dy, dx: self.dx, epsilon, add: true });
    }
}
