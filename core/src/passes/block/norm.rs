//! RMSNorm or LayerNorm, at the places where a family has it: before a half of a layer, behind it, over queries and keys.

use idiolect_kernels::ops::{LayerNorm, LayerNormBackward, RmsNorm, RmsNormBackward};
use idiolect_kernels::program::BufferId;

use crate::model::NormParts;
use crate::passes::graph::{Backward, Graph};
use crate::shape::{ModuleId, NormPlace};

impl Graph<'_> {
    /// The norm of `x`, of its shape.
    pub fn norm(&mut self, norm: NormParts, x: BufferId) -> BufferId {
        self.norm_onto(norm, x, None)
    }

    /// The same of a layer's norm at a place; `x` itself where it has none.
    pub fn norm_at(&mut self, layer: usize, place: NormPlace, x: BufferId) -> BufferId {
        self.base.norm(layer, place).map_or(x, |norm| self.norm(norm, x))
    }

    fn norm_onto(&mut self, norm: NormParts, x: BufferId, residual: Option<BufferId>) -> BufferId {
        let (rows, width) = (self.program.buffer(x).rows, self.program.buffer(x).width);
        let out = self.program.scratch("normed", rows, width);
        let NormParts { gain, bias, spec } = norm;
        match bias {
            None => self.push(RmsNorm { x, gain, residual, out, epsilon: spec.epsilon }),
            Some(bias) => {
                // No family has one of these behind a half.
                debug_assert!(residual.is_none());
                self.push(LayerNorm { x, gain, bias, out, epsilon: spec.epsilon });
            }
        }
        out
    }

    /// What a half of a layer adds to the residual stream, where it goes through a norm at `place` first: the output of its
    /// last linear layer.
    pub fn addend(&mut self, module: ModuleId, place: NormPlace, input: BufferId) -> Option<BufferId> {
        self.base.norm(module.layer, place).map(|_| self.linear(module, input, None))
    }

    /// The residual stream behind a half of a layer: `x + norm(linear(input))`, and what the norm was of; where there is
    /// none at `place`, `x + linear(input)`.
    pub fn add(
        &mut self,
        module: ModuleId,
        place: NormPlace,
        input: BufferId,
        x: BufferId,
    ) -> (BufferId, Option<BufferId>) {
        let addend = self.addend(module, place, input);
        match (self.base.norm(module.layer, place), addend) {
            (Some(norm), Some(addend)) => (self.norm_onto(norm, addend, Some(x)), Some(addend)),
            _ => (self.linear(module, input, Some(x)), None),
        }
    }

    /// The gradient of a norm by `x`, written or added to `dx`.
    pub fn norm_backward(&mut self, norm: NormParts, x: BufferId, dy: BufferId, dx: BufferId, add: bool) {
        let (gain, epsilon) = (norm.gain, norm.spec.epsilon);
        match norm.bias {
            None => self.push(RmsNormBackward { x, gain, dy, dx, epsilon, add }),
            Some(_) => self.push(LayerNormBackward { x, gain, dy, dx, epsilon, add }),
        }
    }
}

impl Backward<'_> {
    /// The gradient by what a half's last linear layer puts out, from the residual stream's behind it.
    pub fn addend(&mut self, layer: usize, place: NormPlace, addend: Option<BufferId>) -> BufferId {
        let (Some(norm), Some(addend)) = (self.graph.base.norm(layer, place), addend) else { return self.dx };
        let dx = self.graph.per_token("d addend", self.graph.base.config.hidden_size);
        self.graph.norm_backward(norm, addend, self.dx, dx, false);
        dx
    }

    /// Where the gradient by a half's input goes: a buffer of its own before the norm at `place`; without one, the residual
    /// stream's gradient, added to.
    pub fn input_gradient(&mut self, layer: usize, place: NormPlace) -> InputGradient {
        match self.graph.base.norm(layer, place) {
            Some(norm) => {
                let dx = self.graph.per_token("d normed", self.graph.base.config.hidden_size);
                InputGradient { norm: Some(norm), dx, fresh: true }
            }
            None => InputGradient { norm: None, dx: self.dx, fresh: false },
        }
    }

    /// Adds a half's gradient by its input, whole, to the residual stream's, through the norm of `x` that it was of.
    pub fn add_input_gradient(&mut self, gradient: InputGradient, x: BufferId) {
        if let Some(norm) = gradient.norm {
            self.graph.norm_backward(norm, x, gradient.dx, self.dx, true);
        }
    }
}

/// The gradient by a half's input while its linear layers add to it.
#[derive(Debug)]
pub(crate) struct InputGradient {
    norm: Option<NormParts>,
    dx: BufferId,
    /// Whether nothing was written to it yet.
    fresh: bool,
}

impl InputGradient {
    /// Where the next linear layer's goes, and whether it is added there.
    pub fn next(&mut self) -> (BufferId, bool) {
        (self.dx, !std::mem::replace(&mut self.fresh, false))
    }
}
