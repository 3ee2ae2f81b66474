//! Products over threads. A frozen matrix is dequantized block by block into each thread's scratch, in the layout that
//! the inner kernel reads, and never lies in memory whole.
//!
//! Depth is cut into blocks of a fixed length, whose sums are added in order: how rows and columns are shared out
//! follows the number of threads without changing a bit. Tasks are split to the last one (`with_max_len(1)`), so that a
//! thread that the system holds up keeps no more than the one it is at.

use std::cell::RefCell;
use std::ops::Range;

use ndarray::parallel::prelude::*;
use ndarray::{ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::ParallelSliceMut;

use super::pack::{Columns, Scaled};
use super::tile::{Factors, Left, Output, STRIP, multiply_strips};
use crate::matrix::Matrix;

/// Scratch of one thread at most: what it shares with the others, and its own task's.
pub(crate) const SCRATCH_BYTES: usize = 2 << 20;
/// The deepest block, and what its length is a multiple of, unless an encoding's own blocks are longer.
const DEPTH: usize = 768;
const DEPTH_STEP: usize = 128;
/// Rows of x that `x·Wᵀ` lays out at a time.
const BLOCK_ROWS: usize = 256;
/// Rows of W that one task of `x·Wᵀ` dequantizes at most.
const TASK_ROWS: usize = 48;
/// Strips that one task lays out at most: more where the first factor is too large for a core's cache, and each task
/// reads it from further away.
const TASK_STRIPS: usize = 4;
const TASK_STRIPS_OF_LARGE: usize = 12;
const LARGE: usize = (2 << 20) / size_of::<f32>();

thread_local! {
    /// As many as are in use at a time.
    static SCRATCH: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
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

/// Hands `f` scratch slices of these lengths and of any contents, kept by the thread for its next task.
pub(crate) fn with_scratch<const N: usize>(lens: [usize; N], f: impl FnOnce([&mut [f32]; N])) {
    let mut scratch = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    let len = lens.iter().sum();
    if scratch.len() < len {
        scratch.resize(len, 0.0);
    }
    let mut rest = &mut scratch[..];
    f(lens.map(|len| rest.split_off_mut(..len).unwrap_or_default()));
    SCRATCH.with_borrow_mut(|kept| kept.push(scratch));
}

/// Values that a factor takes in strips.
pub(crate) fn strips_len(depth: usize, columns: usize) -> usize {
    depth * columns.next_multiple_of(STRIP)
}

/// `depth` in blocks of nearly equal length, multiples of `step`.
fn blocks(depth: usize, step: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    let step = DEPTH_STEP.next_multiple_of(step);
    let step = depth.max(1).div_ceil(depth.div_ceil(DEPTH).max(1)).next_multiple_of(step);
    (0..depth).step_by(step).map(move |start| start..depth.min(start + step))
}

/// How many of `count` rows or strips one task takes: equal shares for all threads, at most `most`.
fn share(count: usize, most: usize) -> usize {
    let threads = rayon::current_num_threads();
    let rounds = count.div_ceil(most * threads).max(1);
    count.div_ceil(rounds * threads).max(1)
}

/// The second half of a low-rank adapter: `scale · low · factorᵀ`.
pub(crate) struct LowRank<'a> {
    /// `[t, rank]`.
    pub low: ArrayView2<'a, f32>,
    /// B, `[rows, rank]`.
    pub factor: ArrayView2<'a, f32>,
    pub scale: f32,
}

/// `y = x·Wᵀ` or `y += x·Wᵀ`, the adapter's term added; x `[t, cols]`, W `[rows, cols]`, y `[t, rows]`.
///
/// Computed as `yᵀ = W·xᵀ`: laying out x costs less than laying out W.
pub(crate) fn multiply_transposed(
    x: ArrayView2<f32>,
    w: &Matrix,
    term: Option<LowRank<'_>>,
    mut y: ArrayViewMut2<f32>,
    output: Output,
) {
    for (block, mut y) in y.axis_chunks_iter_mut(Axis(0), BLOCK_ROWS).enumerate() {
        let tokens = block * BLOCK_ROWS..block * BLOCK_ROWS + y.nrows();
        let xt = Scaled { values: x.t(), scale: 1.0 };
        let low = term.as_ref().map(|term| Scaled { values: term.low.t(), scale: term.scale });
        for depth in blocks(w.cols(), w.column_step()) {
            // The term joins the last block while that one's sums are in the registers.
            let term = term.as_ref().zip(low.as_ref()).filter(|_| depth.end == w.cols());
            let output = if depth.start == 0 { output } else { Output::Add };
            with_strips(&xt, depth.clone(), tokens.clone(), |strips| match term {
                None => add_rows(w, depth, strips, None, y.view_mut(), output),
                Some((term, low)) => with_strips(low, 0..low.depth(), tokens.clone(), |low| {
                    add_rows(w, depth, strips, Some((term.factor, low)), y.view_mut(), output);
                }),
            });
        }
    }
}

/// Hands `f` the strips of some columns of `source`.
fn with_strips(source: &Scaled<'_>, depth: Range<usize>, columns: Range<usize>, f: impl FnOnce(&[[f32; STRIP]])) {
    with_scratch([strips_len(depth.len(), columns.len())], |[scratch]| {
        scratch.par_chunks_exact_mut(depth.len() * STRIP).enumerate().with_max_len(1).for_each(|(i, strip)| {
            let start = columns.start + i * STRIP;
            source.pack(depth.clone(), start..columns.end.min(start + STRIP), strip.as_chunks_mut().0);
        });
        f(scratch.as_chunks().0);
    });
}

/// The part of [`multiply_transposed`] that sums over `depth`: `x` its strips, `term` B and the strips of lowᵀ.
fn add_rows(
    w: &Matrix,
    depth: Range<usize>,
    x: &[[f32; STRIP]],
    term: Option<(ArrayView2<f32>, &[[f32; STRIP]])>,
    y: ArrayViewMut2<f32>,
    output: Output,
) {
    let step = share(w.rows(), TASK_ROWS);
    y.reversed_axes().axis_chunks_iter_mut(Axis(0), step).into_par_iter().enumerate().with_max_len(1).for_each(
        |(i, y)| {
            let rows = i * step..i * step + y.nrows();
            with_scratch([rows.len() * depth.len()], |[panel]| {
                w.dequantize(rows.clone(), depth.clone(), panel);
                let product = Factors { a: Left::Rows(panel, depth.len()), depth: depth.len(), strips: x };
                match term {
                    None => multiply_strips(&[product], y, output),
                    Some((b, low)) => {
                        let term = Factors { a: Left::of(&b, rows.start, 0), depth: b.ncols(), strips: low };
                        multiply_strips(&[product, term], y, output);
                    }
                }
            });
        },
    );
}

/// One term of a sum of products: `a·b`; a `[rows, depth]`, b `[depth, columns]`.
#[derive(Clone, Copy)]
pub(crate) struct Term<'a> {
    pub a: ArrayView2<'a, f32>,
    pub b: &'a dyn Columns,
}

