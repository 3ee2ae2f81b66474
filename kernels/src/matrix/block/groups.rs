//! What GGUF's blocks of 256 values have in common: groups of 16 or 32 columns, whose scales are a few bits each times
//! the block's own.

use pulp::Simd;

use super::Block;
use crate::cpu::{LANES, join};
use crate::matrix::f16::Table;
use crate::matrix::run::{accumulate, affine, centred, scaled};

/// Values a block.
pub(super) const LEN: usize = 256;

/// A block in `GROUPS` groups.
pub(super) trait Grouped<const GROUPS: usize>: Block<LEN> {
    /// Scales and biases of the groups, with [`Block::codes`].
    fn factors(&self, table: &Table) -> [[f32; GROUPS]; 2];
}

/// `w = scale · q + bias`, in groups of `GROUP`.
#[inline(always)]
pub(super) fn decode<S: Simd, B: Grouped<GROUPS>, const GROUPS: usize, const GROUP: usize>(
    simd: S,
    block: &B,
    table: &Table,
    out: &mut [f32; LEN],
) {
    let ([scales, biases], codes) = (block.factors(table), block.codes());
    let groups = codes.as_chunks::<GROUP>().0.iter().zip(out.as_chunks_mut().0);
    for ((&scale, &bias), (codes, out)) in scales.iter().zip(&biases).zip(groups) {
        affine(simd, *codes, scale, bias, out);
    }
}

/// `w = scale · (q − centre)`, in groups of 16: unlike with a bias, zeros have the sign of their scale.
#[inline(always)]
pub(super) fn decode_around<S: Simd, B: Grouped<16>>(
    simd: S,
    block: &B,
    centre: u8,
    table: &Table,
    out: &mut [f32; LEN],
) {
    let ([scales, _], codes) = (block.factors(table), block.codes());
    let groups = codes.as_chunks::<16>().0.iter().zip(out.as_chunks_mut().0);
    for (&scale, (codes, out)) in scales.iter().zip(groups) {
        scaled(simd, centred(*codes, centre), scale, out);
    }
}

/// [`Block::dot`], in groups of `GROUP`.
#[inline(always)]
pub(super) fn dot<B: Grouped<GROUPS>, const GROUPS: usize, const GROUP: usize>(
    row: &[B],
    table: &Table,
    x: &[[f32; LEN]],
    sums: &[f32],
) -> f32 {
    let (mut total, mut offsets) = ([0.0; LANES], [0.0f32; GROUPS]);
    for ((block, x), sums) in row.iter().zip(x).zip(sums.as_chunks::<GROUPS>().0) {
        let ([scales, biases], codes) = (block.factors(table), block.codes());
        let groups = codes.as_chunks::<GROUP>().0.iter().zip(x.as_chunks().0);
        for (&scale, (codes, x)) in scales.iter().zip(groups) {
            accumulate(&mut total, scale, *codes, x);
        }
        for g in 0..GROUPS {
            offsets[g] = biases[g].mul_add(sums[g], offsets[g]);
        }
    }
    join(&total) + offsets.iter().sum::<f32>()
}

/// [`Block::scale_and_bias`].
pub(super) fn factors_of<B: Grouped<GROUPS>, const GROUPS: usize>(block: &B, group: usize) -> (f32, f32) {
    let [scales, biases] = block.factors(Table::get());
    (scales[group], biases[group])
}

/// Scales and minima of Q4_K and Q5_K: eight of each, six bits wide.
#[inline(always)]
pub(super) fn six_bits(packed: &[u8; 12]) -> [[u8; 8]; 2] {
    let [mut scales, mut minima] = [[0; 8]; 2];
    for j in 0..4 {
        let [scale, min, rest] = [packed[j], packed[j + 4], packed[j + 8]];
        (scales[j], minima[j]) = (scale & 63, min & 63);
        (scales[j + 4], minima[j + 4]) = (rest & 15 | scale >> 6 << 4, rest >> 4 | min >> 6 << 4);
    }
    [scales, minima]
}

/// 32 bytes as words: eight codes are unpacked at a time, whatever the compiler makes of loops over bytes.
pub(super) type Words = [u64; 4];

/// Of each byte `(byte >> shift) & mask`, with a mask that takes nothing from the next byte.
#[inline(always)]
pub(super) fn bits(bytes: &[u8; 32], shift: usize, mask: u8) -> Words {
    let mut words: Words = bytemuck::cast(*bytes);
    for word in &mut words {
        *word = *word >> shift & u64::from_ne_bytes([mask; 8]);
    }
    words
}

/// Of each byte `low | high << shift`.
#[inline(always)]
pub(super) fn above(low: Words, high: Words, shift: usize) -> [u8; 32] {
    let mut words = low;
    for (word, high) in words.iter_mut().zip(high) {
        *word |= high << shift;
    }
    bytemuck::cast(words)
}

/// Two bits each: of every 32 bytes the lowest pairs, then the next higher ones.
#[inline(always)]
pub(super) fn quarters(bytes: &[u8; LEN / 4]) -> [u8; LEN] {
    let mut codes = [0; LEN];
    for (codes, bytes) in codes.as_chunks_mut::<128>().0.iter_mut().zip(bytes.as_chunks::<32>().0) {
        for (pair, codes) in codes.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            *codes = bytemuck::cast(bits(bytes, 2 * pair, 3));
        }
    }
    codes
}

/// `scale · scales[g]` and `−min · minima[g]`.
#[inline(always)]
pub(super) fn above_minima<const GROUPS: usize>(
    scale: f32,
    min: f32,
    [scales, minima]: [[u8; GROUPS]; 2],
) -> [[f32; GROUPS]; 2] {
    let mut factors = [[0.0; GROUPS]; 2];
    for g in 0..GROUPS {
        factors[0][g] = scale * f32::from(scales[g]);
        factors[1][g] = -min * f32::from(minima[g]);
    }
    factors
}

/// `scale · scales[g]`, and the biases for codes around `centre`.
#[inline(always)]
pub(super) fn around(centre: u8, scale: f32, scales: [i8; 16]) -> [[f32; 16]; 2] {
    let mut factors = [[0.0; 16]; 2];
    for g in 0..16 {
        factors[0][g] = scale * f32::from(scales[g]);
        factors[1][g] = -f32::from(centre) * factors[0][g];
    }
    factors
}
