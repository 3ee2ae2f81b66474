//! Factors of products, laid in strips of columns as the inner kernel reads them.

use std::ops::Range;

use ndarray::ArrayView2;

use super::product::with_scratch;
use super::simd::vectorized;
use super::tile::{STRIP, by_rows};
use crate::matrix::Matrix;

/// The second factor of a product, `[depth, columns]`.
pub(crate) trait Columns: Sync {
    /// Rows of the factor.
    fn depth(&self) -> usize;

    /// What is packed starts and ends at multiples of these columns, or where they end.
    fn step(&self) -> usize;

    /// Writes the rows `depth` of some columns, [`STRIP`] of them a strip, each strip `depth.len()` rows long. What the
    /// last strip has more is zero. `columns` starts at a multiple of [`STRIP`].
    fn pack(&self, depth: Range<usize>, columns: Range<usize>, strips: &mut [[f32; STRIP]]);
}

/// Writes one row of some strips of `depth` rows each.
fn put_row(values: &[f32], row: usize, depth: usize, strips: &mut [[f32; STRIP]]) {
    let (whole, rest) = values.as_chunks::<STRIP>();
    let mut rows = strips.iter_mut().skip(row).step_by(depth);
    rows.by_ref().zip(whole).for_each(|(out, values)| *out = *values);
    if let Some(out) = rows.next() {
        let (live, beyond) = out.split_at_mut(rest.len());
        live.copy_from_slice(rest);
        beyond.fill(0.0);
    }
}

impl Columns for Matrix {
    fn depth(&self) -> usize {
        self.rows()
    }

    fn step(&self) -> usize {
        self.column_step()
    }

    // Whole rows at a time: a file is read on, not in leaps.
    fn pack(&self, depth: Range<usize>, columns: Range<usize>, strips: &mut [[f32; STRIP]]) {
        const ROWS: usize = 8;
        let width = columns.len();
        with_scratch([ROWS * width], |[panel]| {
            for start in depth.clone().step_by(ROWS) {
                let rows = start..depth.end.min(start + ROWS);
                let panel = &mut panel[..rows.len() * width];
                self.dequantize(rows.clone(), columns.clone(), panel);
                for (row, values) in rows.zip(panel.chunks_exact(width)) {
                    put_row(values, row - depth.start, depth.len(), strips);
                }
            }
        });
    }
}

/// `scale · values`, whose rows or whose columns are contiguous.
pub(crate) struct Scaled<'a> {
    pub values: ArrayView2<'a, f32>,
    pub scale: f32,
}

impl Columns for Scaled<'_> {
    fn depth(&self) -> usize {
        self.values.nrows()
    }

    fn step(&self) -> usize {
        1
    }

    fn pack(&self, depth: Range<usize>, columns: Range<usize>, strips: &mut [[f32; STRIP]]) {
        for (strip, start) in strips.chunks_exact_mut(depth.len()).zip(columns.clone().step_by(STRIP)) {
            let columns = start..columns.end.min(start + STRIP);
            if by_rows(&self.values) {
                for (row, out) in depth.clone().zip(strip) {
                    let Some(row) = self.values.row(row).to_slice() else { panic!("a row with gaps") };
                    let (live, rest) = out.split_at_mut(columns.len());
                    live.iter_mut().zip(&row[columns.clone()]).for_each(|(out, value)| *out = self.scale * value);
                    rest.fill(0.0);
                }
            } else {
                let mut sources: [&[f32]; STRIP] = [&[]; STRIP];
                for (j, source) in columns.zip(&mut sources) {
                    let Some(column) = self.values.column(j).to_slice() else { panic!("a column with gaps") };
                    *source = &column[depth.clone()];
                }
                vectorized!(transpose(&sources, self.scale, strip));
            }
        }
    }
}

/// `strip[k][j] = scale · columns[j][k]`; zero where a column is empty.
#[inline(always)]
fn transpose(columns: &[&[f32]; STRIP], scale: f32, strip: &mut [[f32; STRIP]]) {
    const BLOCK: usize = 8;
    let (blocks, rest) = strip.as_chunks_mut::<BLOCK>();
    for (group, columns) in columns.as_chunks::<BLOCK>().0.iter().enumerate() {
        for (at, block) in blocks.iter_mut().enumerate() {
            let values = columns.map(|column| column.as_chunks::<BLOCK>().0.get(at).copied().unwrap_or_default());
            for k in 0..BLOCK {
                for j in 0..BLOCK {
                    block[k][group * BLOCK + j] = scale * values[j][k];
                }
            }
        }
    }
    let done = blocks.len() * BLOCK;
    for (k, out) in rest.iter_mut().enumerate() {
        for (out, column) in out.iter_mut().zip(columns) {
            *out = column.get(done + k).map_or(0.0, |value| scale * value);
        }
    }
}
