//! Factors of products, laid in strips of columns as the inner kernel reads them.

use std::ops::Range;

use multiversion::multiversion;
use ndarray::ArrayView2;

use super::tile::STRIP;
use crate::matrix::Matrix;

/// The second factor of a product, `[depth, columns]`.
pub(crate) trait Columns: Sync {
    /// Rows of the factor.
    fn depth(&self) -> usize;

    /// Writes the rows `depth` of at most [`STRIP`] columns; `columns` starts at a multiple of [`STRIP`]. What the strip
    /// has more is zero.
    fn pack(&self, depth: Range<usize>, columns: Range<usize>, strip: &mut [[f32; STRIP]]);
}

impl Columns for Matrix {
    fn depth(&self) -> usize {
        self.rows()
    }

    fn pack(&self, depth: Range<usize>, columns: Range<usize>, strip: &mut [[f32; STRIP]]) {
        if columns.len() == STRIP {
            return self.dequantize(depth, columns, strip.as_flattened_mut());
        }
        for (row, out) in depth.zip(strip) {
            let (live, rest) = out.split_at_mut(columns.len());
            self.dequantize(row..row + 1, columns.clone(), live);
            rest.fill(0.0);
        }
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

    fn pack(&self, depth: Range<usize>, columns: Range<usize>, strip: &mut [[f32; STRIP]]) {
        if self.values.strides()[1] == 1 {
            for (row, out) in depth.zip(strip) {
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
            transpose(&sources, self.scale, strip);
        }
    }
}

/// `strip[k][j] = scale · columns[j][k]`; zero where a column is empty.
#[multiversion(targets("x86_64+avx2+fma"))]
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
