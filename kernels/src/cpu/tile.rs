//! The inner kernel of every product with many rows: a tile of sums that stays in vector registers, written over
//! `pulp`'s vectors and so compiled for each instruction set.
//!
//! Every sum runs along the depth in one chain of multiply-adds (fused where the machine can), whatever the tile's height
//! and place: an element's bits depend neither on the rows and columns beside it nor on the number of threads.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2, s};
use pulp::{Arch, Simd, WithSimd};

/// Columns of a strip: as many as the widest tile has.
pub(crate) const STRIP: usize = 32;
/// Rows of the highest tile.
const MOST_ROWS: usize = 14;

/// What happens to a product's old contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// They are replaced.
    Overwrite,
    /// The product is added.
    Add,
}

/// Two factors `a·b` of equal depth.
#[derive(Clone, Copy)]
pub(crate) struct Factors<'a> {
    pub a: Left<'a>,
    /// Columns of a, rows of b.
    pub depth: usize,
    /// b: `depth` rows of its first [`STRIP`] columns, then those of the next ones. Beyond b's columns: zeros.
    pub strips: &'a [[f32; STRIP]],
}

/// The first factor, as it lies.
#[derive(Clone, Copy)]
pub(crate) enum Left<'a> {
    /// Row i starts at `i · stride`.
    Rows(&'a [f32], usize),
    /// Column k starts at `k · stride`.
    Columns(&'a [f32], usize),
}

impl<'a> Left<'a> {
    /// A matrix without gaps, or the transpose of one, from an element on.
    ///
    /// # Panics
    /// When there are gaps.
    pub(super) fn of(matrix: &ArrayView2<'a, f32>, row: usize, column: usize) -> Self {
        if let Some(values) = matrix.to_slice() {
            return Self::Rows(&values[row * matrix.ncols() + column..], matrix.ncols());
        }
        match matrix.reversed_axes().to_slice() {
            Some(values) => Self::Columns(&values[column * matrix.nrows() + row..], matrix.nrows()),
            None => panic!("a matrix with gaps"),
        }
    }
}

/// `c = Σ a·b` or `c += Σ a·b` over the pairs of factors; c `[rows, columns]`, its rows or its columns contiguous.
pub(crate) fn multiply_strips(factors: &[Factors<'_>], c: ArrayViewMut2<f32>, output: Output) {
    Arch::new().dispatch(Product { factors, c, output });
}

struct Product<'a> {
    factors: &'a [Factors<'a>],
    c: ArrayViewMut2<'a, f32>,
    output: Output,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if const { S::F32_LANES == STRIP / 2 } && self.c.ncols() <= STRIP / 2 {
            self.multiply::<S, 1>(simd);
        } else if const { S::F32_LANES == 4 && S::REGISTER_COUNT == 32 } {
            self.multiply::<S, 4>(simd);
        } else {
            self.multiply::<S, 2>(simd);
        }
    }
}

/// Rows of the highest tile whose sums, with a row of b, fill the registers.
const fn most_rows<S: Simd>() -> usize {
    if S::F32_LANES == STRIP / 2 { MOST_ROWS } else { 6 }
}

impl Product<'_> {
    /// Tiles of `VECTORS` vectors, and of nearly equal heights.
    #[inline(always)]
    fn multiply<S: Simd, const VECTORS: usize>(self, simd: S) {
        let Self { factors, mut c, output } = self;
        let (rows, columns) = c.dim();
        let tiles = rows.div_ceil(most_rows::<S>());
        let mut sums = [[0.0; STRIP]; MOST_ROWS];
        let mut row = 0;
        for tile in 0..tiles {
            let end = (tile + 1) * rows / tiles;
            for (strip, column) in (0..columns).step_by(STRIP).enumerate() {
                let column_end = columns.min(column + STRIP);
                let vectors = (column_end - column).div_ceil(S::F32_LANES);
                for first in (0..vectors).step_by(VECTORS) {
                    sum_tile::<S, VECTORS>(simd, factors, row..end, (strip, first), &mut sums);
                }
                store(&sums[..end - row], c.slice_mut(s![row..end, column..column_end]), output);
            }
            row = end;
        }
    }
}

