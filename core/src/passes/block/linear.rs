//! A frozen linear layer with its adapter: `y = W·x + b + scale·B·(A·dropout(x))`, plus a residual where one is given.

use idiolect_kernels::ops::{
    Dropout, Linear as LinearOp, LinearBackward, LoraBackward, LoraDown, LoraInputGradient, LoraTerm,
};
use idiolect_kernels::program::BufferId;

use crate::passes::graph::{Backward, Graph};
use crate::shape::Linear;

impl Graph<'_> {
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
}

impl Backward<'_> {
    /// Adapter gradients of a linear layer, and the gradient of its input written or added to `dx`.
    pub fn linear(&mut self, layer: usize, linear: Linear, x: BufferId, dy: BufferId, dx: Option<(BufferId, bool)>) {
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
}

/// Distinguishes the dropout masks of one run.
fn module_number(layer: usize, linear: Linear) -> u32 {
    (layer * Linear::ALL.len() + linear as usize) as u32
}