/// `c = Σ a·b` or `c += Σ a·b` over the terms; the rows or the columns of c are contiguous.
pub(crate) fn multiply(terms: &[Term<'_>], mut c: ArrayViewMut2<f32>, output: Output) {
    // What is shared out: columns in whole strips, and whole blocks of frozen matrices.
    let unit = terms.iter().fold(STRIP, |unit, term| unit.next_multiple_of(term.b.step()));
    let (rows, units) = (c.nrows(), c.ncols().div_ceil(unit));
    let large = terms.iter().any(|term| term.a.len() > LARGE);
    let most = if large { TASK_STRIPS_OF_LARGE } else { TASK_STRIPS };
    let most = (most * STRIP / unit).max(1);
    // Where columns are too few for all threads, rows are shared out.
    let by_rows = units < rayon::current_num_threads();
    let row_step = if by_rows { share(rows, rows.max(1)) } else { rows.max(1) };
    let step = if by_rows { most } else { share(units, most) } * unit;
    c.axis_chunks_iter_mut(Axis(0), row_step).into_par_iter().enumerate().with_max_len(1).for_each(|(i, mut c)| {
        c.axis_chunks_iter_mut(Axis(1), step).into_par_iter().enumerate().with_max_len(1).for_each(|(j, mut c)| {
            let (row, columns) = (i * row_step, j * step..j * step + c.ncols());
            let mut output = output;
            for Term { a, b } in terms {
                for depth in blocks(b.depth(), 1) {
                    with_scratch([strips_len(depth.len(), columns.len())], |[scratch]| {
                        let strips = scratch.as_chunks_mut().0;
                        b.pack(depth.clone(), columns.clone(), strips);
                        let a = Left::of(a, row, depth.start);
                        let factors = Factors { a, depth: depth.len(), strips };
                        multiply_strips(&[factors], c.view_mut(), output);
                    });
                    output = Output::Add;
                }
            }
        });
    });
}

/// `c = scale·a·b` or `c += scale·a·b` for f32 operands, each by rows or by columns contiguous.
pub(crate) fn small_product(scale: f32, a: ArrayView2<f32>, b: ArrayView2<f32>, c: ArrayViewMut2<f32>, output: Output) {
    multiply(&[Term { a, b: &Scaled { values: b, scale } }], c, output);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_cut_at_whole_steps() {
        for (depth, step, expected) in [
            (1, 1, &[0][..]),
            (576, 32, &[0]),
            (1536, 32, &[0, 768]),
            (800, 32, &[0, 512]),
            (1792, 256, &[0, 768, 1536]),
            (1024, 256, &[0, 512]),
            (960, 96, &[0, 576]),
        ] {
            let blocks: Vec<_> = blocks(depth, step).collect();
            assert!(
                blocks.iter().map(|block| block.start).eq(expected.iter().copied()),
                "{depth} by {step}: {blocks:?}"
            );
            assert!(blocks.windows(2).all(|pair| pair[0].end == pair[1].start), "{depth} by {step}: {blocks:?}");
            assert_eq!(blocks[blocks.len() - 1].end, depth);
        }
    }

    /// Zeros, whose columns come `step` at a time.
    struct Stepped {
        columns: usize,
        step: usize,
    }

    impl Columns for Stepped {
        fn depth(&self) -> usize {
            3
        }

        fn step(&self) -> usize {
            self.step
        }

        fn pack(&self, _: Range<usize>, columns: Range<usize>, strips: &mut [[f32; STRIP]]) {
            assert!(columns.start.is_multiple_of(self.step), "{columns:?} by {}", self.step);
            assert!(columns.end.is_multiple_of(self.step) || columns.end == self.columns, "{columns:?}");
            strips.fill([0.0; STRIP]);
        }
    }

    #[test]
    fn columns_are_cut_at_whole_steps() {
        for (step, columns) in [(1, 1757), (32, 1056), (48, 1440), (256, 256), (256, 2048)] {
            for rows in [1, 40] {
                let a = vec![1.0; rows * 3];
                let mut c = vec![f32::NAN; rows * columns];
                let b = Stepped { columns, step };
                multiply(&[Term { a: matrix(&a, 3), b: &b }], matrix_mut(&mut c, columns), Output::Overwrite);
                assert!(c.iter().all(|&c| c == 0.0), "{rows} × {columns} by {step}");
            }
        }
    }
}
