//! SwiGLU (Shazeer, 2020) and its gradient.

#[cfg(feature = "gpu")]
pub(super) mod shaders;

use rayon::prelude::*;

use crate::cpu::{Frame, exp, vectorized};
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::program::{Access, BufferId, Operation, Shapes, Touch};
#[cfg(feature = "gpu")]
use shaders::{BACKWARD, FORWARD, SwiGluParams};

/// Values a task.
const TASK: usize = 4096;

/// `out = silu(gate) · up`, `silu(z) = z·σ(z)`.
#[derive(Debug)]
pub struct SwiGlu {
    /// `[t, n]`.
    pub gate: BufferId,
    /// `[t, n]`.
    pub up: BufferId,
    /// `[t, n]`.
    pub out: BufferId,
}

impl Operation for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn touches(&self) -> Vec<Touch> {
        vec![(self.gate, Access::Read), (self.up, Access::Read), (self.out, Access::Write)]
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        shapes.expect_same_rows(&[self.gate, self.up, self.out])?;
        shapes.expect_width(shapes.width(self.gate), &[self.up, self.out])
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let [gate, up, out] = frame.slices([Some(self.gate), Some(self.up), Some(self.out)]);
        out.par_chunks_mut(TASK)
            .zip(gate.par_chunks(TASK))
            .zip(up.par_chunks(TASK))
            .for_each(|((out, gate), up)| vectorized!(forward(gate, up, out)));
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let len = recorder.len(self.out);
        let bindings = recorder.buffers([self.gate, self.up, self.out])?;
        recorder.each(&FORWARD, &[], &bindings, SwiGluParams { len: gpu::count(len)? }, 32.0)
    }
}

/// `dgate = dout · up · σ(gate)·(1 + gate·(1 − σ(gate)))`, `dup = dout · silu(gate)`.
#[derive(Debug)]
pub struct SwiGluBackward {
    /// `[t, n]`.
    pub gate: BufferId,
    /// `[t, n]`.
    pub up: BufferId,
    /// Gradient of the output, `[t, n]`.
    pub dout: BufferId,
    /// Gradient of `gate`, `[t, n]`.
    pub dgate: BufferId,
    /// Gradient of `up`, `[t, n]`.
    pub dup: BufferId,
}

impl Operation for SwiGluBackward {
    fn name(&self) -> &'static str {
        "swiglu_backward"
    }

    fn touches(&self) -> Vec<Touch> {
        vec![
            (self.gate, Access::Read),
            (self.up, Access::Read),
            (self.dout, Access::Read),
            (self.dgate, Access::Write),
            (self.dup, Access::Write),
        ]
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        shapes.expect_same_rows(&[self.gate, self.up, self.dout, self.dgate, self.dup])?;
        shapes.expect_width(shapes.width(self.gate), &[self.up, self.dout, self.dgate, self.dup])
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let ids = [self.gate, self.up, self.dout, self.dgate, self.dup];
        let [gate, up, dout, dgate, dup] = frame.slices(ids.map(Some));
        dgate
            .par_chunks_mut(TASK)
            .zip(dup.par_chunks_mut(TASK))
            .zip(gate.par_chunks(TASK).zip(up.par_chunks(TASK)).zip(dout.par_chunks(TASK)))
            .for_each(|((dgate, dup), ((gate, up), dout))| vectorized!(backward(gate, up, dout, dgate, dup)));
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let len = recorder.len(self.dout);
        let bindings = recorder.buffers([self.gate, self.up, self.dout, self.dgate, self.dup])?;
        recorder.each(&BACKWARD, &[], &bindings, SwiGluParams { len: gpu::count(len)? }, 40.0)
    }
}

#[inline(always)]
fn forward(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((o, &z), &u) in out.iter_mut().zip(gate).zip(up) {
        *o = z / (1.0 + exp(-z)) * u;
    }
}

#[inline(always)]
fn backward(gate: &[f32], up: &[f32], dout: &[f32], dgate: &mut [f32], dup: &mut [f32]) {
    let n = gate.len();
    let (up, dout, dgate, dup) = (&up[..n], &dout[..n], &mut dgate[..n], &mut dup[..n]);
    for i in 0..n {
        let z = gate[i];
        let sigmoid = 1.0 / (1.0 + exp(-z));
        dgate[i] = dout[i] * up[i] * sigmoid * (1.0 + z * (1.0 - sigmoid));
        dup[i] = dout[i] * z * sigmoid;
    }
}
