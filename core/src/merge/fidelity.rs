//! How much of what is added to a matrix survives in the form it is stored in.

use std::ops::Range;

use idiolect_kernels::matrix::{AffineRows, Matrix};
use rayon::prelude::*;

use crate::format::import::{Form, LowRank, NOT_FINITE, PANEL, convert};

/// What a stored form keeps of a change. With W the base's matrix, D what is added, S what is stored for W + D, and
/// Frobenius norms throughout, `S − W = kept·D + N` with N at right angles to D.
///
/// The two are not alike. Of what an adapter does, a loss of D costs `(1 − kept)²`. Noise of D's own size costs a
/// thousandth to a hundredth, where training made D: it has few directions, along which lie the inputs that matter to the
/// person, and N spreads over all. Measured ([`Divergence`](super::Divergence); medians of kept and noise; with the options'
/// defaults in the last row of each model):
///
/// | base, steps, KL | bits, codes | MB | kept | noise | KL of that |
/// |-----------------|-------------|-----|------|-------|------------|
/// | SmolLM2-135M Q4_1, 12, 0.40 | 4, nearest | 98.3 | 0.78 | 36 | 63 % |
/// | | 4, dithered | 98.3 | 0.96 | 9.7 | 9.5 % |
/// | | 8, nearest | 151.4 | 0.89 | 2.2 | 0.7 % |
/// | | 16 | 244.3 | 1.00 | 0.1 | 0.000 % |
/// | | 103 of 4, 107 of 8, dithered | 120.7 | 0.99 | 3.3 | 2.2 % |
/// | the same, 100, 1.59 | 4, dithered | 98.3 | 0.96 | 3.5 | 6.1 % |
/// | | 157 of 4, 53 of 8, dithered | 113.9 | 0.97 | 3.5 | 2.2 % |
/// | the embedded base, 12, 0.16 | 4, nearest | 3.8 | 0.29 | 7.3 | 67 % |
/// | | 4, dithered | 3.8 | 0.98 | 7.0 | 3.4 % |
/// | the same, 120, 1.93 | 4, nearest | 3.8 | 0.49 | 0.9 | 44 % |
/// | | 4, dithered | 3.8 | 0.98 | 1.7 | 2.4 % |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fidelity {
    /// ⟨S − W, D⟩ / |D|²: 1 keeps D whole, 0 loses it.
    pub kept: f64,
    /// |N| / |D|.
    pub noise: f64,
    /// |D| / |W|: how much there is to keep.
    pub change: f64,
}

/// What noise of the size of what is added costs, about, where training made it.
const NOISE_COST: f64 = 1e-3;

/// Sums of squares and products over a matrix.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    /// |D|².
    added: f64,
    /// |S − W|².
    stored: f64,
    /// ⟨S − W, D⟩.
    product: f64,
    /// |W|².
    weights: f64,
}

impl Fidelity {
    /// That of `form` for `matrix` with `added`.
    ///
    /// # Errors
    /// When the matrix or the product holds values that are not finite.
    pub(super) fn of(matrix: &Matrix, added: &LowRank<'_>, form: Form) -> Result<Self, &'static str> {
        let panel_rows = (PANEL / matrix.cols()).max(1);
        let starts: Vec<usize> = (0..matrix.rows()).step_by(panel_rows).collect();
        let panels: Vec<Sums> = starts
            .into_par_iter()
            .map(|first| Sums::of(matrix, added, form, first..matrix.rows().min(first + panel_rows)))
            .collect::<Result<_, _>>()?;
        // In order, so that the figures do not depend on the threads.
        let sums = panels.into_iter().fold(Sums::default(), Sums::plus);
        if sums.added == 0.0 {
            return Ok(Self { kept: 1.0, noise: 0.0, change: 0.0 });
        }
        let kept = sums.product / sums.added;
        // What is left of |S − W|² beside kept²·|D|²; rounding may leave less than nothing.
        let noise = (sums.stored - kept * sums.product).max(0.0);
        let change = if sums.weights == 0.0 { f64::INFINITY } else { (sums.added / sums.weights).sqrt() };
        Ok(Self { kept, noise: (noise / sums.added).sqrt(), change })
    }

    /// About what is lost of the adapter's effect in this matrix, as a share: `(1 − kept)² + noise²/1000`.
    pub(super) fn loss(&self) -> f64 {
        (1.0 - self.kept).powi(2) + NOISE_COST * self.noise.powi(2)
    }

    /// The same beside the weights, to compare matrices by: noise does as much in one that hardly changes as in another.
    pub(super) fn cost(&self) -> f64 {
        self.change.min(1.0).powi(2) * self.loss()
    }
}

impl Sums {
    fn of(matrix: &Matrix, low_rank: &LowRank<'_>, form: Form, rows: Range<usize>) -> Result<Self, &'static str> {
        let cols = matrix.cols();
        let mut weights = vec![0.0; rows.len() * cols];
        matrix.dequantize(rows.clone(), 0..cols, &mut weights);
        let added = low_rank.rows(rows.clone());
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        if !finite(&weights) {
            return Err(NOT_FINITE);
        }
        if !finite(&added) {
            return Err("the adapter adds values that are not finite");
        }
        // Beyond the range of the form's floats.
        let Ok(encoded) = convert(matrix, rows.clone(), form, Some(low_rank)) else {
            return Ok(Self { stored: f64::INFINITY, added: 1.0, ..Self::default() });
        };
        let stored = decode(encoded, form, (rows.len(), cols));
        let mut sums = Self::default();
        for ((w, d), s) in weights.into_iter().zip(added).zip(stored) {
            let (w, d, s) = (f64::from(w), f64::from(d), f64::from(s));
            sums.added += d * d;
            sums.stored += (s - w).powi(2);
            sums.product += (s - w) * d;
            sums.weights += w * w;
        }
        Ok(sums)
    }

    fn plus(self, other: Self) -> Self {
        Self {
            added: self.added + other.added,
            stored: self.stored + other.stored,
            product: self.product + other.product,
            weights: self.weights + other.weights,
        }
    }
}

/// What is read back of rows in a form.
fn decode(encoded: AffineRows, form: Form, (rows, cols): (usize, usize)) -> Vec<f32> {
    let AffineRows { codes, scales, biases } = encoded;
    let matrix = match form {
        Form::Float(float) => Matrix::float(rows, cols, float, codes.into()),
        Form::Affine { bits, group, scales: float, .. } => {
            Matrix::affine((rows, cols), bits, group, float, codes.into(), scales.into(), biases.into())
        }
    };
    let mut values = vec![f32::NAN; rows * cols];
    if let Ok(matrix) = matrix {
        matrix.dequantize(0..rows, 0..cols, &mut values);
    }
    values
}
