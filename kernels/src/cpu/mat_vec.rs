//! Products of a float matrix with a few vectors: it is read once, where it lies, so that they take as long as reading it.
//!
//! Every sum's order is fixed: along a row it runs in sixteen lanes that are joined by halves, over rows in one chain.
//! Neither the vectors beside it nor the machine's vector width change it.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::LANES;

/// Values that are worth a task.
const TASK: usize = 1 << 14;
/// Rows between the one that is read and the one that is fetched.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 8;
/// Values of a line of the caches.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 16;

/// Rows of a matrix, or some columns of them.
#[derive(Clone, Copy)]
pub(crate) struct StridedRows<'a> {
    values: &'a [f32],
    stride: usize,
    width: usize,
}

impl<'a> StridedRows<'a> {
    /// Rows of `width` values, `stride` apart; `values` begins with the first.
    pub fn new(values: &'a [f32], stride: usize, width: usize) -> Self {
        Self { values, stride, width }
    }

    /// Values of a row.
    pub fn width(self) -> usize {
        self.width
    }

    #[inline(always)]
    fn row(self, row: usize) -> &'a [f32] {
        &self.values[row * self.stride..][..self.width]
    }

    /// Has some columns of a row fetched that lies [`AHEAD`] of `row`, if there are gaps between rows: machines foresee
    /// what is read without.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn fetch_ahead(self, row: usize, columns: Range<usize>) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let start = (row + AHEAD) * self.stride;
        let Some(values) = self.values.get(start + columns.start..start + columns.end) else { return };
        if self.stride > self.width {
            for line in values.chunks(LINE) {
                // SAFETY: every x86-64 machine has the instruction, and the address is that of a value.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    #[inline(always)]
    fn fetch_ahead(self, _: usize, _: Range<usize>) {}
}

/// The same, to write.
pub(crate) struct StridedRowsMut<'a> {
    values: &'a mut [f32],
    stride: usize,
    width: usize,
}

impl<'a> StridedRowsMut<'a> {
    /// As [`StridedRows::new`].
    pub fn new(values: &'a mut [f32], stride: usize, width: usize) -> Self {
        Self { values, stride, width }
    }

    #[inline(always)]
    fn row(&mut self, row: usize) -> &mut [f32] {
        &mut self.values[row * self.stride..][..self.width]
    }
}

/// `out[n][i] = Σ_k rows[i][k] · x[n][k]`: N vectors, as many rows as a row of `out` has values.
#[inline(always)]
pub(crate) fn rows_times<S: Simd, const N: usize>(
    simd: S,
    rows: StridedRows<'_>,
    x: StridedRows<'_>,
    out: StridedRowsMut<'_>,
) {
    match const { LANES / S::F32_LANES } {
        1 => rows_by_lanes::<S, N, 1>(simd, rows, x, out),
        2 => rows_by_lanes::<S, N, 2>(simd, rows, x, out),
        4 => rows_by_lanes::<S, N, 4>(simd, rows, x, out),
        _ => rows_by_lanes::<S, N, LANES>(simd, rows, x, out),
    }
}

/// `VECTORS` of them make the lanes; as many rows at a time as have their sums in registers.
#[inline(always)]
fn rows_by_lanes<S: Simd, const N: usize, const VECTORS: usize>(
    simd: S,
    rows: StridedRows<'_>,
    x: StridedRows<'_>,
    mut out: StridedRowsMut<'_>,
) {
    let x: [&[f32]; N] = std::array::from_fn(|n| x.row(n));
    let mut done = 0;
    if const { N * VECTORS == 1 } {
        done = rows_in_groups::<S, N, VECTORS, 4>(simd, rows, x, &mut out, done);
    }
    if const { N * VECTORS <= 4 } {
        done = rows_in_groups::<S, N, VECTORS, 2>(simd, rows, x, &mut out, done);
    }
    rows_in_groups::<S, N, VECTORS, 1>(simd, rows, x, &mut out, done);
}

