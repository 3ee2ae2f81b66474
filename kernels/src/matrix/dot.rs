//! Products of stored rows with one vector, for decoding: nothing is dequantized to memory.
//!
//! A group's affine form is factored, `Σ (s·q + b)·x = s·Σ q·x + b·Σ x`; the sums of x over 32 columns are
//! made once a vector. Sixteen running sums are added up in a fixed order.

use std::ops::Range;

use multiversion::multiversion;

use super::decode::{f16_at, f16_to_f32};
use super::{BlockType, Encoding, FloatType, Matrix};

const LANES: usize = 16;

/// A vector with the sums of its blocks of 32 columns.
pub struct BlockSums {
    sums: Vec<f32>,
}

impl BlockSums {
    /// Sums every 32 values of `x`, the last block may be shorter.
    pub fn of(x: &[f32]) -> Self {
        Self { sums: x.chunks(BlockType::LEN).map(|block| block.iter().sum()).collect() }
    }
}

impl Matrix {
    /// `out[i] = Σ_k self[rows.start + i, k] · x[k]`, f32 accumulation in a fixed order.
    ///
    /// # Panics
    /// When `x` is not `[cols]`, or `out` not `[rows.len()]`.
    pub fn dot_rows(&self, rows: Range<usize>, x: &[f32], sums: &BlockSums, out: &mut [f32]) {
        assert!(x.len() == self.cols && out.len() == rows.len() && rows.end <= self.rows);
        let sums = &sums.sums;
        for (row, out) in rows.zip(out) {
            let stored = self.stored_row(row);
            *out = match self.encoding {
                Encoding::Float(float) => {
                    let bytes = &self.codes[stored * self.cols * float.size()..][..self.cols * float.size()];
                    match float {
                        FloatType::F32 => dot_f32(bytes, x),
                        FloatType::F16 => dot_f16(bytes, x),
                        FloatType::BF16 => dot_bf16(bytes, x),
                    }
                }
                Encoding::Affine { bits, group, scales } => {
                    let bits = bits as usize;
                    let codes = &self.codes[stored * self.cols * bits / 8..][..self.cols * bits / 8];
                    let first = stored * self.cols / group;
                    let mut total = [0.0; LANES];
                    let mut offset = 0.0;
                    for (g, (codes, x)) in codes.chunks_exact(group * bits / 8).zip(x.chunks_exact(group)).enumerate() {
                        let scale = scales.read(&self.scales, first + g);
                        let bias = scales.read(&self.biases, first + g);
                        let blocks = group / BlockType::LEN;
                        let sum: f32 = sums[g * blocks..(g + 1) * blocks].iter().sum();
                        match bits {
                            4 => accumulate_affine4(codes, scale, x, &mut total),
                            _ => accumulate_affine8(codes, scale, x, &mut total),
                        }
                        offset = bias.mul_add(sum, offset);
                    }
                    reduce(&total) + offset
                }
                Encoding::Block(block) => {
                    let row_bytes = self.cols / BlockType::LEN * block.size();
                    let blocks = &self.codes[stored * row_bytes..][..row_bytes];
                    match block {
                        BlockType::Q4_0 => dot_q4_0(blocks, x, sums),
                        BlockType::Q4_1 => dot_q4_1(blocks, x, sums),
                        BlockType::Q8_0 => dot_q8_0(blocks, x),
                    }
                }
            };
        }
    }
}

