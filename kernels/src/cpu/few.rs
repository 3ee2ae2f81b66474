//! The product of a frozen matrix with a handful of rows. In strips (`product.rs`) most lanes of each vector would stay
//! empty; here a few stored rows at a time are dequantized, into the nearest cache, and multiplied with each row of x.
//!
//! A sum runs in lanes that are joined in a fixed order (`mat_vec.rs`): a row's bits depend on no other row and on no
//! thread.

use ndarray::parallel::prelude::*;
use ndarray::{ArrayViewMut2, Axis};
use pulp::{Arch, Simd, WithSimd};

use super::mat_vec::{StridedRows, StridedRowsMut, rows_times};
use super::product::with_scratch;
use super::tile::Output;
use crate::matrix::Matrix;

/// Rows of W that a task takes.
const TASK_ROWS: usize = 48;
/// Rows of W that are dequantized at a time.
const BLOCK_ROWS: usize = 8;
/// Rows of x whose sums stay in registers together, on machines with sixteen registers of eight lanes too.
const TOGETHER: usize = 4;

/// `y = x·Wᵀ` or `y += x·Wᵀ`; x `[t, cols]`, W `[rows, cols]`, y `[t, rows]`.
pub(crate) fn multiply_few(x: &[f32], w: &Matrix, mut y: ArrayViewMut2<f32>, output: Output) {
    let (cols, count) = (w.cols(), y.nrows());
    y.axis_chunks_iter_mut(Axis(1), TASK_ROWS).into_par_iter().enumerate().with_max_len(1).for_each(|(i, mut y)| {
        with_scratch([BLOCK_ROWS * cols, BLOCK_ROWS * count], |[stored, sums]| {
            let blocks = y.axis_chunks_iter_mut(Axis(1), BLOCK_ROWS).zip((i * TASK_ROWS..).step_by(BLOCK_ROWS));
            for (mut y, first) in blocks {
                let rows = y.ncols();
                let stored = &mut stored[..rows * cols];
                w.dequantize(first..first + rows, 0..cols, stored);
                Arch::new().dispatch(Block { stored, x, cols, sums });
                for (mut y, sums) in y.rows_mut().into_iter().zip(sums.chunks_exact(BLOCK_ROWS)) {
                    y.iter_mut().zip(sums).for_each(|(y, sum)| match output {
                        Output::Overwrite => *y = *sum,
                        Output::Add => *y += sum,
                    });
                }
            }
        });
    });
}

/// `sums[t][i] = Σ_k stored[i][k]·x[t][k]`; a row of `sums` has room for [`BLOCK_ROWS`].
struct Block<'a> {
    stored: &'a [f32],
    x: &'a [f32],
    cols: usize,
    sums: &'a mut [f32],
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { stored, x, cols, sums } = self;
        let rows = stored.len() / cols;
        let stored = StridedRows::new(stored, cols, cols);
        for (x, sums) in x.chunks(TOGETHER * cols).zip(sums.chunks_mut(TOGETHER * BLOCK_ROWS)) {
            let out = StridedRowsMut::new(sums, BLOCK_ROWS, rows);
            let (count, x) = (x.len() / cols, StridedRows::new(x, cols, cols));
            match count {
                1 => rows_times::<S, 1>(simd, stored, x, out),
                2 => rows_times::<S, 2>(simd, stored, x, out),
                3 => rows_times::<S, 3>(simd, stored, x, out),
                _ => rows_times::<S, TOGETHER>(simd, stored, x, out),
            }
        }
    }
}
