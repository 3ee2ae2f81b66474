//! The feed-forward half of a layer: `mid + down(φ(gate)·up)`, gate and up of `norm(mid)`; in some families with a norm
//! behind it, or only there.

use idiolect_kernels::ops::{Glu, GluBackward};
use idiolect_kernels::program::BufferId;

use crate::passes::graph::{Backward, Graph};
use crate::shape::NormPlace;
use crate::shape::Projection::{Down, Gate, Up};

/// What it computes on the way, for its gradient.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MlpActivations {
    pub gate: BufferId,
    pub up: BufferId,
    /// What the norm behind the half is of, where there is one.
    pub addend: Option<BufferId>,
}

impl Graph<'_> {
    /// `gate` and `up` of `norm(mid)`.
    fn gate_and_up(&mut self, layer: usize, mid: BufferId) -> [BufferId; 2] {
        let normed = self.norm_at(layer, NormPlace::Mlp, mid);
        [Gate, Up].map(|projection| self.linear(self.module(layer, projection), normed, None))
    }

    /// `φ(gate)·up`.
    fn activation(&mut self, layer: usize, [gate, up]: [BufferId; 2]) -> BufferId {
        let spec = &self.base.config.layers[layer];
        let out = self.per_token("activation", spec.intermediate_size);
        self.push(Glu { activation: spec.activation, gate, up, out });
        out
    }

    /// The residual stream after it, and what it computed on the way.
    pub fn mlp(&mut self, layer: usize, mid: BufferId) -> (BufferId, MlpActivations) {
        let [gate, up] = self.gate_and_up(layer, mid);
        let activation = self.activation(layer, [gate, up]);
        let (out, addend) = self.add(self.module(layer, Down), NormPlace::AfterMlp, activation, mid);
        (out, MlpActivations { gate, up, addend })
    }

    /// What it computes on the way, alone.
    pub fn mlp_activations(&mut self, layer: usize, mid: BufferId) -> MlpActivations {
        let [gate, up] = self.gate_and_up(layer, mid);
        let addend = self.base.norm(layer, NormPlace::AfterMlp).and_then(|_| {
            let activation = self.activation(layer, [gate, up]);
            self.addend(self.module(layer, Down), NormPlace::AfterMlp, activation)
        });
        MlpActivations { gate, up, addend }
    }
}

impl Backward<'_> {
    /// Adapter gradients, and the residual stream's through the block.
    pub fn mlp(&mut self, layer: usize, mid: BufferId, mlp: MlpActivations) {
        let spec = &self.graph.base.config.layers[layer];
        let (intermediate, activation) = (spec.intermediate_size, spec.activation);
        let [gate, up, down] = [Gate, Up, Down].map(|projection| self.graph.module(layer, projection));
        let activated = self.graph.activation(layer, [mlp.gate, mlp.up]);
        let dactivated = self.graph.per_token("d activation", intermediate);
        let dout = self.addend(layer, NormPlace::AfterMlp, mlp.addend);
        self.linear(down, activated, dout, Some((dactivated, false)));
        let dgate = self.graph.per_token("d gate", intermediate);
        let dup = self.graph.per_token("d up", intermediate);
        self.graph.push(GluBackward { activation, gate: mlp.gate, up: mlp.up, dout: dactivated, dgate, dup });
        let normed = self.graph.norm_at(layer, NormPlace::Mlp, mid);
        let mut dinput = self.input_gradient(layer, NormPlace::Mlp);
        self.linear(gate, normed, dgate, Some(dinput.next()));
        self.linear(up, normed, dup, Some(dinput.next()));
        self.add_input_gradient(dinput, mid);
    }
}