/// The rows from `first` on, as far as there are whole groups; returns where those end.
#[inline(always)]
fn rows_in_groups<S: Simd, const N: usize, const VECTORS: usize, const ROWS: usize>(
    simd: S,
    rows: StridedRows<'_>,
    x: [&[f32]; N],
    out: &mut StridedRowsMut<'_>,
    mut first: usize,
) -> usize {
    while first + ROWS <= out.width {
        (first..first + ROWS).for_each(|row| rows.fetch_ahead(row, 0..rows.width));
        let dots = dots::<S, N, VECTORS, ROWS>(simd, std::array::from_fn(|i| rows.row(first + i)), x);
        for n in 0..N {
            for (i, dots) in dots.iter().enumerate() {
                out.row(n)[first + i] = dots[n];
            }
        }
        first += ROWS;
    }
    first
}

#[inline(always)]
fn dots<S: Simd, const N: usize, const VECTORS: usize, const ROWS: usize>(
    simd: S,
    rows: [&[f32]; ROWS],
    x: [&[f32]; N],
) -> [[f32; N]; ROWS] {
    let mut sums = [[[simd.splat_f32s(0.0); VECTORS]; N]; ROWS];
    let width = rows[0].len();
    for at in (0..width / LANES * LANES).step_by(LANES) {
        let lanes = |values: &'_ [f32]| *whole_lanes::<S, VECTORS>(&values[at..at + LANES]);
        add_products(simd, |row| lanes(rows[row]), |n| lanes(x[n]), &mut sums);
    }
    let rest = width % LANES;
    if rest > 0 {
        let lanes = |values: &[f32]| partial_lanes::<S, VECTORS>(simd, &values[width - rest..]);
        add_products(simd, |row| lanes(rows[row]), |n| lanes(x[n]), &mut sums);
    }
    let mut dots = [[0.0; N]; ROWS];
    for (dots, sums) in dots.iter_mut().zip(&sums) {
        for (dot, &lanes) in dots.iter_mut().zip(sums) {
            *dot = join(simd, lanes);
        }
    }
    dots
}

/// As many values as there are lanes.
#[inline(always)]
fn whole_lanes<S: Simd, const VECTORS: usize>(values: &[f32]) -> &[S::f32s; VECTORS] {
    let Some(vectors) = S::as_simd_f32s(values).0.first_chunk() else { unreachable!() };
    vectors
}

/// Fewer values, and zeros.
#[inline(always)]
fn partial_lanes<S: Simd, const VECTORS: usize>(simd: S, mut values: &[f32]) -> [S::f32s; VECTORS] {
    let mut vectors = [simd.splat_f32s(0.0); VECTORS];
    for vector in &mut vectors {
        let (head, rest) = values.split_at(values.len().min(S::F32_LANES));
        *vector = simd.partial_load_f32s(head);
        values = rest;
    }
    vectors
}

/// `sums[row][n] += rows(row) · x(n)`, lane by lane.
#[inline(always)]
fn add_products<S: Simd, const N: usize, const VECTORS: usize, const ROWS: usize>(
    simd: S,
    rows: impl Fn(usize) -> [S::f32s; VECTORS],
    x: impl Fn(usize) -> [S::f32s; VECTORS],
    sums: &mut [[[S::f32s; VECTORS]; N]; ROWS],
) {
    for (row, sums) in sums.iter_mut().enumerate() {
        let row = rows(row);
        for (n, sums) in sums.iter_mut().enumerate() {
            let x = x(n);
            for v in 0..VECTORS {
                sums[v] = simd.mul_add_e_f32s(row[v], x[v], sums[v]);
            }
        }
    }
}

/// The sum of the lanes, halves added to halves.
#[inline(always)]
fn join<S: Simd, const VECTORS: usize>(simd: S, mut lanes: [S::f32s; VECTORS]) -> f32 {
    let mut width = VECTORS / 2;
    while width > 0 {
        for v in 0..width {
            lanes[v] = simd.add_f32s(lanes[v], lanes[v + width]);
        }
        width /= 2;
    }
    simd.reduce_sum_f32s(lanes[0])
}

