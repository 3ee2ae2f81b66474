//! The feed-forward half of a layer: `mid + down(silu(gate)·up)`, gate and up of `norm(mid)`.

use idiolect_kernels::ops::{SwiGlu, SwiGluBackward};
use idiolect_kernels::program::BufferId;

use crate::passes::graph::{Backward, Graph};
use crate::shape::Projection::{Down, Gate, Up};

/// What it computes on the way, for its gradient.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MlpActivations {
    pub gate: BufferId,
    pub up: BufferId,
}

impl Graph<'_> {
    /// `gate` and `up` of `norm(mid)`.
    pub fn mlp_inputs(&mut self, layer: usize, mid: BufferId) -> MlpActivations {
        let normed = self.norm(self.base.layers[layer].mlp_norm, mid);
        let [gate, up] = [Gate, Up].map(|projection| self.linear(self.module(layer, projection), normed, None));
        MlpActivations { gate, up }
    }

    /// `silu(gate)·up`.
    fn activation(&mut self, layer: usize, mlp: MlpActivations) -> BufferId {
        let out = self.per_token("activation", self.base.config.layers[layer].intermediate_size);
        self.push(SwiGlu { gate: mlp.gate, up: mlp.up, out });
        out
    }

    /// The residual stream after it, and what it computed on the way.
    pub fn mlp(&mut self, layer: usize, mid: BufferId) -> (BufferId, MlpActivations) {
        let inputs = self.mlp_inputs(layer, mid);
        let activation = self.activation(layer, inputs);
        (self.linear(self.module(layer, Down), activation, Some(mid)), inputs)
    }
}

impl Backward<'_> {
    /// Adapter gradients, and the residual stream's through the block.
    pub fn mlp(&mut self, layer: usize, mid: BufferId, mlp: MlpActivations) {
        let intermediate = self.graph.base.config.layers[layer].intermediate_size;
        let norm = self.graph.base.layers[layer].mlp_norm;
        let [gate, up, down] = [Gate, Up, Down].map(|projection| self.graph.module(layer, projection));
        let activation = self.graph.activation(layer, mlp);
        let dactivation = self.graph.per_token("d activation", intermediate);
        self.linear(down, activation, self.dx, Some((dactivation, false)));
        let dgate = self.graph.per_token("d gate", intermediate);
        let dup = self.graph.per_token("d up", intermediate);
        self.graph.push(SwiGluBackward { gate: mlp.gate, up: mlp.up, dout: dactivation, dgate, dup });
        let normed = self.graph.norm(norm, mid);
        let dnormed = self.graph.per_token("d normed", self.graph.base.config.hidden_size);
        self.linear(gate, normed, dgate, Some((dnormed, false)));
        self.linear(up, normed, dup, Some((dnormed, true)));
        self.graph.norm_backward(norm, mid, dnormed, self.dx, true);
    }
}
