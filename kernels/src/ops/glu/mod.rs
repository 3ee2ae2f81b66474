//! Activations, gated (Shazeer, 2020) and not, and their gradients.

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
const GELU_SLOPE: f32 = 1.595_769;
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
    fn constants(self, up: Option<BufferId>) -> [(&'static str, u32); 2] {
        [("GELU", u32::from(self == Self::GeluTanh)), ("GATED", u32::from(up.is_some()))]
    }
}

/// `out = φ(gate) · up`; `φ(gate)` without `up`.
#[derive(Debug)]
pub struct Glu {
    /// φ.
    pub activation: Activation,
    /// `[t, n]`.
    pub gate: BufferId,
    /// `[t, n]`.
    pub up: Option<BufferId>,
    /// `[t, n]`.
    pub out: BufferId,
}

impl Operation for Glu {
    fn name(&self) -> &'static str {
        "glu"
    }

    fn touches(&self) -> Vec<Touch> {
        let up = self.up.map(|up| (up, Access::Read));
        [(self.gate, Access::Read), (self.out, Access::Write)].into_iter().chain(up).collect()
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        expect_alike(self.gate, [Some(self.out), self.up], shapes)
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let [gate, up, out] = frame.slices([Some(self.gate), self.up, Some(self.out)]);
        let up = self.up.map(|_| &*up);
        out.par_chunks_mut(TASK).zip(gate.par_chunks(TASK)).enumerate().for_each(|(task, (out, gate))| {
            let up = up.map(|up| &up[task * TASK..]);
            vectorized!(forward(self.activation, gate, up, out));
        });
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let len = recorder.len(self.out);
        let [gate, out] = recorder.buffers([self.gate, self.out])?;
        let up = self.up.map_or(Ok(gpu::Memory::nothing(2)), |up| recorder.buffer(up))?;
        let bindings = [gate, out, up];
        recorder.each(
            &FORWARD,
            &self.activation.constants(self.up),
            &bindings,
            GluParams { len: gpu::count(len)? },
            32.0,
        )
    }
}

/// `dgate = dout · up · σ·(1 + gate·s'(gate)·(1 − σ))`, `dup = dout · φ(gate)`; `σ = σ(s(gate))`. Without `up`, that is 1.
#[derive(Debug)]
pub struct GluBackward {
    /// φ.
    pub activation: Activation,
    /// `[t, n]`.
    pub gate: BufferId,
    /// `[t, n]`, and its gradient.
    pub up: Option<[BufferId; 2]>,
    /// Gradient of the output, `[t, n]`.
    pub dout: BufferId,
    /// Gradient of `gate`, `[t, n]`.
    pub dgate: BufferId,
}

impl Operation for GluBackward {
    fn name(&self) -> &'static str {
        "glu_backward"
    }

    fn touches(&self) -> Vec<Touch> {
        let own = [(self.gate, Access::Read), (self.dout, Access::Read), (self.dgate, Access::Write)];
        let of_up = self.up.map(|[up, dup]| [(up, Access::Read), (dup, Access::Write)]);
        own.into_iter().chain(of_up.into_iter().flatten()).collect()
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        let [up, dup] = self.of_up();
        expect_alike(self.gate, [Some(self.dout), up, Some(self.dgate), dup], shapes)
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let [up, dup] = self.of_up();
        let [gate, up, dout, dgate, dup] = frame.slices([Some(self.gate), up, Some(self.dout), Some(self.dgate), dup]);
        let gates = gate.par_chunks(TASK).zip(dout.par_chunks(TASK));
        if self.up.is_none() {
            dgate
                .par_chunks_mut(TASK)
                .zip(gates)
                .for_each(|(dgate, (gate, dout))| vectorized!(backward_alone(self.activation, gate, dout, dgate)));
            return;
        }
        dgate.par_chunks_mut(TASK).zip(dup.par_chunks_mut(TASK)).zip(gates.zip(up.par_chunks(TASK))).for_each(
            |((dgate, dup), ((gate, dout), up))| vectorized!(backward(self.activation, gate, up, dout, dgate, dup)),
        );
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let len = recorder.len(self.dout);
        let [gate, dout, dgate] = recorder.buffers([self.gate, self.dout, self.dgate])?;
        let [up, dup] = self.of_up();
        let up_binding = up.map_or(Ok(gpu::Memory::nothing(3)), |up| recorder.buffer(up))?;
        let dup = dup.map_or(Ok(gpu::Memory::nothing(4)), |dup| recorder.buffer(dup))?;
        let bindings = [gate, dout, dgate, up_binding, dup];
        recorder.each(&BACKWARD, &self.activation.constants(up), &bindings, GluParams { len: gpu::count(len)? }, 40.0)
    }
}

impl GluBackward {
    /// `up` and its gradient, where there is one.
    fn of_up(&self) -> [Option<BufferId>; 2] {
        self.up.map_or([None; 2], |of_up| of_up.map(Some))
    }
}

fn expect_alike<const N: usize>(gate: BufferId, others: [Option<BufferId>; N], shapes: &Shapes<'_>) -> Result<()> {
    others.into_iter().flatten().try_for_each(|other| {
        shapes.expect_same_rows(&[gate, other])?;
        shapes.expect_width(shapes.width(gate), &[other])
    })
}

#[inline(always)]
fn forward(activation: Activation, gate: &[f32], up: Option<&[f32]>, out: &mut [f32]) {
    let activate = |z: f32| z / (1.0 + exp(-activation.inner(z).0));
    match up {
        Some(up) => out.iter_mut().zip(gate).zip(up).for_each(|((o, &z), &u)| *o = activate(z) * u),
        None => out.iter_mut().zip(gate).for_each(|(o, &z)| *o = activate(z)),
    }
}

#[inline(always)]
fn backward_alone(activation: Activation, gate: &[f32], dout: &[f32], dgate: &mut [f32]) {
    for ((dgate, &z), &dout) in dgate.iter_mut().zip(gate).zip(dout) {
        let (inner, slope) = activation.inner(z);
        let sigmoid = 1.0 / (1.0 + exp(-inner));
        *dgate = dout * sigmoid * (1.0 + z * slope * (1.0 - sigmoid));
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
