//! Softmax cross-entropy over the selected tokens, the head's product included, forward and backward fused, a chunk of
//! rows at a time: the logits of a whole row never exist.

#[cfg(feature = "gpu")]
pub(super) mod shaders;

use ndarray::s;
use rayon::prelude::*;

#[cfg(feature = "gpu")]
use super::linear::launch::{Backward, Forward};
use super::soft_cap::{cap_all, check_cap, soft_cap_slope};
use crate::cpu::{
    Frame, Normaliser, Output, Term, exp, exp_and_sum, largest, matrix, matrix_mut, multiply, multiply_transposed,
    vectorized,
};
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::program::{Access, BufferId, MatrixId, Operation, Shapes, Touch};
#[cfg(feature = "gpu")]
use shaders::{ROW_LOSS, RowLossParams, TOTAL, TotalParams};

/// `losses[i] = log Σ_v exp(z[i, v]) − z[i, targets[i]]`, `z = x·Wᵀ` under the soft cap; with a
/// gradient, `dx = weight · (softmax(z) − onehot(targets))∘cap' · W`, and the weighted sum of the losses is added to `total`.
#[derive(Debug)]
pub struct CrossEntropy {
    /// `[s, n]`.
    pub x: BufferId,
    /// W `[vocabulary, n]`.
    pub head: MatrixId,
    /// u32 `[s, 1]`.
    pub targets: BufferId,
    /// `[s, 1]`, nats.
    pub losses: BufferId,
    /// Logits of one chunk, `[chunk, vocabulary]`.
    pub logits: BufferId,
    /// A soft cap of the logits.
    pub cap: Option<f32>,
    /// The gradient, for training.
    pub gradient: Option<LossGradient>,
}

/// What [`CrossEntropy`] writes in training.
#[derive(Debug, Clone, Copy)]
pub struct LossGradient {
    /// Gradient of `x`, `[s, n]`.
    pub dx: BufferId,
    /// `[1, 1]`: the step's loss so far; added to.
    pub total: BufferId,
}

impl Operation for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn touches(&self) -> Vec<Touch> {
        let mut touches = vec![
            (self.x, Access::Read),
            (self.targets, Access::Read),
            (self.losses, Access::Write),
            (self.logits, Access::Write),
        ];
        touches.extend(self.gradient.iter().flat_map(|g| [(g.dx, Access::Write), (g.total, Access::Update)]));
        touches
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        check_cap(self.cap, shapes)?;
        let (vocabulary, width) = shapes.matrix(self.head)?;
        shapes.expect_width(width, &[self.x])?;
        shapes.expect_width(vocabulary, &[self.logits])?;
        shapes.expect_width(1, &[self.targets, self.losses])?;
        shapes.expect_same_rows(&[self.x, self.targets, self.losses])?;
        shapes.expect_fixed_rows(self.logits)?;
        let Some(gradient) = self.gradient else { return Ok(()) };
        shapes.expect_width(width, &[gradient.dx])?;
        shapes.expect_same_rows(&[self.x, gradient.dx])?;
        shapes.expect_width(1, &[gradient.total])
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let head = &frame.weights.matrices[self.head.0];
        let (width, vocabulary, chunk) = (head.cols(), head.rows(), frame.rows(self.logits));
        let weight = frame.scalars.loss_weight;
        let breaks = frame.breaks();
        let [x, targets, losses, logits, dx, total] = frame.slices([
            Some(self.x),
            Some(self.targets),
            Some(self.losses),
            Some(self.logits),
            self.gradient.map(|g| g.dx),
            self.gradient.map(|g| g.total),
        ]);
        let targets = bytemuck::cast_slice::<f32, u32>(targets);
        let x = matrix(x, width);
        let train = self.gradient.is_some();
        let mut dx = train.then(|| matrix_mut(dx, width));
        for start in (0..targets.len()).step_by(chunk) {
            if breaks.ends_run() {
                return;
            }
            let rows = start..targets.len().min(start + chunk);
            let logits = &mut logits[..rows.len() * vocabulary];
            let part = x.slice(s![rows.clone(), ..]);
            multiply_transposed(part, head, None, matrix_mut(logits, vocabulary), Output::Overwrite);
            logits
                .par_chunks_exact_mut(vocabulary)
                .zip(&targets[rows.clone()])
                .zip(&mut losses[rows.clone()])
                .for_each(|((z, &target), loss)| {
                    *loss = vectorized!(row_loss(z, target as usize, train.then_some(weight), self.cap))
                });
            if let Some(dx) = &mut dx {
                let product = Term { a: matrix(logits, vocabulary), b: head };
                multiply(&[product], dx.slice_mut(s![rows, ..]), Output::Overwrite);
            }
        }
        if train {
            total[0] += weight * losses.iter().sum::<f32>();
        }
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let (rows, chunk) = (recorder.rows(self.targets), recorder.rows(self.logits));
        let vocabulary = recorder.width(self.logits);
        let weight = recorder.scalars().loss_weight;
        let [logits, targets, losses] = recorder.buffers([self.logits, self.targets, self.losses])?;
        for first in (0..rows).step_by(chunk.max(1)) {
            let live = chunk.min(rows - first);
            Forward {
                x: self.x,
                rows: (first, live),
                weight: self.head,
                bias: None,
                lora: None,
                residual: None,
                out: self.logits,
                out_row: 0,
            }
            .launch(recorder)?;
            recorder.launch(gpu::Launch {
                kernel: &ROW_LOSS,
                constants: &[("TRAIN", u32::from(self.gradient.is_some()))],
                bindings: &[logits, targets, losses],
                params: RowLossParams {
                    vocabulary: gpu::count(vocabulary)?,
                    first_row: gpu::count(first)?,
                    weight,
                    cap: self.cap.unwrap_or(0.0),
                },
                grid: [1, live],
                work: 64.0 * (live * vocabulary) as f64,
            })?;
            if let Some(gradient) = self.gradient {
                Backward {
                    dy: self.logits,
                    rows: (0, live),
                    weight: self.head,
                    lora: None,
                    dx: gradient.dx,
                    out_row: first,
                    add: false,
                }
                .launch(recorder)?;
            }
        }
        let Some(gradient) = self.gradient else { return Ok(()) };
        let total = recorder.buffer(gradient.total)?;
        recorder.launch(gpu::Launch {
            kernel: &TOTAL,
            constants: &[],
            bindings: &[losses, total],
            params: TotalParams { len: gpu::count(rows)?, weight },
            grid: [1, 1],
            work: 4.0 * rows as f64,
        })
    }
}

/// The loss of one row of logits; with a weight, the logits become their gradient, else they are lost.
#[inline(always)]
fn row_loss(z: &mut [f32], target: usize, weight: Option<f32>, cap: Option<f32>) -> f32 {
    cap_all(z, cap);
    let (most, own) = (largest(z), z[target]);
    let sum = if cap.is_none() { exp_and_sum(z, most) } else { Normaliser::of(z, 1.0).sum };
    if let Some(weight) = weight {
        let factor = weight / sum;
        match cap {
            None => {
                z.iter_mut().for_each(|z| *z *= factor);
                z[target] -= weight;
            }
            // The cap's derivative goes by the logits, which no exponential may take the place of before.
            Some(cap) => {
                z.iter_mut().for_each(|z| *z = factor * exp(*z - most) * soft_cap_slope(*z, cap));
                z[target] -= weight * soft_cap_slope(own, cap);
            }
        }
    }
    sum.ln() + most - own
}
