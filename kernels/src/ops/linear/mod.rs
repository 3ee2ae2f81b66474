//! The product with a frozen matrix, with bias, low-rank term and residual in one operation, and its gradient with
//! respect to the input. Both read the same packed matrix; nothing is transposed.

#[cfg(feature = "gpu")]
pub(super) mod launch;
#[cfg(feature = "gpu")]
pub(super) mod shaders;

use rayon::prelude::*;

use crate::cpu::{
    Frame, LowRank, Output, Scaled, Term, matrix, matrix_mut, multiply, multiply_few, multiply_transposed,
    small_product, times_vector,
};
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::program::{Access, BufferId, MatrixId, Operation, Shapes, Touch, VectorId};

/// The second half of a low-rank adapter: `scale · low · Bᵀ`, or `low · A` on the way back.
#[derive(Debug, Clone, Copy)]
pub struct LoraTerm {
    /// `[t, rank]`: `x·Aᵀ` forward, `scale·dy·B` backward.
    pub low: BufferId,
    /// All adapter parameters, flat.
    pub params: BufferId,
    /// Where the factor starts: B `[rows, rank]` forward, A `[rank, cols]` backward.
    pub offset: usize,
    /// Factor on the term (already in `low` on the way back: 1).
    pub scale: f32,
}

impl LoraTerm {
    /// Refuses a term that does not fit rows like those of `x`, and a factor of `width` times the rank.
    fn check(&self, shapes: &Shapes<'_>, x: BufferId, width: usize) -> Result<()> {
        shapes.expect_same_rows(&[x, self.low])?;
        shapes.expect_range(self.params, self.offset, shapes.width(self.low).saturating_mul(width))
    }
}

/// `out = residual + x·Wᵀ + bias + scale·low·Bᵀ`.
#[derive(Debug)]
pub struct Linear {
    /// `[t, cols]`.
    pub x: BufferId,
    /// W `[rows, cols]`.
    pub weight: MatrixId,
    /// `[rows]`.
    pub bias: Option<VectorId>,
    /// The adapter's term.
    pub lora: Option<LoraTerm>,
    /// `[t, rows]`; another buffer than `out`.
    pub residual: Option<BufferId>,
    /// `[t, rows]`.
    pub out: BufferId,
}

impl Operation for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn touches(&self) -> Vec<Touch> {
        let mut touches = vec![(self.x, Access::Read), (self.out, Access::Write)];
        touches.extend(self.residual.map(|r| (r, Access::Read)));
        touches.extend(self.lora.iter().flat_map(|l| [(l.low, Access::Read), (l.params, Access::Read)]));
        touches
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        let (rows, cols) = shapes.matrix(self.weight)?;
        shapes.expect_same_rows(&[self.x, self.out])?;
        shapes.expect_width(cols, &[self.x])?;
        shapes.expect_width(rows, &[self.out])?;
        if let Some(bias) = self.bias {
            shapes.expect_vector("a bias", bias, rows)?;
        }
        if let Some(residual) = self.residual {
            shapes.expect_same_rows(&[self.x, residual])?;
            shapes.expect_width(rows, &[residual])?;
        }
        self.lora.map_or(Ok(()), |lora| lora.check(shapes, self.x, rows))
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let weights = frame.weights;
        let weight = &weights.matrices[self.weight.0];
        let rank = self.lora.map_or(0, |l| frame.width(l.low));
        let few_rows = frame.few_rows();
        let [x, out, residual, low, params] = frame.slices([
            Some(self.x),
            Some(self.out),
            self.residual,
            self.lora.map(|l| l.low),
            self.lora.map(|l| l.params),
        ]);
        if out.is_empty() {
            return; // no row is selected: the matrix need not be read
        }
        let (rows, cols) = (weight.rows(), weight.cols());
        let mode = match (self.residual, self.bias) {
            (None, None) => Output::Overwrite,
            (residual_id, bias) => {
                if residual_id.is_some() {
                    out.copy_from_slice(residual);
                } else {
                    out.fill(0.0);
                }
                if let Some(bias) = bias {
                    let bias = &weights.vectors[bias.0];
                    out.chunks_exact_mut(rows).for_each(|y| y.iter_mut().zip(bias).for_each(|(y, b)| *y += b));
                }
                Output::Add
            }
        };
        let (low, params) = (&*low, &*params);
        if x.len() == cols {
            let term = self.lora.map(|lora| (lora.scale, low, &params[lora.offset..lora.offset + rows * rank]));
            return multiply_vector(weight, x, term, out, mode);
        }
        let term = self.lora.map(|lora| LowRank {
            low: matrix(low, rank),
            factor: matrix(&params[lora.offset..lora.offset + rows * rank], rank),
            scale: lora.scale,
        });
        if !few_rows {
            return multiply_transposed(matrix(x, cols), weight, term, matrix_mut(out, rows), mode);
        }
        multiply_few(x, weight, matrix_mut(out, rows), mode);
        if let Some(LowRank { low, factor, scale }) = term {
            small_product(scale, low, factor.t(), matrix_mut(out, rows), Output::Add);
        }
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        launch::Forward {
            x: self.x,
            rows: (0, recorder.rows(self.x)),
            weight: self.weight,
            bias: self.bias,
            lora: self.lora,
            residual: self.residual,
            out: self.out,
            out_row: 0,
        }
        .launch(recorder)
    }
}

