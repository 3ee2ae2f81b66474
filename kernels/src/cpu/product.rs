//! Products with frozen matrices: dequantized panel by panel into each thread's scratch, then a real GEMM
//! (`matrixmultiply`, by way of ndarray).
//!
//! That GEMM sums along k in blocks of a fixed size, whatever the number of rows or columns, so a panel's width may
//! follow the number of threads without changing a bit.

use std::cell::Cell;

use ndarray::linalg::general_mat_mul;
use ndarray::parallel::prelude::*;
use ndarray::{ArrayView2, ArrayViewMut2, Axis, s};

use crate::matrix::Matrix;

/// Scratch of one thread: a panel of a matrix as f32.
pub(crate) const PANEL_BYTES: usize = 2 << 20;
const PANEL_LEN: usize = PANEL_BYTES / 4;
/// Columns of a product that one task works on at most.
const TASK_WIDTH: usize = 384;
/// Rows of W that `dy·W` sums over before the next panel; a multiple of the GEMM's own block.
const SUM_ROWS: usize = 1024;

thread_local! {
    static PANEL: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// What happens to a product's old contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// They are replaced.
    Overwrite,
    /// The product is added.
    Add,
}

impl Output {
    fn beta(self) -> f32 {
        match self {
            Self::Overwrite => 0.0,
            Self::Add => 1.0,
        }
    }
}

/// `values` as rows of `width`.
///
/// # Panics
/// When `width` does not divide the length.
pub(crate) fn matrix(values: &[f32], width: usize) -> ArrayView2<'_, f32> {
    match ArrayView2::from_shape((values.len() / width.max(1), width), values) {
        Ok(view) => view,
        Err(_) => panic!("{} values in rows of {width}", values.len()),
    }
}

/// `values` as rows of `width`, to write.
///
/// # Panics
/// When `width` does not divide the length.
pub(crate) fn matrix_mut(values: &mut [f32], width: usize) -> ArrayViewMut2<'_, f32> {
    let len = values.len();
    match ArrayViewMut2::from_shape((len / width.max(1), width), values) {
        Ok(view) => view,
        Err(_) => panic!("{len} values in rows of {width}"),
    }
}

/// Hands `f` a scratch slice of `len` values of any contents, kept by the thread for its next task.
pub(crate) fn with_scratch(len: usize, f: impl FnOnce(&mut [f32])) {
    PANEL.with(|cell| {
        let mut panel = cell.take();
        if panel.len() < len {
            panel.resize(len, 0.0);
        }
        f(&mut panel[..len]);
        cell.set(panel);
    });
}

/// Columns a task: equal shares for all threads, in multiples of `step`, at most [`TASK_WIDTH`] and what fits a panel.
fn task_width(columns: usize, depth: usize, step: usize) -> usize {
    let threads = rayon::current_num_threads();
    let most = (TASK_WIDTH.min(PANEL_LEN / depth.max(1)) / step).max(1) * step;
    let rounds = columns.div_ceil(most * threads).max(1);
    columns.div_ceil(rounds * threads).next_multiple_of(step.max(16)).min(most)
}

/// `y = x·Wᵀ` or `y += x·Wᵀ`; x `[t, cols]`, W `[rows, cols]`, y `[t, rows]`.
pub(crate) fn multiply_transposed(x: ArrayView2<f32>, w: &Matrix, mut y: ArrayViewMut2<f32>, output: Output) {
    let width = task_width(w.rows(), w.cols(), 1);
    y.axis_chunks_iter_mut(Axis(1), width).into_par_iter().enumerate().for_each(|(i, mut y)| {
        let rows = i * width..i * width + y.ncols();
        with_scratch(rows.len() * w.cols(), |panel| {
            w.dequantize(rows.clone(), 0..w.cols(), panel);
            general_mat_mul(1.0, &x, &matrix(panel, w.cols()).t(), output.beta(), &mut y);
        });
    });
}

/// `dx = dy·W` or `dx += dy·W`; dy `[t, rows]`, W `[rows, cols]`, dx `[t, cols]`.
pub(crate) fn multiply(dy: ArrayView2<f32>, w: &Matrix, mut dx: ArrayViewMut2<f32>, output: Output) {
    let depth = w.rows().min(SUM_ROWS);
    let width = task_width(w.cols(), depth, w.column_step());
    dx.axis_chunks_iter_mut(Axis(1), width).into_par_iter().enumerate().for_each(|(i, mut dx)| {
        let cols = i * width..i * width + dx.ncols();
        for start in (0..w.rows()).step_by(SUM_ROWS) {
            let rows = start..w.rows().min(start + SUM_ROWS);
            with_scratch(rows.len() * cols.len(), |panel| {
                w.dequantize(rows.clone(), cols.clone(), panel);
                let beta = if start == 0 { output.beta() } else { 1.0 };
                general_mat_mul(1.0, &dy.slice(s![.., rows.clone()]), &matrix(panel, cols.len()), beta, &mut dx);
            });
        }
    });
}

/// `c = α·a·b` or `c += α·a·b` for small f32 operands; tasks take whole rows of c.
///
/// α is multiplied into b first: the GEMM rounds its own α otherwise in the tiles at the edge than in the others, so
/// that a row's bits would depend on how many rows follow.
pub(crate) fn small_product(
    alpha: f32,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    mut c: ArrayViewMut2<f32>,
    output: Output,
) {
    const TASK_ROWS: usize = 64;
    let b = &b * alpha;
    c.axis_chunks_iter_mut(Axis(0), TASK_ROWS)
        .into_par_iter()
        .zip(a.axis_chunks_iter(Axis(0), TASK_ROWS))
        .for_each(|(mut c, a)| general_mat_mul(1.0, &a, &b, output.beta(), &mut c));
}
