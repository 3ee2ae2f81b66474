//! Root-mean-square normalization (Zhang and Sennrich, 2019) and its gradient.

#[cfg(feature = "gpu")]
pub(super) mod shaders;

use rayon::prelude::*;

use crate::cpu::{Frame, sum_of_products, vectorized};
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::program::{Access, BufferId, Operation, Shapes, Touch, VectorId};
#[cfg(feature = "gpu")]
use shaders::{BACKWARD, FORWARD, RmsNormParams};

/// `out = x · r · gain + residual`, `r = 1 / √(mean(x²) + ε)`, row by row; where a row is several times as long as the gains, each
/// part of their length by itself (the heads of queries and keys).
#[derive(Debug)]
pub struct RmsNorm {
    /// `[t, parts·n]`.
    pub x: BufferId,
    /// `[n]`.
    pub gain: VectorId,
    /// `[t, parts·n]`, added where it is given.
    pub residual: Option<BufferId>,
    /// `[t, parts·n]`.
    pub out: BufferId,
    /// ε.
    pub epsilon: f32,
}

impl Operation for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn touches(&self) -> Vec<Touch> {
        let residual = self.residual.map(|residual| (residual, Access::Read));
        [(self.x, Access::Read), (self.out, Access::Write)].into_iter().chain(residual).collect()
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        for other in [Some(self.out), self.residual].into_iter().flatten() {
            shapes.expect_same_rows(&[self.x, other])?;
            shapes.expect_width(shapes.width(self.x), &[other])?;
        }
        shapes.expect_vector_of_parts("a gain", self.gain, shapes.width(self.x))
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let gain = &frame.weights.vectors[self.gain.0];
        let [x, residual, out] = frame.slices([Some(self.x), self.residual, Some(self.out)]);
        let residual = self.residual.map(|_| &*residual);
        let n = gain.len();
        out.par_chunks_exact_mut(n).zip(x.par_chunks_exact(n)).enumerate().for_each(|(row, (out, x))| {
            vectorized!(forward(x, gain, self.epsilon, out));
            if let Some(residual) = residual {
                vectorized!(add(&residual[row * n..], out));
            }
        });
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let (gain, width) = recorder.vector(self.gain);
        let parts = recorder.len(self.x) / width;
        let [x, out] = recorder.buffers([self.x, self.out])?;
        let residual = self.residual.map_or(Ok(gpu::Memory::nothing(2)), |residual| recorder.buffer(residual))?;
        recorder.launch(gpu::Launch {
            kernel: &FORWARD,
            constants: &[("RESIDUAL", u32::from(self.residual.is_some()))],
            bindings: &[gain, x, out, residual],
            params: RmsNormParams { width: gpu::count(width)?, epsilon: self.epsilon },
            grid: [1, parts],
            work: 16.0 * (parts * width) as f64,
        })
    }
}

/// `dx = r·g∘dy − x · r³/n · Σ(g∘dy∘x)` or `dx += …`: the gradient of [`RmsNorm`], alone or added to the residual
/// stream's.
#[derive(Debug)]
pub struct RmsNormBackward {
    /// The norm's input, `[t, parts·n]`.
    pub x: BufferId,
    /// `[n]`.
    pub gain: VectorId,
    /// Gradient of the norm's output, `[t, parts·n]`.
    pub dy: BufferId,
    /// Gradient of its input, `[t, parts·n]`.
    pub dx: BufferId,
    /// Add to `dx`.
    pub add: bool,
    /// ε.
    pub epsilon: f32,
}

impl Operation for RmsNormBackward {
    fn name(&self) -> &'static str {
        "rms_norm_backward"
    }

    fn touches(&self) -> Vec<Touch> {
        let access = if self.add { Access::Update } else { Access::Write };
        vec![(self.x, Access::Read), (self.dy, Access::Read), (self.dx, access)]
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        shapes.expect_same_rows(&[self.x, self.dy, self.dx])?;
        shapes.expect_width(shapes.width(self.x), &[self.dy, self.dx])?;
        shapes.expect_vector_of_parts("a gain", self.gain, shapes.width(self.x))
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let gain = &frame.weights.vectors[self.gain.0];
        let [x, dy, dx] = frame.slices([Some(self.x), Some(self.dy), Some(self.dx)]);
        let n = gain.len();
        if !self.add {
            dx.fill(0.0);
        }
        dx.par_chunks_exact_mut(n)
            .zip(x.par_chunks_exact(n))
            .zip(dy.par_chunks_exact(n))
            .for_each(|((dx, x), dy)| vectorized!(backward(x, gain, dy, self.epsilon, dx)));
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let (gain, width) = recorder.vector(self.gain);
        let parts = recorder.len(self.x) / width;
        let [x, dy, dx] = recorder.buffers([self.x, self.dy, self.dx])?;
        recorder.launch(gpu::Launch {
            kernel: &BACKWARD,
            constants: &[("ADD", u32::from(self.add))],
            bindings: &[gain, x, dy, dx],
            params: RmsNormParams { width: gpu::count(width)?, epsilon: self.epsilon },
            grid: [1, parts],
            work: 32.0 * (parts * width) as f64,
        })
    }
}

#[inline(always)]
fn forward(x: &[f32], gain: &[f32], epsilon: f32, out: &mut [f32]) {
    let r = 1.0 / (sum_of_products([x, x]) / x.len() as f32 + epsilon).sqrt();
    for ((o, &x), &g) in out.iter_mut().zip(x).zip(gain) {
        *o = x * r * g;
    }
}

#[inline(always)]
fn add(residual: &[f32], out: &mut [f32]) {
    out.iter_mut().zip(residual).for_each(|(out, residual)| *out += residual);
}

#[inline(always)]
fn backward(x: &[f32], gain: &[f32], dy: &[f32], epsilon: f32, dx: &mut [f32]) {
    let n = x.len() as f32;
    let r = 1.0 / (sum_of_products([x, x]) / n + epsilon).sqrt();
    let along = sum_of_products([x, gain, dy]) * r * r * r / n;
    for (((dx, &x), &g), &dy) in dx.iter_mut().zip(x).zip(gain).zip(dy) {
        *dx += r * g * dy - x * along;
    }
}
