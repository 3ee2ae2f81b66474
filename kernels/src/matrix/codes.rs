//! The group-affine reading of stored rows, exact for every quantized storage: `w = scale·q + bias`, q unsigned.
//!
//! GGUF's blocks are group-affine in groups of 32: `d·(q − 8) = d·q − 8d`, and Q8_0's signed `d·q` is
//! `d·(q + 128) − 128d`. Both offsets are a power of two times d, so nothing is rounded, in f32 at least.

use super::decode::f16_at;
use super::{BlockType, Encoding, FloatType, Matrix};

/// The group-affine form of a quantized matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AffineForm {
    /// Bits a code: 4 or 8.
    pub bits: u8,
    /// Columns that share a scale and a bias.
    pub group: usize,
    /// A type that holds every scale and bias exactly.
    pub scales: FloatType,
}

impl Matrix {
    /// The form that [`Matrix::affine_row`] reads rows in, or `None` for plain floats.
    pub fn affine_form(&self) -> Option<AffineForm> {
        let block_form = |bits, offset: f32| {
            // The bias is `offset·d`: f16 holds it unless it overflows.
            let fits = |d: f32| d.is_finite() && (offset * d).abs() <= half::f16::MAX.to_f32();
            let Encoding::Block(block) = self.encoding else { return None };
            let narrow = self.codes.chunks_exact(block.size()).all(|b| fits(f16_at(b, 0)));
            let scales = if narrow { FloatType::F16 } else { FloatType::F32 };
            Some(AffineForm { bits, group: BlockType::LEN, scales })
        };
        match self.encoding {
            Encoding::Float(_) => None,
            Encoding::Affine { bits, group, scales } => Some(AffineForm { bits, group, scales }),
            Encoding::Block(BlockType::Q4_0) => block_form(4, -8.0),
            Encoding::Block(BlockType::Q4_1) => {
                Some(AffineForm { bits: 4, group: BlockType::LEN, scales: FloatType::F16 })
            }
            Encoding::Block(BlockType::Q8_0) => block_form(8, -128.0),
        }
    }

    /// Codes `[cols]`, scales and biases `[cols / group]` of logical row `row` of a quantized matrix.
    ///
    /// # Panics
    /// When the matrix is of plain floats, or a slice has another length.
    pub fn affine_row(&self, row: usize, codes: &mut [u8], scales: &mut [f32], biases: &mut [f32]) {
        let stored = self.stored_row(row);
        assert_eq!(codes.len(), self.cols, "codes of another length");
        match self.encoding {
            Encoding::Float(_) => panic!("plain floats have no codes"),
            Encoding::Affine { bits, group, scales: float } => {
                let bits = bits as usize;
                let bytes = &self.codes[stored * self.cols * bits / 8..][..self.cols * bits / 8];
                match bits {
                    4 => bytes.iter().zip(codes.chunks_exact_mut(2)).for_each(|(&b, c)| {
                        c[0] = b & 15;
                        c[1] = b >> 4;
                    }),
                    _ => codes.copy_from_slice(bytes),
                }
                let first = stored * self.cols / group;
                for (g, (scale, bias)) in scales.iter_mut().zip(biases).enumerate() {
                    *scale = float.read(&self.scales, first + g);
                    *bias = float.read(&self.biases, first + g);
                }
            }
            Encoding::Block(block) => {
                let row_bytes = self.cols / BlockType::LEN * block.size();
                let blocks = self.codes[stored * row_bytes..][..row_bytes].chunks_exact(block.size());
                let outputs = codes.chunks_exact_mut(BlockType::LEN).zip(scales.iter_mut().zip(biases));
                for (bytes, (codes, (scale, bias))) in blocks.zip(outputs) {
                    *scale = f16_at(bytes, 0);
                    match block {
                        BlockType::Q4_0 => {
                            *bias = -8.0 * *scale;
                            split_nibbles(&bytes[2..], codes);
                        }
                        BlockType::Q4_1 => {
                            *bias = f16_at(bytes, 2);
                            split_nibbles(&bytes[4..], codes);
                        }
                        BlockType::Q8_0 => {
                            *bias = -128.0 * *scale;
                            bytes[2..].iter().zip(codes).for_each(|(&b, c)| *c = b ^ 0x80);
                        }
                    }
                }
            }
        }
    }
}

/// Element j is the low half of byte j, element j + 16 the high half.
fn split_nibbles(bytes: &[u8], codes: &mut [u8]) {
    let (low, high) = codes.split_at_mut(BlockType::LEN / 2);
    for ((&b, l), h) in bytes.iter().zip(low).zip(high) {
        *l = b & 15;
        *h = b >> 4;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bytes, RowOrder};
    use super::*;

    /// Bytes of blocks with every code, f16 scales of both signs, subnormals and large ones.
    fn blocks(block: BlockType, count: usize) -> Vec<u8> {
        let scales = [0x3c00u16, 0xb800, 0x0001, 0x83ff, 0x7bff, 0x1234, 0xa222];
        let mut bytes: Vec<u8> = (0..count * block.size()).map(|i| (i * 89 + i / 7) as u8).collect();
        for (i, b) in bytes.chunks_exact_mut(block.size()).enumerate() {
            b[..2].copy_from_slice(&scales[i % scales.len()].to_le_bytes());
            if block == BlockType::Q4_1 {
                b[2..4].copy_from_slice(&scales[(i + 3) % scales.len()].to_le_bytes());
            }
        }
        bytes
    }

    #[test]
    fn the_affine_form_of_blocks_is_exact() {
        let (rows, cols) = (8, 96);
        for block in [BlockType::Q4_0, BlockType::Q4_1, BlockType::Q8_0] {
            let stored = Bytes::from(blocks(block, rows * cols / BlockType::LEN));
            for order in [RowOrder::Plain, RowOrder::Interleaved { head_dim: 4 }] {
                let matrix = Matrix::blocks(rows, cols, block, stored.clone()).and_then(|m| m.with_row_order(order));
                let matrix = matrix.expect("a valid shape");
                let form = matrix.affine_form().expect("quantized");
                let (mut codes, mut expected) = (vec![0; cols], vec![0.0; cols]);
                let (mut scales, mut biases) = (vec![0.0; cols / form.group], vec![0.0; cols / form.group]);
                for row in 0..rows {
                    matrix.affine_row(row, &mut codes, &mut scales, &mut biases);
                    matrix.row(row, &mut expected);
                    for (j, &e) in expected.iter().enumerate() {
                        let g = j / form.group;
                        let got = scales[g] * f32::from(codes[j]) + biases[g];
                        assert_eq!(got, e, "{block:?} {order:?} row {row} column {j}");
                    }
                }
            }
        }
    }
}