/// The tile of a strip that begins at its vector `first`.
#[inline(always)]
fn sum_tile<S: Simd, const VECTORS: usize>(
    simd: S,
    factors: &[Factors<'_>],
    rows: Range<usize>,
    place: (usize, usize),
    sums: &mut [[f32; STRIP]; MOST_ROWS],
) {
    macro_rules! of_height {
        ($($height:literal)*) => {
            match rows.len() {
                $($height => sum_tile_of::<S, $height, VECTORS>(simd, factors, rows.start, place, sums),)*
                height => unreachable!("a tile of {height} rows"),
            }
        };
    }
    of_height!(1 2 3 4 5 6 7 8 9 10 11 12 13 14)
}

/// `sums[i][j] = Σ_factors Σ_k a[row + i, k] · b[k, j]`.
#[inline(always)]
fn sum_tile_of<S: Simd, const HEIGHT: usize, const VECTORS: usize>(
    simd: S,
    factors: &[Factors<'_>],
    row: usize,
    (strip, first): (usize, usize),
    sums: &mut [[f32; STRIP]; MOST_ROWS],
) {
    if const { HEIGHT > most_rows::<S>() } {
        unreachable!("a tile higher than the registers hold");
    }
    let mut totals = [[simd.splat_f32s(0.0); VECTORS]; HEIGHT];
    for &Factors { a, depth, strips } in factors {
        let b = &strips[strip * depth..][..depth];
        totals = match a {
            Left::Rows(values, stride) => {
                let rows: [&[f32]; HEIGHT] = std::array::from_fn(|i| &values[(row + i) * stride..][..depth]);
                add_products(simd, |i, k| rows[i][k], b, first, totals)
            }
            Left::Columns(values, stride) => {
                let column = |k: usize| -> &[f32; HEIGHT] {
                    let Some(column) = values[k * stride + row..].first_chunk() else { panic!("a short column") };
                    column
                };
                add_products(simd, |i, k| column(k)[i], b, first, totals)
            }
        };
    }
    for (sums, totals) in sums.iter_mut().zip(&totals) {
        S::as_mut_simd_f32s(sums).0[first..first + VECTORS].copy_from_slice(totals);
    }
}

/// `totals[i][j] + Σ_k a(i, k) · b[k][j]`, over the strip's vectors from `first` on.
///
/// By value and by a closure for each element, so that the compiler keeps the sums in registers and broadcasts from
/// memory: with an array of a's elements it does neither.
#[inline(always)]
fn add_products<S: Simd, const HEIGHT: usize, const VECTORS: usize>(
    simd: S,
    a: impl Fn(usize, usize) -> f32,
    b: &[[f32; STRIP]],
    first: usize,
    mut totals: [[S::f32s; VECTORS]; HEIGHT],
) -> [[S::f32s; VECTORS]; HEIGHT] {
    for (k, b) in b.iter().enumerate() {
        let b = &S::as_simd_f32s(b).0[first..first + VECTORS];
        for (i, totals) in totals.iter_mut().enumerate() {
            let a = simd.splat_f32s(a(i, k));
            for (total, &b) in totals.iter_mut().zip(b) {
                *total = simd.mul_add_e_f32s(a, b, *total);
            }
        }
    }
    totals
}

/// Whether a view's rows lie without gaps; else its columns do. (A single column may have any stride.)
pub(super) fn by_rows(view: &ArrayView2<f32>) -> bool {
    view.ncols() <= 1 || view.strides()[1] == 1
}

/// The tile to its place in c.
#[inline(always)]
fn store(sums: &[[f32; STRIP]], mut c: ArrayViewMut2<f32>, output: Output) {
    let put = |c: &mut f32, sum: f32| match output {
        Output::Overwrite => *c = sum,
        Output::Add => *c += sum,
    };
    if by_rows(&c.view()) {
        for (row, sums) in c.rows_mut().into_iter().zip(sums) {
            let Some(row) = row.into_slice() else { panic!("a row with gaps") };
            row.iter_mut().zip(sums).for_each(|(c, &sum)| put(c, sum));
        }
    } else {
        for (j, column) in c.columns_mut().into_iter().enumerate() {
            let Some(column) = column.into_slice() else { panic!("a column with gaps") };
            column.iter_mut().zip(sums).for_each(|(c, sums)| put(c, sums[j]));
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    /// Small whole numbers: every sum of their products is exact, in whatever order.
    fn numbers(rows: usize, columns: usize, seed: usize) -> Array2<f32> {
        Array2::from_shape_fn((rows, columns), |(i, j)| ((i * 7 + j * 5 + seed) % 11) as f32 - 5.0)
    }

    fn strips_of(b: &Array2<f32>) -> Vec<[f32; STRIP]> {
        let strip = |s: usize| {
            b.rows().into_iter().map(move |row| std::array::from_fn(|j| row.get(s * STRIP + j).copied().unwrap_or(0.0)))
        };
        (0..b.ncols().div_ceil(STRIP)).flat_map(strip).collect()
    }

    /// One product at every shape, by `run`.
    fn is_right(name: &str, run: impl Fn(Product<'_>)) {
        for (rows, columns) in
            [1, 5, 6, 7, 13, 14, 15, 29].into_iter().flat_map(|m| [1, 8, 16, 17, 33, 65].map(|n| (m, n)))
        {
            for (depth, second) in [(1, 8), (31, 1), (65, 3)] {
                let (a, b) = (numbers(rows, depth, 1), numbers(depth, columns, 2));
                let (low, factor) = (numbers(second, rows, 3), numbers(second, columns, 4));
                let (strips, factor_strips) = (strips_of(&b), strips_of(&factor));
                let factors = [
                    Factors { a: Left::of(&a.view(), 0, 0), depth, strips: &strips },
                    Factors { a: Left::of(&low.t(), 0, 0), depth: second, strips: &factor_strips },
                ];
                let expected = a.dot(&b) + low.t().dot(&factor);
                let mut c = Array2::from_elem((rows, columns), f32::NAN);
                run(Product { factors: &factors, c: c.view_mut(), output: Output::Overwrite });
                assert_eq!(c, expected, "{name}: {rows} × {depth} × {columns}");
                let mut transposed = numbers(columns, rows, 5);
                let sum = &expected + &transposed.t();
                run(Product { factors: &factors, c: transposed.view_mut().reversed_axes(), output: Output::Add });
                assert_eq!(transposed.t(), sum, "{name}: {rows} × {depth} × {columns}, transposed and added");
            }
        }
    }

    #[test]
    fn tiles_of_every_vector_width_make_the_same_product() {
        is_right("this machine's", |product| Arch::new().dispatch(product));
        is_right("1 lane", |product| pulp::Scalar::new().vectorize(product));
        is_right("4 lanes", |product| pulp::Scalar128b.vectorize(product));
        is_right("4 lanes, 32 registers", |product| product.multiply::<_, 4>(pulp::Scalar128b));
        is_right("8 lanes", |product| pulp::Scalar256b.vectorize(product));
        is_right("16 lanes", |product| pulp::Scalar512b.vectorize(product));
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = pulp::x86::V3::try_new() {
            is_right("AVX2", |product| Simd::vectorize(avx2, product));
        }
    }
}
