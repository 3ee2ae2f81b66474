//! Gated linear units (Shazeer, 2020) and their gradient.

#[cfg(feature = "gpu")]
pub(super) mod shaders;

use rayon::prelude::*;

use crate::cpu::{Frame, exp, vectorized};
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::program::{Access, BufferId, Operation, Shapes, Touch};
#[cfg(feature = "gpu")]
use shaders::{BACKWARD, FORWARD, GluParams};

/// Values a task.
const TASK: usize = 4096;

/// What a gate goes through: `φ(z) = z·σ(s(z))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `s(z) = z`.
    Silu,
    /// GELU in its tanh form (Hendrycks and Gimpel, 2016), `z/2 · (1 + tanh u)` with `u = √(2/π)·(z + 0.044715·z³)`:
    /// `s(z) = 2u`.
    GeluTanh,
}

/// `2·√(2/π)`.
const GELU_SLOPE: f32 = 1.595_769_1;
/// GELU's factor on the cube.
const GELU_CUBE: f32 = 0.044_715;

impl Activation {
    /// `s(z)` and its derivative.
    #[inline(always)]
    fn inner(self, z: f32) -> (f32, f32) {
        match self {
            Self::Silu => (z, 1.0),
            Self::GeluTanh => {
                let square = z * z;
                (GELU_SLOPE * z * (1.0 + GELU_CUBE * square), GELU_SLOPE * (1.0 + 3.0 * GELU_CUBE * square))
            }
        }
    }

    #[cfg(feature = "gpu")]
    fn constants(self) -> [(&'static str, u32); 1] {
        [("GELU", u32::from(self == Self::GeluTanh))]
    }
}

/// `out = φ(gate) · up`.
#[derive(Debug)]
pub struct Glu {
    /// φ.
    pub activation: Activation,
    /// `[t, n]`.
    pub gate: BufferId,
    /// `[t, n]`.
    pub up: BufferId,
    /// `[t, n]`.
    pub out: BufferId,
}

impl Operation for Glu {
    fn name(&self) -> &'static str {
        "glu"
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
            .for_each(|((out, gate), up)| vectorized!(forward(self.activation, gate, up, out)));
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let len = recorder.len(self.out);
        let bindings = recorder.buffers([self.gate, self.up, self.out])?;
        recorder.each(&FORWARD, &self.activation.constants(), &bindings, GluParams { len: gpu::count(len)? }, 32.0)
    }
}

/// `dgate = dout · up · σ·(1 + gate·s'(gate)·(1 − σ))`, `dup = dout · φ(gate)`; `σ = σ(s(gate))`.
#[derive(Debug)]
pub struct GluBackward {
    /// φ.
    pub activation: Activation,
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

impl Operation for GluBackward {
    fn name(&self) -> &'static str {
        "glu_backward"
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
            .for_each(|((dgate, dup), ((gate, up), dout))| {
                vectorized!(backward(self.activation, gate, up, dout, dgate, dup))
            });
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let len = recorder.len(self.dout);
        let bindings = recorder.buffers([self.gate, self.up, self.dout, self.dgate, self.dup])?;
        recorder.each(&BACKWARD, &self.activation.constants(), &bindings, GluParams { len: gpu::count(len)? }, 40.0)
    }
}

#[inline(always)]
fn forward(activation: Activation, gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((o, &z), &u) in out.iter_mut().zip(gate).zip(up) {
        *o = z / (1.0 + exp(-activation.inner(z).0)) * u;
    }
}

#[inline(always)]
fn backward(activation: Activation, gate: &[f32], up: &[f32], dout: &[f32], dgate: &mut [f32], dup: &mut [f32]) {
    let n = gate.len();
    let (up, dout, dgate, dup) = (&up[..n], &dout[..n], &mut dgate[..n], &mut dup[..n]);
    for i in 0..n {
        let z = gate[i];
        let (inner, slope) = activation.inner(z);
        let sigmoid = 1.0 / (1.0 + exp(-inner));
        dgate[i] = dout[i] * up[i] * sigmoid * (1.0 + z * slope * (1.0 - sigmoid));
        dup[i] = dout[i] * z * sigmoid;
    }
}
