//! Layer normalization (Ba et al., 2016) and its gradient.

#[cfg(feature = "gpu")]
pub(super) mod shaders;

use rayon::prelude::*;

use crate::cpu::{Frame, LANES, join, sum_of_products, vectorized};
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::program::{Access, BufferId, Operation, Shapes, Touch, VectorId};
#[cfg(feature = "gpu")]
use shaders::{BACKWARD, FORWARD, LayerNormParams};

/// `out = (x − μ) · r · gain + bias`, `μ = mean(x)`, `r = 1 / √(mean((x − μ)²) + ε)`, row by row.
#[derive(Debug)]
pub struct LayerNorm {
    /// `[t, n]`.
    pub x: BufferId,
    /// `[n]`.
    pub gain: VectorId,
    /// `[n]`.
    pub bias: VectorId,
    /// `[t, n]`.
    pub out: BufferId,
    /// ε.
    pub epsilon: f32,
}

impl Operation for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn touches(&self) -> Vec<Touch> {
        vec![(self.x, Access::Read), (self.out, Access::Write)]
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        shapes.expect_same_rows(&[self.x, self.out])?;
        shapes.expect_width(shapes.width(self.x), &[self.out])?;
        shapes.expect_vector("a gain", self.gain, shapes.width(self.x))?;
        shapes.expect_vector("a bias", self.bias, shapes.width(self.x))
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let (gain, bias) = (&frame.weights.vectors[self.gain.0], &frame.weights.vectors[self.bias.0]);
        let [x, out] = frame.slices([Some(self.x), Some(self.out)]);
        out.par_chunks_exact_mut(gain.len())
            .zip(x.par_chunks_exact(gain.len()))
            .for_each(|(out, x)| vectorized!(forward(x, gain, bias, self.epsilon, out)));
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let (gain, width) = recorder.vector(self.gain);
        let (bias, _) = recorder.vector(self.bias);
        let rows = recorder.rows(self.x);
        let [x, out] = recorder.buffers([self.x, self.out])?;
        recorder.launch(gpu::Launch {
            kernel: &FORWARD,
            constants: &[],
            bindings: &[gain, bias, x, out],
            params: LayerNormParams { width: gpu::count(width)?, epsilon: self.epsilon },
            grid: [1, rows],
            work: 24.0 * (rows * width) as f64,
        })
    }
}

/// With `d = g∘dy` and `x̂ = (x − μ)·r`: `dx = r · (d − mean(d) − x̂ · mean(d∘x̂))` or `dx += …`, the gradient of
/// [`LayerNorm`] by its input.
#[derive(Debug)]
pub struct LayerNormBackward {
    /// The norm's input, `[t, n]`.
    pub x: BufferId,
    /// `[n]`.
    pub gain: VectorId,
    /// Gradient of the norm's output, `[t, n]`.
    pub dy: BufferId,
    /// Gradient of its input, `[t, n]`.
    pub dx: BufferId,
    /// Add to `dx`.
    pub add: bool,
    /// ε.
    pub epsilon: f32,
}

impl Operation for LayerNormBackward {
    fn name(&self) -> &'static str {
        "layer_norm_backward"
    }

    fn touches(&self) -> Vec<Touch> {
        let access = if self.add { Access::Update } else { Access::Write };
        vec![(self.x, Access::Read), (self.dy, Access::Read), (self.dx, access)]
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        shapes.expect_same_rows(&[self.x, self.dy, self.dx])?;
        shapes.expect_width(shapes.width(self.x), &[self.dy, self.dx])?;
        shapes.expect_vector("a gain", self.gain, shapes.width(self.x))
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
        let rows = recorder.rows(self.x);
        let [x, dy, dx] = recorder.buffers([self.x, self.dy, self.dx])?;
        recorder.launch(gpu::Launch {
            kernel: &BACKWARD,
            constants: &[("ADD", u32::from(self.add))],
            bindings: &[gain, x, dy, dx],
            params: LayerNormParams { width: gpu::count(width)?, epsilon: self.epsilon },
            grid: [1, rows],
            work: 40.0 * (rows * width) as f64,
        })
    }
}

/// The mean, and `1 / √(variance + ε)` of what is left of it in `centred`.
#[inline(always)]
fn centre(x: &[f32], epsilon: f32, centred: &mut [f32]) -> f32 {
    let n = x.len() as f32;
    let mean = sum_of_products([x]) / n;
    centred.iter_mut().zip(x).for_each(|(centred, x)| *centred = x - mean);
    1.0 / (sum_of_products([centred, centred]) / n + epsilon).sqrt()
}

#[inline(always)]
fn forward(x: &[f32], gain: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]) {
    let r = centre(x, epsilon, out);
    for ((o, &g), &b) in out.iter_mut().zip(gain).zip(bias) {
        *o = *o * r * g + b;
    }
}

#[inline(always)]
fn backward(x: &[f32], gain: &[f32], dy: &[f32], epsilon: f32, dx: &mut [f32]) {
    let n = x.len() as f32;
    let mean = sum_of_products([x]) / n;
    let d_mean = sum_of_products([gain, dy]) / n;
    let (squares, products) = centred_sums(x, gain, dy, mean);
    let r = 1.0 / (squares / n + epsilon).sqrt();
    // mean(d∘x̂)·r
    let along = products / n * r * r;
    for (((dx, &x), &g), &dy) in dx.iter_mut().zip(x).zip(gain).zip(dy) {
        *dx += r * (g * dy - d_mean - (x - mean) * along);
    }
}

/// `Σ (x − μ)²` and `Σ g∘dy∘(x − μ)`, sixteen at a time.
#[inline(always)]
fn centred_sums(x: &[f32], gain: &[f32], dy: &[f32], mean: f32) -> (f32, f32) {
    let (mut squares, mut products) = ([0.0f32; LANES], [0.0f32; LANES]);
    for start in (0..x.len()).step_by(LANES) {
        let end = x.len().min(start + LANES);
        for (lane, i) in (start..end).enumerate() {
            let centred = x[i] - mean;
            squares[lane] += centred * centred;
            products[lane] += gain[i] * dy[i] * centred;
        }
    }
    (join(&squares), join(&products))
}