/// `out = rows·x`, the rows without gaps and as long as x.
pub(crate) fn times_vector(rows: &[f32], x: &[f32], out: &mut [f32]) {
    let width = x.len();
    let task_rows = TASK.div_ceil(width.max(1));
    out.par_chunks_mut(task_rows).zip(rows.par_chunks(task_rows * width)).for_each(|(out, rows)| {
        Arch::new().dispatch(TimesVector { rows, x, out });
    });
}

struct TimesVector<'a> {
    rows: &'a [f32],
    x: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for TimesVector<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (width, len) = (self.x.len(), self.out.len());
        let rows = StridedRows::new(self.rows, width, width);
        rows_times::<S, 1>(simd, rows, StridedRows::new(self.x, width, width), StridedRowsMut::new(self.out, len, len));
    }
}

/// `out[n] = Σ_i weights[n][i] · rows[i]`: N vectors of weights, as many rows as one of them has values.
#[inline(always)]
pub(crate) fn times_rows<S: Simd, const N: usize>(
    simd: S,
    weights: StridedRows<'_>,
    rows: StridedRows<'_>,
    out: StridedRowsMut<'_>,
) {
    if const { S::REGISTER_COUNT >= 32 } {
        sum_rows::<S, N, 4>(simd, weights, rows, out);
    } else {
        sum_rows::<S, N, 2>(simd, weights, rows, out);
    }
}

/// `VECTORS` of each sum stay in registers.
#[inline(always)]
fn sum_rows<S: Simd, const N: usize, const VECTORS: usize>(
    simd: S,
    weights: StridedRows<'_>,
    rows: StridedRows<'_>,
    mut out: StridedRowsMut<'_>,
) {
    let weights: [&[f32]; N] = std::array::from_fn(|n| weights.row(n));
    let lanes = S::F32_LANES;
    let wide = rows.width / (VECTORS * lanes) * (VECTORS * lanes);
    for column in (0..wide).step_by(VECTORS * lanes) {
        let sums = sum_columns::<S, N, VECTORS>(simd, weights, rows, column..column + VECTORS * lanes);
        for (n, sums) in sums.iter().enumerate() {
            S::as_mut_simd_f32s(&mut out.row(n)[column..][..VECTORS * lanes]).0.copy_from_slice(sums);
        }
    }
    for column in (wide..rows.width).step_by(lanes) {
        let columns = column..rows.width.min(column + lanes);
        let sums = sum_columns::<S, N, 1>(simd, weights, rows, columns.clone());
        for (n, [sums]) in sums.iter().enumerate() {
            simd.partial_store_f32s(&mut out.row(n)[columns.clone()], *sums);
        }
    }
}

#[inline(always)]
fn sum_columns<S: Simd, const N: usize, const VECTORS: usize>(
    simd: S,
    weights: [&[f32]; N],
    rows: StridedRows<'_>,
    columns: Range<usize>,
) -> [[S::f32s; VECTORS]; N] {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; N];
    let whole = columns.len() == VECTORS * S::F32_LANES;
    for i in 0..weights[0].len() {
        rows.fetch_ahead(i, columns.clone());
        let row = &rows.row(i)[columns.clone()];
        let mut values = [simd.splat_f32s(0.0); VECTORS];
        if whole {
            values.copy_from_slice(S::as_simd_f32s(row).0);
        } else {
            values[0] = simd.partial_load_f32s(row);
        }
        for (sums, weights) in sums.iter_mut().zip(&weights) {
            let weight = simd.splat_f32s(weights[i]);
            for (sum, &value) in sums.iter_mut().zip(&values) {
                *sum = simd.mul_add_e_f32s(weight, value, *sum);
            }
        }
    }
    sums
}
