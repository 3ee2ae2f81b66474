//! A frozen linear layer with its adapter: `y = W·x + b + scale·B·(A·dropout(x))`, plus a residual where one is given.

use idiolect_kernels::ops::{
    Dropout, Linear as LinearOp, LinearBackward, LoraBackward, LoraDown, LoraInputGradient, LoraTerm,
};
use idiolect_kernels::program::BufferId;

use crate::passes::graph::{Backward, Graph};
use crate::shape::ModuleId;

impl Graph<'_> {
    /// The adapter's input and `x·Aᵀ` of a linear layer.
    pub fn lora_low(&mut self, module: ModuleId, x: BufferId) -> Option<(BufferId, BufferId)> {
        let (lora, slot, params) = self.slot(module)?;
        let input = if lora.dropout > 0.0 {
            let out = self.per_token("dropped", slot.inputs);
            let module = self.number(module);
            self.push(Dropout { x, out, rate: lora.dropout, module, add: false });
            out
        } else {
            x
        };
        let low = self.per_token("low", lora.layout.rank);
        self.push(LoraDown { x: input, params, a: slot.a, low });
        Some((input, low))
    }

    /// One linear layer with its adapter: `[t, outputs]`.
    pub fn linear(&mut self, module: ModuleId, x: BufferId, residual: Option<BufferId>) -> BufferId {
        let (weight, bias) = self.base.linear(module);
        let low = self.lora_low(module, x);
        let lora = low.zip(self.slot(module)).map(|((_, low), (lora, slot, params))| LoraTerm {
            low,
            params,
            offset: slot.b,
            scale: lora.layout.scale,
        });
        let config = &self.base.config;
        let out = self.per_token(config.family.module(module).name(), config.linear(module).outputs);
        self.push(LinearOp { x, weight, bias, lora, residual, out });
        out
    }

    /// Distinguishes the dropout masks of one run.
    fn number(&self, module: ModuleId) -> u32 {
        (module.layer * self.base.config.family.modules.len() + module.index) as u32
    }
}

impl Backward<'_> {
    /// Adapter gradients of a linear layer, and the gradient of its input written or added to `dx`.
    pub fn linear(&mut self, module: ModuleId, x: BufferId, dy: BufferId, dx: Option<(BufferId, bool)>) {
        let graph = &mut self.graph;
        let (weight, _) = graph.base.linear(module);
        let mut term = None;
        let mut dropped = None;
        if let (Some((input, low)), Some((lora, slot, params))) = (graph.lora_low(module, x), graph.slot(module)) {
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
            let module = graph.number(module);
            graph.push(Dropout { x, out: dx, rate, module, add: true });
        }
    }
}
