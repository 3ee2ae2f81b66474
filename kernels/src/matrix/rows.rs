//! What executors ask of a matrix: panels as floats, products of its rows with a vector, rows in the group-affine form.

use std::ops::Range;

use super::affine::{self, AffineRows, is_affine};
use super::float::FloatType;
use super::run::RUN;
use super::{Encoding, Matrix, RowOrder};

/// The sums of a vector over the columns that share a scale and a bias, made once for all rows of a matrix.
pub struct ColumnSums(Vec<f32>);

/// Some columns of some rows, as they lie in the file.
pub(super) struct Stored<'a> {
    matrix: &'a Matrix,
    rows: Range<usize>,
    cols: Range<usize>,
}

impl<'a> Stored<'a> {
    /// The matrix that they belong to.
    #[inline(always)]
    pub fn matrix(&self) -> &'a Matrix {
        self.matrix
    }

    /// Columns of each row.
    #[inline(always)]
    pub fn width(&self) -> usize {
        self.cols.len()
    }

    /// Row by row: where its columns begin, counted over all values of the matrix, and their codes.
    #[inline(always)]
    pub fn rows(&self) -> impl Iterator<Item = (usize, &'a [u8])> {
        let (matrix, len) = (self.matrix, self.matrix.code_bytes(self.width()));
        let start = |row| matrix.stored_row(row) * matrix.cols + self.cols.start;
        self.rows.clone().map(start).map(move |start| (start, &matrix.codes[matrix.code_bytes(start)..][..len]))
    }

    /// Row by row its codes, beside its place in a panel.
    #[inline(always)]
    pub fn beside<'o>(&self, out: &'o mut [f32]) -> impl Iterator<Item = ((usize, &'a [u8]), &'o mut [f32])> {
        self.rows().zip(out.chunks_exact_mut(self.width().max(1)))
    }
}

impl Matrix {
    /// Writes `self[rows, cols]` to `out` `[rows.len(), cols.len()]`, row-major. `cols` must start and end
    /// at multiples of [`Matrix::column_step`].
    ///
    /// # Panics
    /// When a range lies outside the matrix or off the column step, or `out` has another length.
    pub fn dequantize(&self, rows: Range<usize>, cols: Range<usize>, out: &mut [f32]) {
        let width = cols.len();
        assert!(rows.end <= self.rows && cols.end <= self.cols, "panel outside the matrix");
        assert!(cols.start.is_multiple_of(self.column_step()) && width.is_multiple_of(self.column_step()));
        assert_eq!(out.len(), rows.len() * width, "panel of another size");
        let stored = Stored { matrix: self, rows, cols };
        match self.encoding {
            Encoding::Float(float) => float.dequantize(&stored, out),
            Encoding::Affine { bits, .. } => affine::dequantize(bits, &stored, out),
            Encoding::Block(block) => block.dequantize(&stored, out),
        }
    }

    /// Row `row` as f32, for embedding look-ups. `out` is `[cols]`.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        self.dequantize(row..row + 1, 0..self.cols, out);
    }

    /// What [`Matrix::dot_rows`] takes of `x` `[cols]`.
    pub fn column_sums(&self, x: &[f32]) -> ColumnSums {
        let group = match self.encoding {
            Encoding::Float(_) => return ColumnSums(Vec::new()),
            Encoding::Affine { .. } => RUN,
            Encoding::Block(block) => block.group(),
        };
        ColumnSums(x.chunks(group).map(|columns| columns.iter().sum()).collect())
    }

    /// `out[i] = Σ_k self[rows.start + i, k] · x[k]`, f32 accumulation in a fixed order: sixteen running sums, joined.
    /// Nothing is dequantized to memory.
    ///
    /// # Panics
    /// When `x` is not `[cols]`, or `out` not `[rows.len()]`.
    pub fn dot_rows(&self, rows: Range<usize>, x: &[f32], sums: &ColumnSums, out: &mut [f32]) {
        assert!(x.len() == self.cols && out.len() == rows.len() && rows.end <= self.rows);
        let stored = Stored { matrix: self, rows, cols: 0..self.cols };
        match self.encoding {
            Encoding::Float(float) => float.dot(&stored, x, out),
            Encoding::Affine { bits, .. } => affine::dot(bits, &stored, x, &sums.0, out),
            Encoding::Block(block) => block.dot(&stored, x, &sums.0, out),
        }
    }

    /// Bits, group and type of scales of the group-affine form that holds these very values; `None` for plain floats.
    /// Groups may be shorter than [`Matrix::affine`] takes them.
    pub fn affine_form(&self) -> Option<(u8, usize, FloatType)> {
        match self.encoding {
            Encoding::Float(_) => None,
            Encoding::Affine { bits, group, scales } => Some((bits, group, scales)),
            Encoding::Block(block) => Some((block.bits(), block.group(), block.scale_type(&self.codes))),
        }
    }

    /// The rows in the form that [`Matrix::affine_form`] gives, in plain order; `scales` is the type it gave, `bits` are
    /// those it gave or more. They dequantize to the same values, but for the sign of a zero.
    ///
    /// # Panics
    /// When the rows lie outside the matrix, it holds plain floats, or no codes have so many bits.
    pub fn affine_rows(&self, rows: Range<usize>, bits: u8, scales: FloatType) -> AffineRows {
        assert!(rows.end <= self.rows, "rows outside the matrix");
        let mut out = AffineRows::default();
        for row in rows {
            let stored = self.stored_row(row);
            match self.encoding {
                Encoding::Float(_) => panic!("plain floats have no exact group-affine form"),
                Encoding::Affine { bits: own, .. } => {
                    let [codes, scales, biases] = [&self.codes, &self.scales, &self.biases].map(|bytes| {
                        let width = bytes.len() / self.rows;
                        &bytes[stored * width..][..width]
                    });
                    out.widen(own, bits, codes);
                    out.scales.extend(scales);
                    out.biases.extend(biases);
                }
                Encoding::Block(block) => {
                    let width = self.code_bytes(self.cols);
                    block.repack(&self.codes[stored * width..][..width], bits, scales, &mut out);
                }
            }
        }
        out
    }

    /// The matrix in the form that [`Matrix::affine_form`] gives, in memory and in plain order; `None` for plain floats
    /// and where [`Matrix::affine`] does not take the form.
    pub fn to_affine(&self) -> Option<Self> {
        let (bits, group, scales) = self.affine_form().filter(|&(bits, group, _)| is_affine(bits, group))?;
        let AffineRows { codes, scales: s, biases } = self.affine_rows(0..self.rows, bits, scales);
        let encoding = Encoding::Affine { bits, group, scales };
        let (codes, s, biases) = (codes.into(), s.into(), biases.into());
        Some(Self { encoding, order: RowOrder::Plain, codes, scales: s, biases, ..*self })
    }

    /// Bytes of the codes of `columns` columns, which are multiples of [`Matrix::column_step`].
    fn code_bytes(&self, columns: usize) -> usize {
        match self.encoding {
            Encoding::Float(float) => columns * float.size(),
            Encoding::Affine { bits, .. } => columns * usize::from(bits) / 8,
            Encoding::Block(block) => block.bytes_of(columns),
        }
    }
}
