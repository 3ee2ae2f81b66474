//! RMSNorm.

use idiolect_kernels::ops::{RmsNorm, RmsNormBackward};
use idiolect_kernels::program::{BufferId, VectorId};

use crate::passes::graph::Graph;

impl Graph<'_> {
    /// `x / √(mean(x²) + ε) · gain`, of the shape of `x`.
    pub fn norm(&mut self, gain: VectorId, x: BufferId) -> BufferId {
        let (rows, width) = (self.program.buffer(x).rows, self.program.buffer(x).width);
        let out = self.program.scratch("normed", rows, width);
        self.push(RmsNorm { x, gain, out, epsilon: self.base.config.rms_norm_eps });
        out
    }

    /// Its gradient by `x`, written or added to `dx`.
    pub fn norm_backward(&mut self, gain: VectorId, x: BufferId, dy: BufferId, dx: BufferId, add: bool) {
        let epsilon = self.base.config.rms_norm_eps;
        self.push(RmsNormBackward { x, gain, dy, dx, epsilon, add });
    }
}
