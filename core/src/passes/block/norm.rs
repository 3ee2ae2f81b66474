//! RMSNorm.

use idiolect_kernels::ops::{RmsNorm, RmsNormBackward};
use idiolect_kernels::program::BufferId;

use crate::model::NormParts;
use crate::passes::graph::Graph;

impl Graph<'_> {
    /// `x / √(mean(x²) + ε) · gain`, of the shape of `x`.
    pub fn norm(&mut self, norm: NormParts, x: BufferId) -> BufferId {
        let (rows, width) = (self.program.buffer(x).rows, self.program.buffer(x).width);
        let out = self.program.scratch("normed", rows, width);
        self.push(RmsNorm { x, gain: norm.gain, out, epsilon: norm.spec.epsilon });
        out
    }

    /// Its gradient by `x`, written or added to `dx`.
    pub fn norm_backward(&mut self, norm: NormParts, x: BufferId, dy: BufferId, dx: BufferId, add: bool) {
        self.push(RmsNormBackward { x, gain: norm.gain, dy, dx, epsilon: norm.spec.epsilon, add });
    }
}
