//! Rows into the group-affine form: quantized from floats as MLX does it, or repacked exactly from GGUF blocks.

use std::ops::Range;

use super::{BlockType, Bytes, Encoding, FloatType, Matrix, RowOrder};

/// The smallest scale, as in MLX.
const EPSILON: f32 = 1e-7;

/// Rows in the group-affine form, as [`Matrix::affine`] takes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AffineRows {
    /// Codes, packed least significant first.
    pub codes: Vec<u8>,
    /// A scale for each group.
    pub scales: Vec<u8>,
    /// A bias for each group.
    pub biases: Vec<u8>,
}

/// Quantizes `values`, whole groups of rows, bit for bit as MLX 0.32 does on a CPU.
///
/// With e the value of a group that is farther from zero, and s the range over 2^bits − 1, its sign chosen so that
/// codes count away from e: `scale = e / round(e/s)` and `bias = e`, so that zero has a code of its own; where the
/// quotient rounds to zero, `scale = s` and `bias = 0`. Codes are `round((w − bias)/scale)` with scale and bias in
/// f32; they are stored in the source's float type `scales`.
///
/// # Panics
/// When `values` are no whole groups, or bits and group are not those of [`Matrix::affine`].
pub fn quantize_affine(values: &[f32], bits: u8, group: usize, scales: FloatType) -> AffineRows {
    assert!(matches!(bits, 4 | 8) && group.is_multiple_of(BlockType::LEN) && values.len().is_multiple_of(group));
    let mut rows = AffineRows::default();
    let top = f32::from((1u16 << bits) - 1);
    for values in values.chunks_exact(group) {
        let (low, high) =
            values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &w| (low.min(w), high.max(w)));
        let below = low.abs() > high.abs();
        let step = ((high - low) / top).max(EPSILON);
        let (edge, step) = if below { (low, step) } else { (high, -step) };
        let steps = (edge / step).round_ties_even();
        let (scale, bias) = if steps == 0.0 { (step, 0.0) } else { (edge / steps, edge) };
        let code = |w: f32| ((w - bias) / scale).round_ties_even().clamp(0.0, top) as u8;
        match bits {
            4 => rows.codes.extend(values.chunks_exact(2).map(|pair| code(pair[0]) | code(pair[1]) << 4)),
            _ => rows.codes.extend(values.iter().map(|&w| code(w))),
        }
        scales.write(scale, &mut rows.scales);
        scales.write(bias, &mut rows.biases);
    }
    rows
}

impl Matrix {
    /// Bits, group and type of scales of the group-affine form that holds these very values; `None` for plain floats.
    pub fn affine_form(&self) -> Option<(u8, usize, FloatType)> {
        match self.encoding {
            Encoding::Float(_) => None,
            Encoding::Affine { bits, group, scales } => Some((bits, group, scales)),
            Encoding::Block(block) => {
                let bits = if block == BlockType::Q8_0 { 8 } else { 4 };
                let narrow = self.codes.chunks_exact(block.size()).all(|bytes| block.bias_fits_f16(bytes));
                Some((bits, BlockType::LEN, if narrow { FloatType::F16 } else { FloatType::F32 }))
            }
        }
    }

    /// The rows in the form that [`Matrix::affine_form`] gives, in plain order; `scales` is the type it gave. They
    /// dequantize to the same values, but for the sign of a zero.
    ///
    /// # Panics
    /// When the rows lie outside the matrix, or it holds plain floats.
    pub fn affine_rows(&self, rows: Range<usize>, scales: FloatType) -> AffineRows {
        assert!(rows.end <= self.rows, "rows outside the matrix");
        let mut out = AffineRows::default();
        for row in rows {
            let stored = self.stored_row(row);
            match self.encoding {
                Encoding::Float(_) => panic!("plain floats have no exact group-affine form"),
                Encoding::Affine { .. } => {
                    let part = |bytes: &Bytes| {
                        let width = bytes.len() / self.rows;
                        bytes[stored * width..][..width].to_vec()
                    };
                    out.codes.extend(part(&self.codes));
                    out.scales.extend(part(&self.scales));
                    out.biases.extend(part(&self.biases));
                }
                Encoding::Block(block) => {
                    let width = self.cols / BlockType::LEN * block.size();
                    for bytes in self.codes[stored * width..][..width].chunks_exact(block.size()) {
                        repack(block, bytes, scales, &mut out);
                    }
                }
            }
        }
        out
    }

