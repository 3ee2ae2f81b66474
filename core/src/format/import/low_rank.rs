//! What is added to a matrix on its way into a new folder.

use std::collections::HashMap;
use std::ops::Range;

use crate::shape::TensorName;

/// The product `scale·B·A`, never held whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LowRank<'a> {
    /// A `[rank, inputs]`.
    pub a: &'a [f32],
    /// B `[outputs, rank]`.
    pub b: &'a [f32],
    pub rank: usize,
    pub scale: f32,
    /// Of the noise by which sums are rounded to codes: another for each matrix of a model.
    pub seed: u64,
}

/// The products by the matrices that they are added to.
pub(crate) type Added<'a> = HashMap<TensorName, LowRank<'a>>;

impl LowRank<'_> {
    /// Weights of the matrix.
    pub fn weights(&self) -> usize {
        self.a.len() / self.rank * (self.b.len() / self.rank)
    }

    /// Rows of the product, `[rows.len(), inputs]`.
    pub fn rows(&self, rows: Range<usize>) -> Vec<f32> {
        let inputs = self.a.len() / self.rank;
        let mut product = vec![0.0; rows.len() * inputs];
        for (row, out) in rows.zip(product.chunks_exact_mut(inputs)) {
            let factors = &self.b[row * self.rank..][..self.rank];
            for (a, b) in self.a.chunks_exact(inputs).zip(factors) {
                let factor = self.scale * b;
                out.iter_mut().zip(a).for_each(|(out, a)| *out += factor * a);
            }
        }
        product
    }
}