#[inline(always)]
fn reduce(lanes: &[f32; LANES]) -> f32 {
    let mut lanes = *lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// `Σ w[k]·x[k]` over values read two or four bytes at a time.
#[inline(always)]
fn dot_values<const SIZE: usize>(bytes: &[u8], x: &[f32], value: impl Fn(&[u8]) -> f32) -> f32 {
    let mut total = [0.0f32; LANES];
    let (chunks, tail) = (bytes.chunks_exact(SIZE * LANES), bytes.len() / (SIZE * LANES) * LANES);
    let rest = chunks.remainder();
    for (w, x) in chunks.zip(x.chunks_exact(LANES)) {
        for j in 0..LANES {
            total[j] = value(&w[j * SIZE..(j + 1) * SIZE]).mul_add(x[j], total[j]);
        }
    }
    for (j, (w, &x)) in rest.chunks_exact(SIZE).zip(&x[tail..]).enumerate() {
        total[j] = value(w).mul_add(x, total[j]);
    }
    reduce(&total)
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn dot_f32(bytes: &[u8], x: &[f32]) -> f32 {
    dot_values::<4>(bytes, x, |b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn dot_f16(bytes: &[u8], x: &[f32]) -> f32 {
    dot_values::<2>(bytes, x, |b| f16_to_f32(u16::from_le_bytes([b[0], b[1]])))
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn dot_bf16(bytes: &[u8], x: &[f32]) -> f32 {
    dot_values::<2>(bytes, x, |b| f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16))
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn accumulate_affine4(codes: &[u8], scale: f32, x: &[f32], total: &mut [f32; LANES]) {
    for (codes, x) in codes.chunks_exact(LANES).zip(x.chunks_exact(2 * LANES)) {
        for j in 0..LANES {
            let pair = f32::from(codes[j] & 15).mul_add(x[2 * j], f32::from(codes[j] >> 4) * x[2 * j + 1]);
            total[j] = scale.mul_add(pair, total[j]);
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn accumulate_affine8(codes: &[u8], scale: f32, x: &[f32], total: &mut [f32; LANES]) {
    for (codes, x) in codes.chunks_exact(LANES).zip(x.chunks_exact(LANES)) {
        for j in 0..LANES {
            total[j] = (scale * f32::from(codes[j])).mul_add(x[j], total[j]);
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn dot_q4_0(blocks: &[u8], x: &[f32], sums: &[f32]) -> f32 {
    let mut total = [0.0f32; LANES];
    let mut offset = 0.0f32;
    for ((block, x), &sum) in blocks.chunks_exact(18).zip(x.chunks_exact(32)).zip(sums) {
        let d = f16_at(block, 0);
        accumulate_nibbles(&block[2..], d, x, &mut total);
        offset = (-8.0 * d).mul_add(sum, offset);
    }
    reduce(&total) + offset
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn dot_q4_1(blocks: &[u8], x: &[f32], sums: &[f32]) -> f32 {
    let mut total = [0.0f32; LANES];
    let mut offset = 0.0f32;
    for ((block, x), &sum) in blocks.chunks_exact(20).zip(x.chunks_exact(32)).zip(sums) {
        accumulate_nibbles(&block[4..], f16_at(block, 0), x, &mut total);
        offset = f16_at(block, 2).mul_add(sum, offset);
    }
    reduce(&total) + offset
}

/// One block's nibbles: element j in the low half of byte j, element j + 16 in the high half.
#[inline(always)]
fn accumulate_nibbles(nibbles: &[u8], d: f32, x: &[f32], total: &mut [f32; LANES]) {
    let (low, high) = x.split_at(LANES);
    for j in 0..LANES {
        let pair = f32::from(nibbles[j] & 15).mul_add(low[j], f32::from(nibbles[j] >> 4) * high[j]);
        total[j] = d.mul_add(pair, total[j]);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn dot_q8_0(blocks: &[u8], x: &[f32]) -> f32 {
    let mut total = [0.0f32; LANES];
    for (block, x) in blocks.chunks_exact(34).zip(x.chunks_exact(32)) {
        let d = f16_at(block, 0);
        let (low, high) = x.split_at(LANES);
        for j in 0..LANES {
            let pair = f32::from(block[2 + j] as i8).mul_add(low[j], f32::from(block[18 + j] as i8) * high[j]);
            total[j] = d.mul_add(pair, total[j]);
        }
    }
    reduce(&total)
}
