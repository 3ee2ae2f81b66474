//! The feed-forward half of a layer: `mid + down(φ(gate)·up)`, gate and up of `norm(mid)`; in some families `φ(up)` without a
//! gate, or with a norm behind it, or only there.

use idiolect_kernels::ops::{Glu, GluBackward};
use idiolect_kernels::program::BufferId;

use super::fused::Projections;
use crate::passes::graph::{Backward, Graph};
use crate::shape::NormPlace;
use crate::shape::Projection::{Down, Gate, GateUp, Up};

/// What it computes on the way, for its gradient.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MlpActivations {
    inputs: ActivationInputs,
    /// What the norm behind the half is of, where there is one.
    addend: Option<BufferId>,
}

/// What the activation is of.
#[derive(Debug, Clone, Copy)]
struct ActivationInputs {
    /// What goes through φ.
    gate: BufferId,
    /// What it is multiplied by, where it is a gate.
    up: Option<BufferId>,
}

impl Graph<'_> {
    fn is_gated(&self, layer: usize) -> bool {
        [Gate, GateUp].iter().any(|&gate| self.base.config.family.computing(layer, gate).is_some())
    }

    fn gate_and_up(&self, layer: usize) -> Projections<2> {
        self.projections(layer, [Gate, Up], &[GateUp])
    }

    fn activation_inputs(&mut self, layer: usize, mid: BufferId) -> ActivationInputs {
        let normed = self.norm_at(layer, NormPlace::Mlp, mid);
        let width = self.base.config.layers[layer].intermediate_size;
        if self.is_gated(layer) {
            let [gate, up] = self.project(&self.gate_and_up(layer), normed, [width; 2]);
            ActivationInputs { gate, up: Some(up) }
        } else {
            ActivationInputs { gate: self.linear(self.module(layer, Up), normed, None), up: None }
        }
    }

    /// `φ(gate)·up`.
    fn activation(&mut self, layer: usize, inputs: ActivationInputs) -> BufferId {
        let spec = &self.base.config.layers[layer];
        let out = self.per_token("activation", spec.intermediate_size);
        self.push(Glu { activation: spec.activation, gate: inputs.gate, up: inputs.up, out });
        out
    }

    /// The residual stream after it, and what it computed on the way.
    pub fn mlp(&mut self, layer: usize, mid: BufferId) -> (BufferId, MlpActivations) {
        let inputs = self.activation_inputs(layer, mid);
        let activation = self.activation(layer, inputs);
        let (out, addend) = self.add(self.module(layer, Down), NormPlace::AfterMlp, activation, mid);
        (out, MlpActivations { inputs, addend })
    }

    /// What it computes on the way, alone.
    pub fn mlp_activations(&mut self, layer: usize, mid: BufferId) -> MlpActivations {
        let inputs = self.activation_inputs(layer, mid);
        let addend = self.base.norm(layer, NormPlace::AfterMlp).and_then(|_| {
            let activation = self.activation(layer, inputs);
            self.addend(self.module(layer, Down), NormPlace::AfterMlp, activation)
        });
        MlpActivations { inputs, addend }
    }
}

impl Backward<'_> {
    /// Adapter gradients, and the residual stream's through the block.
    pub fn mlp(&mut self, layer: usize, mid: BufferId, mlp: MlpActivations) {
        let spec = &self.graph.base.config.layers[layer];
        let (intermediate, activation) = (spec.intermediate_size, spec.activation);
        let ActivationInputs { gate, up } = mlp.inputs;
        let down = self.graph.module(layer, Down);
        let activated = self.graph.activation(layer, mlp.inputs);
        let dactivated = self.graph.per_token("d activation", intermediate);
        let dout = self.addend(layer, NormPlace::AfterMlp, mlp.addend);
        self.linear(down, activated, dout, Some((dactivated, false)));
        let dgate = self.graph.per_token("d gate", intermediate);
        let of_up = up.map(|up| [up, self.graph.per_token("d up", intermediate)]);
        self.graph.push(GluBackward { activation, gate, up: of_up, dout: dactivated, dgate });
        let normed = self.graph.norm_at(layer, NormPlace::Mlp, mid);
        let mut dinput = self.input_gradient(layer, NormPlace::Mlp);
        match of_up {
            Some([_, dup]) => {
                self.project(&self.graph.gate_and_up(layer), normed, [dgate, dup], Some(&mut dinput));
            }
            None => self.linear(self.graph.module(layer, Up), normed, dgate, Some(dinput.next())),
        }
        self.add_input_gradient(dinput, mid);
    }
}
