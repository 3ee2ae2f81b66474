//! The product of a frozen matrix with a handful of rows. In strips (`product.rs`) most lanes of each vector would stay
//! empty; here every stored row is dequantized once, into the nearest cache, and multiplied with each row of x.
//!
//! A sum runs in lanes that are joined in a fixed order: a row's bits depend on no other row and on no thread.

use multiversion::multiversion;
use ndarray::parallel::prelude::*;
use ndarray::{ArrayViewMut2, Axis};

use super::lanes::{LANES, join};
use super::product::with_scratch;
use super::tile::Output;
use crate::matrix::Matrix;

/// Rows of W that a task takes.
const TASK_ROWS: usize = 48;
/// Rows of x whose sums stay in registers together, on machines with sixteen registers of eight lanes too.
const TOGETHER: usize = 4;

/// `y = x·Wᵀ` or `y += x·Wᵀ`; x `[t, cols]`, W `[rows, cols]`, y `[t, rows]`.
pub(crate) fn multiply_few(x: &[f32], w: &Matrix, mut y: ArrayViewMut2<f32>, output: Output) {
    let cols = w.cols();
    y.axis_chunks_iter_mut(Axis(1), TASK_ROWS).into_par_iter().enumerate().with_max_len(1).for_each(|(i, mut y)| {
        with_scratch([cols], |[stored]| {
            for (row, mut y) in (i * TASK_ROWS..).zip(y.columns_mut()) {
                w.dequantize(row..row + 1, 0..cols, stored);
                for (x, mut y) in x.chunks(TOGETHER * cols).zip(y.axis_chunks_iter_mut(Axis(0), TOGETHER)) {
                    let mut sums = [0.0; TOGETHER];
                    dots(stored, x, &mut sums[..y.len()]);
                    y.iter_mut().zip(sums).for_each(|(y, sum)| match output {
                        Output::Overwrite => *y = sum,
                        Output::Add => *y += sum,
                    });
                }
            }
        });
    });
}

/// `out[i] = Σ_k w[k]·x[i, k]` for up to [`TOGETHER`] rows of x.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn dots(w: &[f32], x: &[f32], out: &mut [f32]) {
    match out.len() {
        1 => dots_of::<1>(w, x, out),
        2 => dots_of::<2>(w, x, out),
        3 => dots_of::<3>(w, x, out),
        _ => dots_of::<TOGETHER>(w, x, out),
    }
}

#[inline(always)]
fn dots_of<const COUNT: usize>(w: &[f32], x: &[f32], out: &mut [f32]) {
    let mut rows = x.chunks_exact(w.len());
    let rows: [&[f32]; COUNT] = std::array::from_fn(|_| rows.next().unwrap_or_default());
    let mut sums = [[0.0f32; LANES]; COUNT];
    let whole = w.len() / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        let w = &w[start..start + LANES];
        for (sums, row) in sums.iter_mut().zip(rows) {
            let row = &row[start..start + LANES];
            for j in 0..LANES {
                sums[j] = w[j].mul_add(row[j], sums[j]);
            }
        }
    }
    for ((out, sums), row) in out.iter_mut().zip(&mut sums).zip(rows) {
        for (j, (w, x)) in w[whole..].iter().zip(&row[whole..]).enumerate() {
            sums[j] = w.mul_add(*x, sums[j]);
        }
        *out = join(sums);
    }
}
