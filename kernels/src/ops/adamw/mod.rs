//! Gradient norm, clipping and AdamW (Loshchilov and Hutter, 2019), as `torch.optim.AdamW` and `clip_grad_norm_` do it.

#[cfg(feature = "gpu")]
pub(super) mod shaders;

use rayon::prelude::*;

use crate::cpu::{Frame, vectorized};
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::program::{Access, BufferId, Operation, Shapes, Touch};
#[cfg(feature = "gpu")]
use shaders::{DECIDE, DecideParams, SQUARES, SquaresParams, UPDATE, UpdateParams};

/// Values whose squares are summed at a time.
const BLOCK: usize = 4096;

/// One optimizer step over all adapter parameters, laid out flat.
///
/// `g ← g · min(1, clip / (‖g‖ + 1e-6))`; `p ← p·(1 − lr·λ)`; `m ← β₁m + (1 − β₁)g`; `v ← β₂v + (1 − β₂)g²`;
/// `p ← p − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε)`. Then gradients and loss are zeroed for the next step. A loss or
/// norm that is not finite leaves parameters and moments as they are.
#[derive(Debug)]
pub struct AdamW {
    /// Parameters.
    pub params: BufferId,
    /// Gradients.
    pub grads: BufferId,
    /// m.
    pub first_moment: BufferId,
    /// v.
    pub second_moment: BufferId,
    /// `[1, 1]`: the step's loss, summed by the backward passes.
    pub total: BufferId,
    /// `[1, 3]`: loss, norm before clipping, and 1 if the step was applied or 0.
    pub report: BufferId,
    /// Clip to this norm; 0 means no clipping.
    pub clip: f32,
    /// β₁.
    pub beta1: f32,
    /// β₂.
    pub beta2: f32,
    /// ε.
    pub epsilon: f32,
    /// λ.
    pub weight_decay: f32,
}

/// The factors of one step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepFactors {
    pub(crate) decay: f32,
    pub(crate) step_size: f32,
    pub(crate) root_correction: f32,
}

impl AdamW {
    /// `1 − lr·λ`, `lr/(1 − β₁ᵗ)` and `√(1 − β₂ᵗ)` of step t, counted from 1.
    pub(crate) fn factors(&self, learning_rate: f32, step: u32) -> StepFactors {
        let correction = |beta: f32| 1.0 - f64::from(beta).powi(step as i32);
        StepFactors {
            decay: (1.0 - f64::from(learning_rate) * f64::from(self.weight_decay)) as f32,
            step_size: (f64::from(learning_rate) / correction(self.beta1)) as f32,
            root_correction: correction(self.beta2).sqrt() as f32,
        }
    }
}

impl Operation for AdamW {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn touches(&self) -> Vec<Touch> {
        vec![
            (self.params, Access::Update),
            (self.grads, Access::Update),
            (self.first_moment, Access::Update),
            (self.second_moment, Access::Update),
            (self.total, Access::Update),
            (self.report, Access::Write),
        ]
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        let len = shapes.len(self.params);
        for tensor in [self.params, self.grads, self.first_moment, self.second_moment] {
            let held = shapes.len(tensor);
            shapes.expect(held == len, format_args!("tensors of {held} and of {len} values"))?;
        }
        shapes.expect_width(1, &[self.total])?;
        shapes.expect_width(3, &[self.report])
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let factors = self.factors(frame.scalars.learning_rate, frame.scalars.step);
        let ids = [self.params, self.grads, self.first_moment, self.second_moment, self.total, self.report];
        let [params, grads, first, second, total, report] = frame.slices(ids.map(Some));
        let squares: Vec<f64> = grads.par_chunks(BLOCK).map(sum_of_squares).collect();
        let norm = squares.iter().sum::<f64>().sqrt() as f32;
        let finite = norm.is_finite() && total[0].is_finite();
        report.copy_from_slice(&[total[0], norm, if finite { 1.0 } else { 0.0 }]);
        if finite {
            let coefficient = if self.clip > 0.0 { (self.clip / (norm + 1e-6)).min(1.0) } else { 1.0 };
            params
                .par_chunks_mut(BLOCK)
                .zip(grads.par_chunks(BLOCK))
                .zip(first.par_chunks_mut(BLOCK).zip(second.par_chunks_mut(BLOCK)))
                .for_each(|((p, g), (m, v))| vectorized!(update(self, factors, coefficient, p, g, m, v)));
        }
        grads.fill(0.0);
        total[0] = 0.0;
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        /// Gradients a workgroup of `squares.wgsl`.
        const BLOCK: usize = 4096;
        let len = recorder.len(self.params);
        let blocks = len.div_ceil(BLOCK);
        let (squares, decision) = (recorder.scratch(blocks * 4)?, recorder.scratch(8)?);
        // Parameters beyond one binding go in parts of whole blocks.
        let part = recorder.binding_len() / BLOCK * BLOCK;
        for start in (0..len).step_by(part) {
            let len = part.min(len - start);
            let (grads, _) = recorder.range(self.grads, start, len)?;
            recorder.launch(gpu::Launch {
                kernel: &SQUARES,
                constants: &[],
                bindings: &[grads, squares],
                params: SquaresParams { len: gpu::count(len)?, first_block: gpu::count(start / BLOCK)? },
                grid: [1, len.div_ceil(BLOCK)],
                work: 4.0 * len as f64,
            })?;
        }
        let [total, report] = recorder.buffers([self.total, self.report])?;
        recorder.launch(gpu::Launch {
            kernel: &DECIDE,
            constants: &[],
            bindings: &[squares, total, report, decision, recorder.guard()],
            params: DecideParams { blocks: gpu::count(blocks)?, clip: self.clip },
            grid: [1, 1],
            work: 4.0 * blocks as f64,
        })?;
        let factors = self.factors(recorder.scalars().learning_rate, recorder.scalars().step);
        for start in (0..len).step_by(part) {
            let len = part.min(len - start);
            let range = |id| recorder.range(id, start, len).map(|(binding, _)| binding);
            let bindings = [
                range(self.params)?,
                range(self.grads)?,
                range(self.first_moment)?,
                range(self.second_moment)?,
                decision,
            ];
            let params = UpdateParams {
                len: gpu::count(len)?,
                beta1: self.beta1,
                beta2: self.beta2,
                epsilon: self.epsilon,
                decay: factors.decay,
                step: factors.step_size,
                root: factors.root_correction,
            };
            recorder.each(&UPDATE, &[], &bindings, params, 32.0)?;
        }
        Ok(())
    }
}

fn sum_of_squares(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v) * f64::from(v)).sum()
}

#[inline(always)]
fn update(adam: &AdamW, factors: StepFactors, clip: f32, p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
    let (beta1, beta2) = (adam.beta1, adam.beta2);
    let n = p.len();
    let (g, m, v) = (&g[..n], &mut m[..n], &mut v[..n]);
    for i in 0..n {
        let g = g[i] * clip;
        m[i] = beta1 * m[i] + (1.0 - beta1) * g;
        v[i] = beta2 * v[i] + (1.0 - beta2) * g * g;
        let denominator = v[i].sqrt() / factors.root_correction + adam.epsilon;
        p[i] = p[i] * factors.decay - factors.step_size * m[i] / denominator;
    }
}
