//! Products of stored rows with one vector, for decoding: nothing is dequantized to memory.
//!
//! A group's affine form is factored, `Σ (s·q + b)·x = s·Σ q·x + b·Σ x`; the sums of x over 32 columns are
//! made once a vector. Sixteen running sums are added up in a fixed order.

use std::ops::Range;

use multiversion::multiversion;

use super::decode::{Factors, RUN, pair_nibbles, split_nibbles};
use super::f16::{Table, widen};
use super::{BlockType, Encoding, FloatType, Matrix};
use crate::cpu::{LANES, join};

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
        let (table, sums) = (Table::get(), &sums.sums);
        let mut factors = Factors::default();
        for (row, out) in rows.zip(out) {
            let start = self.stored_row(row) * self.cols;
            *out = match self.encoding {
                Encoding::Float(float) => {
                    let bytes = &self.codes[start * float.size()..][..self.cols * float.size()];
                    match float {
                        FloatType::F32 => dot_f32(bytes, x),
                        FloatType::F16 => dot_f16(bytes, x),
                        FloatType::BF16 => dot_bf16(bytes, x),
                    }
                }
                Encoding::Affine { bits, group, .. } => {
                    let bits = bits as usize;
                    let codes = &self.codes[start * bits / 8..][..self.cols * bits / 8];
                    factors.read(self, start / group..(start + self.cols) / group);
                    match bits {
                        4 => dot_affine4(codes, group, &factors, x, sums),
                        _ => dot_affine8(codes, group, &factors, x, sums),
                    }
                }
                Encoding::Block(block) => {
                    let row_bytes = self.cols / BlockType::LEN * block.size();
                    let blocks = &self.codes[start / BlockType::LEN * block.size()..][..row_bytes];
                    match block {
                        BlockType::Q4_0 => dot_q4_0(table, blocks, x, sums),
                        BlockType::Q4_1 => dot_q4_1(table, blocks, x, sums),
                        BlockType::Q8_0 => dot_q8_0(table, blocks, x),
                    }
                }
            };
        }
    }
}

/// `total[j] += scale · (codes[j]·x[j] + codes[j + 16]·x[j + 16])`.
#[inline(always)]
fn accumulate<Code: Copy>(total: &mut [f32; LANES], scale: f32, codes: [Code; RUN], x: &[f32; RUN])
where
    f32: From<Code>,
{
    let mut pair = [0.0f32; LANES];
    for j in 0..LANES {
        pair[j] = f32::from(codes[j]) * x[j];
    }
    for j in 0..LANES {
        pair[j] = f32::from(codes[j + LANES]).mul_add(x[j + LANES], pair[j]);
    }
    for j in 0..LANES {
        total[j] = scale.mul_add(pair[j], total[j]);
    }
}

/// `Σ w[k]·x[k]` over values read two or four bytes at a time.
#[inline(always)]
fn dot_values<const SIZE: usize>(bytes: &[u8], x: &[f32], value: impl Fn(&[u8; SIZE]) -> f32) -> f32 {
    let mut total = [0.0f32; LANES];
    let (values, (x, x_rest)) = (bytes.as_chunks::<SIZE>().0, x.as_chunks::<LANES>());
    let (values, rest) = values.as_chunks::<LANES>();
    for (w, x) in values.iter().zip(x) {
        for j in 0..LANES {
            total[j] = value(&w[j]).mul_add(x[j], total[j]);
        }
    }
    for (total, (w, &x)) in total.iter_mut().zip(rest.iter().zip(x_rest)) {
        *total = value(w).mul_add(x, *total);
    }
    join(&total)
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn dot_f32(bytes: &[u8], x: &[f32]) -> f32 {
    dot_values(bytes, x, |b| f32::from_le_bytes(*b))
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn dot_f16(bytes: &[u8], x: &[f32]) -> f32 {
    dot_values(bytes, x, |b| widen(u16::from_le_bytes(*b)))
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn dot_bf16(bytes: &[u8], x: &[f32]) -> f32 {
    dot_values(bytes, x, |b| f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16))
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn dot_affine4(codes: &[u8], group: usize, factors: &Factors, x: &[f32], sums: &[f32]) -> f32 {
    let mut total = [0.0; LANES];
    for ((codes, x), &scale) in codes.chunks_exact(group / 2).zip(x.chunks_exact(group)).zip(&factors.scales) {
        for (codes, x) in codes.as_chunks().0.iter().zip(x.as_chunks().0) {
            accumulate(&mut total, scale, pair_nibbles(codes), x);
        }
    }
    join(&total) + offset(group, factors, sums)
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn dot_affine8(codes: &[u8], group: usize, factors: &Factors, x: &[f32], sums: &[f32]) -> f32 {
    let mut total = [0.0; LANES];
    for ((codes, x), &scale) in codes.chunks_exact(group).zip(x.chunks_exact(group)).zip(&factors.scales) {
        for (codes, x) in codes.as_chunks::<RUN>().0.iter().zip(x.as_chunks().0) {
            accumulate(&mut total, scale, *codes, x);
        }
    }
    join(&total) + offset(group, factors, sums)
}

/// `Σ bias · Σ x` over the groups.
#[inline(always)]
fn offset(group: usize, factors: &Factors, sums: &[f32]) -> f32 {
    let group_sums = sums.chunks_exact(group / BlockType::LEN).map(|sums| sums.iter().sum::<f32>());
    factors.biases.iter().zip(group_sums).fold(0.0, |total, (bias, sum)| bias.mul_add(sum, total))
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn dot_q4_0(table: &Table, blocks: &[u8], x: &[f32], sums: &[f32]) -> f32 {
    let (mut total, mut offset) = ([0.0; LANES], 0.0);
    for ((block, x), &sum) in blocks.as_chunks::<18>().0.iter().zip(x.as_chunks().0).zip(sums) {
        let (d, [_, _, nibbles @ ..]) = (table.at(block, 0), block);
        accumulate(&mut total, d, split_nibbles(nibbles), x);
        offset = (-8.0 * d).mul_add(sum, offset);
    }
    join(&total) + offset
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn dot_q4_1(table: &Table, blocks: &[u8], x: &[f32], sums: &[f32]) -> f32 {
    let (mut total, mut offset) = ([0.0; LANES], 0.0);
    for ((block, x), &sum) in blocks.as_chunks::<20>().0.iter().zip(x.as_chunks().0).zip(sums) {
        let [_, _, _, _, nibbles @ ..] = block;
        accumulate(&mut total, table.at(block, 0), split_nibbles(nibbles), x);
        offset = table.at(block, 2).mul_add(sum, offset);
    }
    join(&total) + offset
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn dot_q8_0(table: &Table, blocks: &[u8], x: &[f32]) -> f32 {
    let mut total = [0.0; LANES];
    for (block, x) in blocks.as_chunks::<34>().0.iter().zip(x.as_chunks().0) {
        let [_, _, codes @ ..] = block;
        accumulate(&mut total, table.at(block, 0), bytemuck::cast::<_, [i8; RUN]>(*codes), x);
    }
    join(&total)
}
