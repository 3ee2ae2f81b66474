//! Softmax cross-entropy over the selected tokens, the head's product included, forward and backward fused, a chunk of
//! rows at a time: the logits of a whole row never exist.

use multiversion::multiversion;
use ndarray::s;
use rayon::prelude::*;

use crate::cpu::{Frame, Output, exp, matrix, matrix_mut, multiply, multiply_transposed};
use crate::program::{Access, BufferId, MatrixId, Operation, Touch};

/// `losses[i] = log Σ_v exp(z[i, v]) − z[i, targets[i]]`, `z = x·Wᵀ`; with a gradient,
/// `dx = weight · (softmax(z) − onehot(targets)) · W`, and the weighted sum of the losses is added to `total`.
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

    fn run(&self, frame: &mut Frame<'_>) {
        let head = &frame.weights.matrices[self.head.0];
        let (width, vocabulary, chunk) = (head.cols(), head.rows(), frame.rows(self.logits));
        let weight = frame.scalars.loss_weight;
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
            let rows = start..targets.len().min(start + chunk);
            let logits = &mut logits[..rows.len() * vocabulary];
            let part = x.slice(s![rows.clone(), ..]);
            multiply_transposed(part, head, matrix_mut(logits, vocabulary), Output::Overwrite);
            logits
                .par_chunks_exact_mut(vocabulary)
                .zip(&targets[rows.clone()])
                .zip(&mut losses[rows.clone()])
                .for_each(|((z, &target), loss)| *loss = row_loss(z, target as usize, train.then_some(weight)));
            if let Some(dx) = &mut dx {
                multiply(matrix(logits, vocabulary), head, dx.slice_mut(s![rows, ..]), Output::Overwrite);
            }
        }
        if train {
            total[0] += weight * losses.iter().sum::<f32>();
        }
    }
}

/// The loss of one row of logits; with a weight, the logits become their gradient.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn row_loss(z: &mut [f32], target: usize, weight: Option<f32>) -> f32 {
    const LANES: usize = 16;
    let mut most = [f32::NEG_INFINITY; LANES];
    for chunk in z.chunks(LANES) {
        for (m, &z) in most.iter_mut().zip(chunk) {
            *m = m.max(z);
        }
    }
    let most = most.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let own = z[target];
    let mut sums = [0.0f32; LANES];
    for chunk in z.chunks_mut(LANES) {
        for (sum, z) in sums.iter_mut().zip(chunk) {
            let e = exp(*z - most);
            *sum += e;
            if weight.is_some() {
                *z = e;
            }
        }
    }
    let sum: f32 = sums.iter().sum();
    if let Some(weight) = weight {
        let factor = weight / sum;
        z.iter_mut().for_each(|z| *z *= factor);
        z[target] -= weight;
    }
    sum.ln() + most - own
}