    /// The matrix in the form that [`Matrix::affine_form`] gives, in memory and in plain order; `None` for plain floats.
    pub fn to_affine(&self) -> Option<Self> {
        let (bits, group, scales) = self.affine_form()?;
        let AffineRows { codes, scales: s, biases } = self.affine_rows(0..self.rows, scales);
        let encoding = Encoding::Affine { bits, group, scales };
        let (codes, s, biases) = (codes.into(), s.into(), biases.into());
        Some(Self { encoding, order: RowOrder::Plain, codes, scales: s, biases, ..*self })
    }
}

/// Appends one block as a group.
fn repack(block: BlockType, bytes: &[u8], scales: FloatType, out: &mut AffineRows) {
    let d = FloatType::F16.read(bytes, 0);
    scales.write(d, &mut out.scales);
    let (bias, codes) = match block {
        BlockType::Q4_1 => (FloatType::F16.read(bytes, 1), &bytes[4..]),
        BlockType::Q4_0 | BlockType::Q8_0 => (d * -block.offset(), &bytes[2..]),
    };
    scales.write(bias, &mut out.biases);
    match block {
        // q + 128, unsigned.
        BlockType::Q8_0 => out.codes.extend(codes.iter().map(|q| q ^ 0x80)),
        // Element j is in the low half of byte j, element j + 16 in the high one.
        BlockType::Q4_0 | BlockType::Q4_1 => {
            let pairs = codes.as_chunks::<2>().0;
            out.codes.extend(pairs.iter().map(|[a, b]| (a & 15) | (b & 15) << 4));
            out.codes.extend(pairs.iter().map(|[a, b]| (a >> 4) | (b & 0xf0)));
        }
    }
}

impl BlockType {
    /// What a block's codes are shifted by to be unsigned: its bias is −d times this.
    const fn offset(self) -> f32 {
        match self {
            Self::Q4_0 => 8.0,
            Self::Q4_1 => 0.0,
            Self::Q8_0 => 128.0,
        }
    }

    /// Whether f16 holds the bias of a block: a product with a power of two is exact unless it overflows.
    fn bias_fits_f16(self, block: &[u8]) -> bool {
        let d = FloatType::F16.read(block, 0);
        half::f16::from_f32(d * self.offset()).is_finite() || !d.is_finite()
    }
}