/// One row: the matrix is read once, block by block, and never dequantized to memory. `term`: the factor on the
/// adapter's term, low and B.
fn multiply_vector(
    weight: &crate::matrix::Matrix,
    x: &[f32],
    term: Option<(f32, &[f32], &[f32])>,
    out: &mut [f32],
    mode: Output,
) {
    const TASK_ROWS: usize = 48;
    let sums = weight.column_sums(x);
    out.par_chunks_mut(TASK_ROWS).enumerate().for_each(|(i, out)| {
        let rows = i * TASK_ROWS..i * TASK_ROWS + out.len();
        let mut product = [0.0; TASK_ROWS];
        let product = &mut product[..out.len()];
        match mode {
            Output::Overwrite => weight.dot_rows(rows.clone(), x, &sums, out),
            Output::Add => {
                weight.dot_rows(rows.clone(), x, &sums, product);
                out.iter_mut().zip(&*product).for_each(|(o, p)| *o += *p);
            }
        }
        if let Some((scale, low, b)) = term {
            times_vector(&b[rows.start * low.len()..rows.end * low.len()], low, product);
            out.iter_mut().zip(product).for_each(|(o, p)| *o += scale * *p);
        }
    });
}

/// `dx = dy·W + low·A` or `dx += …`.
#[derive(Debug)]
pub struct LinearBackward {
    /// Gradient of the output, `[t, rows]`.
    pub dy: BufferId,
    /// W `[rows, cols]`.
    pub weight: MatrixId,
    /// The adapter's term.
    pub lora: Option<LoraTerm>,
    /// Gradient of the input, `[t, cols]`.
    pub dx: BufferId,
    /// Add to `dx`.
    pub add: bool,
}

impl Operation for LinearBackward {
    fn name(&self) -> &'static str {
        "linear_backward"
    }

    fn touches(&self) -> Vec<Touch> {
        let access = if self.add { Access::Update } else { Access::Write };
        let mut touches = vec![(self.dy, Access::Read), (self.dx, access)];
        touches.extend(self.lora.iter().flat_map(|l| [(l.low, Access::Read), (l.params, Access::Read)]));
        touches
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        let (rows, cols) = shapes.matrix(self.weight)?;
        shapes.expect_same_rows(&[self.dy, self.dx])?;
        shapes.expect_width(rows, &[self.dy])?;
        shapes.expect_width(cols, &[self.dx])?;
        self.lora.map_or(Ok(()), |lora| lora.check(shapes, self.dy, cols))
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let weight = &frame.weights.matrices[self.weight.0];
        let rank = self.lora.map_or(0, |l| frame.width(l.low));
        let ids = [Some(self.dy), Some(self.dx), self.lora.map(|l| l.low), self.lora.map(|l| l.params)];
        let [dy, dx, low, params] = frame.slices(ids);
        let (rows, cols) = (weight.rows(), weight.cols());
        let mode = if self.add { Output::Add } else { Output::Overwrite };
        let product = Term { a: matrix(dy, rows), b: weight };
        let dx = matrix_mut(dx, cols);
        match self.lora {
            None => multiply(&[product], dx, mode),
            Some(lora) => {
                let a = matrix(&params[lora.offset..lora.offset + rank * cols], cols);
                let term = Term { a: matrix(low, rank), b: &Scaled { values: a, scale: lora.scale } };
                multiply(&[product, term], dx, mode);
            }
        }
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        launch::Backward {
            dy: self.dy,
            rows: (0, recorder.rows(self.dy)),
            weight: self.weight,
            lora: self.lora,
            dx: self.dx,
            out_row: 0,
            add: self.add,
        }
        .launch(recorder)
    }
}
