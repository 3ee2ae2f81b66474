//! Frozen matrices as they lie in a file: floats, MLX's group-affine codes, or GGUF blocks.
//!
//! A matrix is `[rows, cols]`, row-major, rows along the output axis of a linear layer. It is never
//! dequantized whole: executors ask for panels.

mod affine;
mod block;
mod f16;
mod float;
mod rows;
mod run;
#[cfg(test)]
mod tests;

use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::error::{Error, Result};

pub use affine::{AFFINE_BITS, AFFINE_GROUPS, AffineRows, is_affine, quantize_affine};
pub use block::BlockType;
pub use float::FloatType;
pub use rows::ColumnSums;

/// Bytes of a matrix: a range of a mapped file, or of memory that this value keeps alive.
#[derive(Clone)]
pub struct Bytes {
    owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
    range: Range<usize>,
}

impl Bytes {
    /// The bytes `range` of `owner`, or `None` where the range lies outside it.
    pub fn slice_of(owner: Arc<dyn AsRef<[u8]> + Send + Sync>, range: Range<usize>) -> Option<Self> {
        (*owner).as_ref().get(range.clone())?;
        Some(Self { owner, range })
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { owner: Arc::new(bytes), range }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &(*self.owner).as_ref()[self.range.clone()]
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bytes({})", self.range.len())
    }
}

/// How a matrix is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Plain floats.
    Float(FloatType),
    /// MLX's group-affine form, `w = scale·q + bias` per `group` columns; codes are a stream of bits without gaps, least
    /// significant first, in little-endian u32 words.
    Affine {
        /// Bits a code, of [`AFFINE_BITS`].
        bits: u8,
        /// Columns that share a scale and a bias, of [`AFFINE_GROUPS`].
        group: usize,
        /// The type of scales and biases.
        scales: FloatType,
    },
    /// GGUF blocks.
    Block(BlockType),
}

/// The order in which rows are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowOrder {
    /// Row r is stored at r.
    Plain,
    /// GGUF's order for q and k: within each head the two halves that RoPE rotates alternate.
    Interleaved {
        /// Rows a head.
        head_dim: usize,
    },
    /// Runs that take turns here are stored apart, part by part: of three parts, row `(3h + p)·run + j` is stored at
    /// `(p·heads + h)·run + j`.
    PartsApart {
        /// Parts.
        parts: usize,
        /// Rows of a run.
        run: usize,
    },
}

/// A frozen matrix `[rows, cols]`.
#[derive(Debug, Clone)]
pub struct Matrix {
    rows: usize,
    cols: usize,
    encoding: Encoding,
    order: RowOrder,
    codes: Bytes,
    scales: Bytes,
    biases: Bytes,
}

impl Matrix {
    /// A matrix of plain floats, `rows × cols` values of `float` in `values`.
    ///
    /// # Errors
    /// When the byte count is not that of the shape.
    pub fn float(rows: usize, cols: usize, float: FloatType, values: Bytes) -> Result<Self> {
        expect_len("values", &values, &[rows, cols, float.size()], 1)?;
        let none = Bytes::from(Vec::new());
        Ok(Self {
            rows,
            cols,
            encoding: Encoding::Float(float),
            order: RowOrder::Plain,
            codes: values,
            scales: none.clone(),
            biases: none,
        })
    }

    /// A group-affine matrix: `codes` `[rows, cols·bits/32]` u32 words, `scales` and `biases` `[rows, cols/group]`.
    ///
    /// # Errors
    /// When bits, group or a byte count do not fit the shape.
    pub fn affine(
        (rows, cols): (usize, usize),
        bits: u8,
        group: usize,
        float: FloatType,
        codes: Bytes,
        scales: Bytes,
        biases: Bytes,
    ) -> Result<Self> {
        if !is_affine(bits, group) || !cols.is_multiple_of(group) {
            return Err(Error::Shape(format!("affine {bits} bits in groups of {group} over {cols} columns")));
        }
        expect_len("codes", &codes, &[rows, cols, bits as usize], 8)?;
        expect_len("scales", &scales, &[rows, cols / group, float.size()], 1)?;
        expect_len("biases", &biases, &[rows, cols / group, float.size()], 1)?;
        let encoding = Encoding::Affine { bits, group, scales: float };
        Ok(Self { rows, cols, encoding, order: RowOrder::Plain, codes, scales, biases })
    }

    /// A matrix of GGUF blocks, rows stored in `order`.
    ///
    /// # Errors
    /// When the columns are no whole blocks, or the byte count is not that of the shape.
    pub fn blocks(rows: usize, cols: usize, block: BlockType, blocks: Bytes) -> Result<Self> {
        if !cols.is_multiple_of(block.len()) {
            return Err(Error::Shape(format!("blocks of {} over {cols} columns", block.len())));
        }
        expect_len("blocks", &blocks, &[rows, cols / block.len(), block.size()], 1)?;
        let none = Bytes::from(Vec::new());
        Ok(Self {
            rows,
            cols,
            encoding: Encoding::Block(block),
            order: RowOrder::Plain,
            codes: blocks,
            scales: none.clone(),
            biases: none,
        })
    }

    /// The same matrix, its rows read in `order`.
    ///
    /// # Errors
    /// When its turns do not divide the rows.
    pub fn with_row_order(mut self, order: RowOrder) -> Result<Self> {
        let turn = match order {
            RowOrder::Plain => 1,
            RowOrder::Interleaved { head_dim } if head_dim.is_multiple_of(2) => head_dim,
            RowOrder::Interleaved { .. } => 0,
            RowOrder::PartsApart { parts, run } => parts.saturating_mul(run),
        };
        if turn == 0 || !self.rows.is_multiple_of(turn) {
            return Err(Error::Shape(format!("{} rows as {order:?}", self.rows)));
        }
        self.order = order;
        Ok(self)
    }

    /// Rows: the output width of the layer.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns: the input width of the layer.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// How the values are stored.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Bytes of the stored form.
    pub fn bytes(&self) -> usize {
        self.codes.len() + self.scales.len() + self.biases.len()
    }

    /// Panels of columns must start and end at multiples of this.
    pub fn column_step(&self) -> usize {
        match self.encoding {
            Encoding::Float(_) => 1,
            Encoding::Affine { .. } => run::RUN,
            Encoding::Block(block) => block.len(),
        }
    }

    /// Where logical row `row` is stored.
    fn stored_row(&self, row: usize) -> usize {
        self.order.stored(row, self.rows)
    }
}

impl RowOrder {
    /// Where row `row` of `rows` is stored.
    pub fn stored(self, row: usize, rows: usize) -> usize {
        match self {
            Self::Plain => row,
            Self::Interleaved { head_dim } => {
                let (head, j) = (row / head_dim, row % head_dim);
                let half = head_dim / 2;
                head * head_dim + if j < half { 2 * j } else { 2 * (j - half) + 1 }
            }
            Self::PartsApart { parts, run } => {
                let (turn, j) = (row / run, row % run);
                (turn % parts) * (rows / parts) + turn / parts * run + j
            }
        }
    }
}

fn expect_len(field: &str, bytes: &[u8], factors: &[usize], divisor: usize) -> Result<()> {
    let expected = factors.iter().try_fold(1usize, |product, &f| product.checked_mul(f)).map(|n| n.div_ceil(divisor));
    match expected {
        Some(n) if n == bytes.len() => Ok(()),
        Some(n) => Err(Error::Shape(format!("{field}: {} bytes where the shape needs {n}", bytes.len()))),
        None => Err(Error::Shape(format!("{field}: the shape overflows"))),
    }
}
