//! Dequantization: stored rows to f32 panels, exactly as the formats define it.
//!
//! The loops are plain so that they vectorize; `multiversion` compiles them for each vector width.

use std::ops::Range;

use multiversion::multiversion;

use super::f16::{Table, widen};
use super::{BlockType, Encoding, FloatType, Matrix};

/// Codes that are unpacked at a time.
pub(super) const RUN: usize = 32;

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
        let table = Table::get();
        let mut factors = Factors::default();
        for (row, out) in rows.zip(out.chunks_exact_mut(width.max(1))) {
            let start = self.stored_row(row) * self.cols + cols.start;
            match self.encoding {
                Encoding::Float(float) => {
                    let bytes = &self.codes[start * float.size()..][..width * float.size()];
                    match float {
                        FloatType::F32 => widen_f32(bytes, out),
                        FloatType::F16 => widen_f16(bytes, out),
                        FloatType::BF16 => widen_bf16(bytes, out),
                    }
                }
                Encoding::Affine { bits, group, .. } => {
                    let bits = bits as usize;
                    let codes = &self.codes[start * bits / 8..][..width * bits / 8];
                    factors.read(self, start / group..(start + width).div_ceil(group));
                    let groups = Groups { runs: group / RUN, first: start % group / RUN };
                    match bits {
                        4 => affine4(codes, groups, &factors, out),
                        _ => affine8(codes, groups, &factors, out),
                    }
                }
                Encoding::Block(block) => {
                    let blocks =
                        &self.codes[start / BlockType::LEN * block.size()..][..width / BlockType::LEN * block.size()];
                    match block {
                        BlockType::Q4_0 => q4_0(table, blocks, out),
                        BlockType::Q4_1 => q4_1(table, blocks, out),
                        BlockType::Q8_0 => q8_0(table, blocks, out),
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

/// Scales and biases of some groups of a group-affine matrix.
#[derive(Default)]
pub(super) struct Factors {
    pub(super) scales: Vec<f32>,
    pub(super) biases: Vec<f32>,
}

impl Factors {
    /// Takes those of `groups`, counted over the whole matrix, in place of what it held.
    pub(super) fn read(&mut self, matrix: &Matrix, groups: Range<usize>) {
        let Encoding::Affine { scales: float, .. } = matrix.encoding else { return };
        for (stored, factors) in [(&matrix.scales, &mut self.scales), (&matrix.biases, &mut self.biases)] {
            factors.resize(groups.len(), 0.0);
            let bytes = &stored[groups.start * float.size()..groups.end * float.size()];
            match float {
                FloatType::F32 => widen_f32(bytes, factors),
                FloatType::F16 => widen_f16(bytes, factors),
                FloatType::BF16 => widen_bf16(bytes, factors),
            }
        }
    }
}

/// GGUF's order: element j is the low half of byte j, element j + 16 the high half.
#[inline(always)]
pub(super) fn split_nibbles(bytes: &[u8; RUN / 2]) -> [u8; RUN] {
    let mut codes = [0; RUN];
    for j in 0..RUN / 2 {
        codes[j] = bytes[j] & 15;
    }
    for j in 0..RUN / 2 {
        codes[j + RUN / 2] = bytes[j] >> 4;
    }
    codes
}

/// MLX's order: element 2j is the low half of byte j, element 2j + 1 the high half.
#[inline(always)]
pub(super) fn pair_nibbles(bytes: &[u8; RUN / 2]) -> [u8; RUN] {
    let mut codes = [0; RUN];
    for j in 0..RUN / 2 {
        codes[2 * j] = bytes[j] & 15;
        codes[2 * j + 1] = bytes[j] >> 4;
    }
    codes
}

/// `out[j] = scale · codes[j] + bias`.
#[inline(always)]
fn affine(codes: [u8; RUN], scale: f32, bias: f32, out: &mut [f32; RUN]) {
    for j in 0..RUN {
        out[j] = scale * f32::from(codes[j]) + bias;
    }
    // Else the compiler vectorizes over several runs at once and gathers their codes byte by byte.
    std::hint::black_box(());
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
        *o = widen(u16::from_le_bytes([b[0], b[1]]));
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn widen_bf16(bytes: &[u8], out: &mut [f32]) {
    for (b, o) in bytes.chunks_exact(2).zip(out) {
        *o = f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16);
    }
}

/// Which group of a panel's row each run lies in.
#[derive(Clone, Copy)]
struct Groups {
    /// Runs a group: 1, 2 or 4.
    runs: usize,
    /// Runs of the first group that come before the panel.
    first: usize,
}

impl Groups {
    #[inline(always)]
    fn of(self, run: usize) -> usize {
        (self.first + run) >> self.runs.trailing_zeros()
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn affine4(codes: &[u8], groups: Groups, factors: &Factors, out: &mut [f32]) {
    for (run, (codes, out)) in codes.as_chunks().0.iter().zip(out.as_chunks_mut().0).enumerate() {
        let group = groups.of(run);
        affine(pair_nibbles(codes), factors.scales[group], factors.biases[group], out);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn affine8(codes: &[u8], groups: Groups, factors: &Factors, out: &mut [f32]) {
    for (run, (codes, out)) in codes.as_chunks().0.iter().zip(out.as_chunks_mut().0).enumerate() {
        let group = groups.of(run);
        affine(*codes, factors.scales[group], factors.biases[group], out);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn q4_0(table: &Table, blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<18>().0.iter().zip(out.as_chunks_mut::<RUN>().0) {
        let (d, [_, _, nibbles @ ..]) = (table.at(block, 0), block);
        let codes = split_nibbles(nibbles);
        for j in 0..RUN {
            out[j] = d * (f32::from(codes[j]) - 8.0);
        }
        std::hint::black_box(()); // as in `affine`
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn q4_1(table: &Table, blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<20>().0.iter().zip(out.as_chunks_mut().0) {
        let [_, _, _, _, nibbles @ ..] = block;
        affine(split_nibbles(nibbles), table.at(block, 0), table.at(block, 2), out);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn q8_0(table: &Table, blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<34>().0.iter().zip(out.as_chunks_mut::<RUN>().0) {
        let (d, [_, _, codes @ ..]) = (table.at(block, 0), block);
        for j in 0..RUN {
            out[j] = d * f32::from(codes[j] as i8);
        }
        std::hint::black_box(()); // as in `affine`
    }
}
