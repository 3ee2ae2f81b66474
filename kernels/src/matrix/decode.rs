//! Dequantization: stored rows to f32 panels, exactly as the formats define it.
//!
//! The loops are plain so that they vectorize; `multiversion` compiles them for each vector width.

use std::ops::Range;

use multiversion::multiversion;

use super::{BlockType, Encoding, FloatType, Matrix};

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
        for (row, out) in rows.zip(out.chunks_exact_mut(width.max(1))) {
            let stored = self.stored_row(row);
            match self.encoding {
                Encoding::Float(float) => {
                    let at = (stored * self.cols + cols.start) * float.size();
                    let bytes = &self.codes[at..at + width * float.size()];
                    match float {
                        FloatType::F32 => widen_f32(bytes, out),
                        FloatType::F16 => widen_f16(bytes, out),
                        FloatType::BF16 => widen_bf16(bytes, out),
                    }
                }
                Encoding::Affine { bits, group, scales } => {
                    let bits = bits as usize;
                    let codes = &self.codes[(stored * self.cols + cols.start) * bits / 8..][..width * bits / 8];
                    let first = (stored * self.cols + cols.start) / group;
                    for (g, (codes, out)) in
                        codes.chunks_exact(group * bits / 8).zip(out.chunks_exact_mut(group)).enumerate()
                    {
                        let scale = scales.read(&self.scales, first + g);
                        let bias = scales.read(&self.biases, first + g);
                        match bits {
                            4 => affine4(codes, scale, bias, out),
                            _ => affine8(codes, scale, bias, out),
                        }
                    }
                }
                Encoding::Block(block) => {
                    let at = (stored * self.cols + cols.start) / BlockType::LEN * block.size();
                    let blocks = &self.codes[at..at + width / BlockType::LEN * block.size()];
                    match block {
                        BlockType::Q4_0 => q4_0(blocks, out),
                        BlockType::Q4_1 => q4_1(blocks, out),
                        BlockType::Q8_0 => q8_0(blocks, out),
                    }
                }
            }
        }
    }

    /// Row `row` as f32, for embedding look-ups. `out` is `[cols]`.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        self.dequantize(row..row + 1, 0..self.cols, out);
    }
}

/// f16 to f32, exactly, without a branch on the subnormals: the exponent is rebased by a multiplication.
#[inline(always)]
pub(super) fn f16_to_f32(h: u16) -> f32 {
    let magnitude = u32::from(h & 0x7fff) << 13;
    let rebased = (f32::from_bits(magnitude) * f32::from_bits(0x7780_0000)).to_bits();
    let bits = if magnitude >= 0x0f80_0000 { magnitude | 0x7f80_0000 } else { rebased };
    f32::from_bits(bits | u32::from(h & 0x8000) << 16)
}

#[inline(always)]
pub(super) fn f16_at(bytes: &[u8], at: usize) -> f32 {
    f16_to_f32(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn widen_f32(bytes: &[u8], out: &mut [f32]) {
    for (b, o) in bytes.chunks_exact(4).zip(out) {
        *o = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn widen_f16(bytes: &[u8], out: &mut [f32]) {
    for (b, o) in bytes.chunks_exact(2).zip(out) {
        *o = f16_to_f32(u16::from_le_bytes([b[0], b[1]]));
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn widen_bf16(bytes: &[u8], out: &mut [f32]) {
    for (b, o) in bytes.chunks_exact(2).zip(out) {
        *o = f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn affine4(codes: &[u8], scale: f32, bias: f32, out: &mut [f32]) {
    for (&c, o) in codes.iter().zip(out.chunks_exact_mut(2)) {
        o[0] = scale * f32::from(c & 15) + bias;
        o[1] = scale * f32::from(c >> 4) + bias;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn affine8(codes: &[u8], scale: f32, bias: f32, out: &mut [f32]) {
    for (&c, o) in codes.iter().zip(out) {
        *o = scale * f32::from(c) + bias;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn q4_0(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.chunks_exact(18).zip(out.chunks_exact_mut(32)) {
        let d = f16_at(block, 0);
        let (low, high) = out.split_at_mut(16);
        for j in 0..16 {
            low[j] = d * (f32::from(block[2 + j] & 15) - 8.0);
            high[j] = d * (f32::from(block[2 + j] >> 4) - 8.0);
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn q4_1(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.chunks_exact(20).zip(out.chunks_exact_mut(32)) {
        let (d, m) = (f16_at(block, 0), f16_at(block, 2));
        let (low, high) = out.split_at_mut(16);
        for j in 0..16 {
            low[j] = d * f32::from(block[4 + j] & 15) + m;
            high[j] = d * f32::from(block[4 + j] >> 4) + m;
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn q8_0(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.chunks_exact(34).zip(out.chunks_exact_mut(32)) {
        let d = f16_at(block, 0);
        for j in 0..32 {
            out[j] = d * f32::from(block[2 + j] as i8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f16_widens_as_ieee_says() {
        for bits in 0..=u16::MAX {
            let expected = half::f16::from_bits(bits).to_f32();
            let got = f16_to_f32(bits);
            assert!(got.to_bits() == expected.to_bits() || (got.is_nan() && expected.is_nan()), "{bits:04x}");
        }
    }
}
