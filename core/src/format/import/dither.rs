//! Rounding a sum to codes without losing it.
//!
//! What an adapter adds is often far smaller than a step of the grid. Rounded to the nearest code it would be gone: every
//! weight would stay on the code that it is on. So a sum that lies `t` steps up the grid gets the code `⌊t⌋ + [u < t − ⌊t⌋]`
//! with u uniform in [0, 1): on average t itself, and what rounding does is noise that is aligned with nothing.
//!
//! On the matrix's own grid the weights lie on codes, and only what is added is rounded: its variance is `|d|·(1 − |d|)`
//! for d of less than a step, less than a new grid's 1/6 while d is small.

use std::ops::Range;

use idiolect_kernels::matrix::{AffineRows, FloatType, Matrix, quantize_affine};

use super::low_rank::LowRank;
use super::weights::check_range;
use crate::random::Random;

/// A grid of codes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub bits: u8,
    /// Weights that share a scale and a bias.
    pub group: usize,
    pub scales: FloatType,
    /// Whether the matrix's own scales and biases are kept; else they are chosen for the sums, as MLX does.
    pub own: bool,
}

/// Rows of `matrix` with `added`, dithered; the same whatever the rows are split into.
pub(super) fn dithered(
    matrix: &Matrix,
    rows: Range<usize>,
    grid: Grid,
    added: &LowRank<'_>,
) -> Result<AffineRows, &'static str> {
    let Grid { bits, group, scales, own } = grid;
    let cols = matrix.cols();
    let mut weights = vec![0.0; rows.len() * cols];
    matrix.dequantize(rows.clone(), 0..cols, &mut weights);
    let changes = added.rows(rows.clone());
    let sums: Vec<f32> = weights.iter().zip(&changes).map(|(weight, change)| weight + change).collect();
    check_range(&sums, scales)?;
    let mut out = match own {
        true => matrix.affine_rows(rows.clone(), bits, scales),
        false => quantize_affine(&sums, bits, group, scales),
    };
    let top = f32::from((1u16 << bits) - 1);
    let mut codes = Vec::with_capacity(weights.len());
    let mut groups = weights.chunks_exact(group).zip(changes.chunks_exact(group)).enumerate();
    for row in rows {
        let mut random = Random::new((added.seed << 32) ^ row as u64);
        for (at, (weights, changes)) in groups.by_ref().take(cols / group) {
            let (scale, bias) = (scales.read(&out.scales, at), scales.read(&out.biases, at));
            codes.extend(weights.iter().zip(changes).map(|(weight, change)| {
                let start = (weight - bias) / scale;
                let steps = if own { start.round() } else { start } + change / scale;
                let lower = steps.floor();
                let up = random.uniform() < steps - lower;
                // A grid without range has the quotient NaN, and but one value: the code is of no account.
                (lower + f32::from(u8::from(up))).clamp(0.0, top) as u8
            }));
        }
    }
    out.codes.clear();
    out.pack(bits, &codes);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: usize = 64;
    const COLS: usize = 128;
    const GROUP: usize = 32;

    fn values(matrix: &Matrix) -> Vec<f32> {
        let mut values = vec![0.0; ROWS * COLS];
        matrix.dequantize(0..ROWS, 0..COLS, &mut values);
        values
    }

    fn matrix(bits: u8, rows: AffineRows) -> Matrix {
        let AffineRows { codes, scales, biases } = rows;
        let parts = (codes.into(), scales.into(), biases.into());
        Matrix::affine((ROWS, COLS), bits, GROUP, FloatType::F16, parts.0, parts.1, parts.2).unwrap()
    }

    /// Weights within ±1 on a grid of 4 bits, whose steps are about 0.13.
    fn base() -> Matrix {
        let mut random = Random::new(1);
        let weights: Vec<f32> = (0..ROWS * COLS).map(|_| 2.0 * random.uniform() - 1.0).collect();
        matrix(4, quantize_affine(&weights, 4, GROUP, FloatType::F16))
    }

    #[test]
    fn what_is_added_is_kept_on_average() {
        let base = base();
        let mut random = Random::new(2);
        let a: Vec<f32> = (0..COLS).map(|_| 2.0 * random.uniform() - 1.0).collect();
        // Nothing is added to the rows of the second half.
        let b: Vec<f32> =
            (0..ROWS).map(|row| if row < ROWS / 2 { 2.0 * random.uniform() - 1.0 } else { 0.0 }).collect();
        // (size of what is added, bits, own grid, bounds on |kept − 1| and on the largest error)
        for (scale, bits, own, lost, largest) in [
            (0.05, 4, true, 0.1, 0.15),
            (0.005, 4, true, 0.3, 0.15),
            (0.05, 4, false, 0.15, 0.2),
            (0.05, 6, false, 0.05, 0.05),
            (0.05, 8, false, 0.02, 0.01),
            (0.005, 8, false, 0.05, 0.01),
            (1.0, 8, false, 0.01, 0.02),
        ] {
            let added = LowRank { a: &a, b: &b, rank: 1, scale, seed: 3 };
            let grid = Grid { bits, group: GROUP, scales: FloatType::F16, own };
            let whole = dithered(&base, 0..ROWS, grid, &added).unwrap();
            let case = format!("{scale}, {grid:?}");
            for split in [1, 31, 40] {
                let [first, second] = [0..split, split..ROWS].map(|rows| dithered(&base, rows, grid, &added).unwrap());
                assert_eq!([first.codes, second.codes].concat(), whole.codes, "{case}, at {split}");
            }
            let (before, change, stored) = (values(&base), added.rows(0..ROWS), values(&matrix(bits, whole)));
            let (mut product, mut square, mut error) = (0.0, 0.0, 0.0f32);
            for ((w, d), s) in before.iter().zip(&change).zip(&stored) {
                product += f64::from((s - w) * d);
                square += f64::from(d * d);
                error = error.max((s - w - d).abs());
            }
            let kept = product / square;
            assert!((kept - 1.0).abs() < lost && error < largest, "{case}: {kept}, {error}");
            let untouched = ROWS / 2 * COLS;
            assert!(!own || before[untouched..] == stored[untouched..], "{case}");
        }
    }

    #[test]
    fn groups_without_range_stay() {
        let base = matrix(4, quantize_affine(&[0.75; ROWS * COLS], 4, GROUP, FloatType::F16));
        let zero =
            AffineRows { scales: vec![0; ROWS * COLS / GROUP * 2], ..base.affine_rows(0..ROWS, 4, FloatType::F16) };
        let base = matrix(4, zero);
        let added = LowRank { a: &[0.1; COLS], b: &[1.0; ROWS], rank: 1, scale: 1.0, seed: 0 };
        let grid = Grid { bits: 4, group: GROUP, scales: FloatType::F16, own: true };
        let stored = values(&matrix(4, dithered(&base, 0..ROWS, grid, &added).unwrap()));
        assert_eq!(stored, values(&base));
    }
}
