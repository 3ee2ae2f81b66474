//! The training step as two programs: `accumulate` (forward, recomputation, backward; once a packed row) and `update`
//! (norm, clipping, AdamW; once a step).

use idiolect_kernels::ops::AdamW;
use idiolect_kernels::program::{BufferId, Program, RowCounts, Rows, StateId};

use super::block::{Keep, Loss};
use super::graph::{Backward, Graph, LoraBinding, TokenInputs};
use crate::model::BaseModel;

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
        let (out, parts) = graph.layer(layer, x, None);
        kept.push(parts);
        x = out;
    }
    let rows = graph.final_rows(x, inputs.selected);
    let losses = graph.program.scratch("losses", Rows::Selected, 1);
    let loss = Loss { targets: inputs.targets, losses, logit_rows: shape.logit_rows };
    let dx = graph.losses_and_gradient(rows, inputs.selected, loss, total);
    let Some(lowest) = lora.layout.lowest_layer() else {
        return (graph.program, inputs);
    };
    let mut backward = Backward::new(graph, inputs.reach, grads, dx, lowest);
    for layer in (lowest..base.layers.len()).rev() {
        backward.layer(layer, kept[layer], shape.keep[layer]);
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