impl FloatType {
    /// Appends `value`, rounded to this type, ties to even; little-endian.
    pub fn write(self, value: f32, out: &mut Vec<u8>) {
        match self {
            Self::F16 => out.extend(half::f16::from_f32(value).to_le_bytes()),
            Self::BF16 => out.extend(half::bf16::from_f32(value).to_le_bytes()),
            Self::F32 => out.extend(value.to_le_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pseudo-random bytes.
    fn noise(len: usize, seed: u64) -> Vec<u8> {
        let mut state = seed;
        (0..len)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect()
    }

    fn dequantized(matrix: &Matrix) -> Vec<f32> {
        let mut out = vec![0.0; matrix.rows() * matrix.cols()];
        matrix.dequantize(0..matrix.rows(), 0..matrix.cols(), &mut out);
        out
    }

    /// The same value; zeros may differ in sign.
    fn same(a: f32, b: f32) -> bool {
        a.to_bits() == b.to_bits() || (a == 0.0 && b == 0.0)
    }

    /// One block of random codes for every finite f16 as d, m far from it.
    fn every_scale(block: BlockType, within: impl Fn(f32) -> bool) -> (Vec<u8>, usize) {
        let (mut bytes, mut rows) = (Vec::new(), 0);
        for bits in 0..=u16::MAX {
            let d = half::f16::from_bits(bits);
            if d.is_finite() && within(d.to_f32()) {
                let mut one = noise(block.size(), u64::from(bits));
                one[..2].copy_from_slice(&d.to_le_bytes());
                if block == BlockType::Q4_1 {
                    one[2..4].copy_from_slice(&(bits.rotate_left(7) & 0x7bff).to_le_bytes());
                }
                bytes.extend(one);
                rows += 1;
            }
        }
        (bytes, rows)
    }

    #[test]
    fn blocks_repack_exactly_whatever_their_scale() {
        use FloatType::{F16, F32};
        for (block, largest, scales) in [
            (BlockType::Q4_0, f32::INFINITY, F32),
            (BlockType::Q4_0, 8188.0, F16),
            (BlockType::Q4_1, f32::INFINITY, F16),
            (BlockType::Q8_0, f32::INFINITY, F32),
            (BlockType::Q8_0, 511.75, F16),
        ] {
            let (bytes, rows) = every_scale(block, |d| d.abs() <= largest);
            let matrix = Matrix::blocks(rows, BlockType::LEN, block, bytes.into()).unwrap();
            let affine = matrix.to_affine().unwrap();
            let bits = if block == BlockType::Q8_0 { 8 } else { 4 };
            assert_eq!(affine.encoding(), Encoding::Affine { bits, group: BlockType::LEN, scales }, "{block:?}");
            let pairs = dequantized(&matrix).into_iter().zip(dequantized(&affine));
            for (i, (exact, repacked)) in pairs.enumerate() {
                assert!(same(exact, repacked), "{block:?} value {i}: {exact:e} became {repacked:e}");
            }
        }
    }

    #[test]
    fn rows_come_out_in_plain_order() {
        let (rows, cols, head_dim) = (12, 64, 6);
        let order = RowOrder::Interleaved { head_dim };
        // Scales within ±1, so that every value is finite.
        let mut bytes = noise(rows * cols / BlockType::LEN * BlockType::Q8_0.size(), 7);
        bytes.chunks_exact_mut(BlockType::Q8_0.size()).for_each(|block| block[1] = 0x30 | block[1] & 0x83);
        let matrix = Matrix::blocks(rows, cols, BlockType::Q8_0, bytes.into()).unwrap();
        let interleaved = matrix.with_row_order(order).unwrap();
        let plain = interleaved.to_affine().unwrap();
        assert_eq!(plain.order, RowOrder::Plain);
        assert_eq!(dequantized(&plain), dequantized(&interleaved));
        // A second time, from the affine form: the very same bytes.
        let (_, _, scales) = plain.affine_form().unwrap();
        assert_eq!(plain.affine_rows(3..7, scales), interleaved.affine_rows(3..7, scales));
        let again = plain.clone().with_row_order(order).unwrap().to_affine().unwrap();
        assert_eq!(dequantized(&again), dequantized(&plain.with_row_order(order).unwrap()));
    }

    #[test]
    fn quantized_values_are_near() {
        for (bits, group) in [(4, 32), (4, 64), (4, 128), (8, 32), (8, 64), (8, 128)] {
            for float in [FloatType::F32, FloatType::F16, FloatType::BF16] {
                let values: Vec<f32> =
                    noise(4 * 128, 3).iter().map(|&b| if b < 32 { 0.0 } else { f32::from(b) / 64.0 - 1.5 }).collect();
                let AffineRows { codes, scales, biases } = quantize_affine(&values, bits, group, float);
                let parts = (codes.into(), scales.into(), biases.into());
                let matrix = Matrix::affine((4, 128), bits, group, float, parts.0, parts.1, parts.2).unwrap();
                let step = 4.0 / f32::from((1u16 << bits) - 1);
                for (w, q) in values.iter().zip(dequantized(&matrix)) {
                    // Half a step, and what the rounding of scale and bias adds.
                    assert!(
                        (w - q).abs() <= 0.51 * step + 0.02,
                        "{bits} bits, group {group}, {float:?}: {w} became {q}"
                    );
                }
            }
        }
    }

    #[test]
    fn groups_without_range_keep_their_value() {
        for (value, expected) in [(0.0, 0.0), (0.75, 0.75), (-0.75, -0.75)] {
            let AffineRows { codes, scales, biases } = quantize_affine(&[value; 32], 4, 32, FloatType::F32);
            let matrix =
                Matrix::affine((1, 32), 4, 32, FloatType::F32, codes.into(), scales.into(), biases.into()).unwrap();
            assert!(dequantized(&matrix).iter().all(|&w| w == expected), "{value}");
        }
    }
}
