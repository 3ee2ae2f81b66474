//! GGUF's block formats: a file each, which holds all that the format is, and a row of [`BlockType::ALL`].

mod groups;
mod iq4_nl;
mod q2_k;
mod q3_k;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_0;
mod q5_1;
mod q5_k;
mod q6_k;
mod q8_0;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use bytemuck::Pod;
use pulp::{Arch, Simd, WithSimd};

use super::affine::AffineRows;
use super::f16::Table;
use super::float::FloatType;
use super::rows::Stored;
use super::run::RUN;
use crate::cpu::vectorized;

/// A block of `LEN` values along a row, as it lies in the file.
trait Block<const LEN: usize>: Pod {
    /// The format's name in GGUF.
    const NAME: &'static str;
    /// Its type's number there.
    const GGUF_TYPE: u32;
    /// Columns that share a scale and a bias.
    const GROUP: usize;
    /// Bits of [`Block::codes`].
    const BITS: u8;

    /// The values, as the format defines them.
    fn decode<S: Simd>(&self, simd: S, table: &Table, out: &mut [f32; LEN]);

    /// `Σ w[k]·x[k]` over a row of blocks, without rounding a weight; `sums` are those of x over each group's columns.
    fn dot(row: &[Self], table: &Table, x: &[[f32; LEN]], sums: &[f32]) -> f32;

    /// Scale and bias of a group in the group-affine form, with [`Block::codes`].
    fn scale_and_bias(&self, group: usize) -> (f32, f32);

    /// Unsigned codes: `w = scale · q + bias` gives the very values, but for the sign of a zero. The product has at most
    /// 24 bits, so that the sum is all that is rounded, fused or not.
    fn codes(&self) -> [u8; LEN];
}

/// A block format, by its row in the table.
#[derive(Clone, Copy)]
pub struct BlockType(&'static Format);

/// What [`Block`] says, for formats that are known when the program runs.
struct Format {
    name: &'static str,
    gguf_type: u32,
    len: usize,
    size: usize,
    group: usize,
    bits: u8,
    dequantize: fn(&Stored<'_>, &mut [f32]),
    dot: fn(&Stored<'_>, &[f32], &[f32], &mut [f32]),
    fits_f16: fn(&[u8]) -> bool,
    repack: fn(&[u8], u8, FloatType, &mut AffineRows),
}

impl BlockType {
    /// Every format that is read.
    pub const ALL: [Self; 11] = [
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2_K,
        Self::Q3_K,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
        Self::IQ4_NL,
    ];

    const fn of<B: Block<LEN>, const LEN: usize>() -> Self {
        assert!(LEN.is_multiple_of(RUN) && LEN.is_multiple_of(B::GROUP) && B::GROUP.is_multiple_of(RUN / 2));
        Self(
            const {
                &Format {
                    name: B::NAME,
                    gguf_type: B::GGUF_TYPE,
                    len: LEN,
                    size: size_of::<B>(),
                    group: B::GROUP,
                    bits: B::BITS,
                    dequantize: dequantize::<B, LEN>,
                    dot: dot::<B, LEN>,
                    fits_f16: fits_f16::<B, LEN>,
                    repack: repack::<B, LEN>,
                }
            },
        )
    }

    /// The format's name in GGUF: `Q4_0`.
    pub const fn name(self) -> &'static str {
        self.0.name
    }

    /// The number of this type in GGUF files.
    pub const fn gguf_type(self) -> u32 {
        self.0.gguf_type
    }

    /// Values a block, along a row.
    #[expect(clippy::len_without_is_empty, reason = "no container")]
    pub const fn len(self) -> usize {
        self.0.len
    }

    /// Bytes a block.
    pub const fn size(self) -> usize {
        self.0.size
    }

    /// Columns that share a scale and a bias.
    pub const fn group(self) -> usize {
        self.0.group
    }

    /// Bits a code in the group-affine form.
    pub const fn bits(self) -> u8 {
        self.0.bits
    }

    /// Bytes of `columns`, which are whole blocks.
    pub(super) const fn bytes_of(self, columns: usize) -> usize {
        columns / self.0.len * self.0.size
    }

    /// The values of whole blocks.
    pub(super) fn dequantize(self, stored: &Stored<'_>, out: &mut [f32]) {
        (self.0.dequantize)(stored, out);
    }

    /// `Σ w[k]·x[k]` over each row, whole blocks; `sums` are those of x over each group's columns.
    pub(super) fn dot(self, stored: &Stored<'_>, x: &[f32], sums: &[f32], out: &mut [f32]) {
        (self.0.dot)(stored, x, sums, out);
    }

    /// The type of scales and biases that holds those of all `blocks` in the group-affine form.
    pub(super) fn scale_type(self, blocks: &[u8]) -> FloatType {
        if (self.0.fits_f16)(blocks) { FloatType::F16 } else { FloatType::F32 }
    }

    /// Appends blocks in the group-affine form, their codes of so many bits.
    pub(super) fn repack(self, blocks: &[u8], bits: u8, scales: FloatType, out: &mut AffineRows) {
        (self.0.repack)(blocks, bits, scales, out);
    }
}

impl PartialEq for BlockType {
    fn eq(&self, other: &Self) -> bool {
        self.0.gguf_type == other.0.gguf_type
    }
}

impl Eq for BlockType {}

impl Hash for BlockType {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.gguf_type.hash(state);
    }
}

impl fmt::Debug for BlockType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

fn dequantize<B: Block<LEN>, const LEN: usize>(stored: &Stored<'_>, out: &mut [f32]) {
    Arch::new().dispatch(Dequantize::<B, LEN> { stored, out, blocks: PhantomData });
}

struct Dequantize<'a, B, const LEN: usize> {
    stored: &'a Stored<'a>,
    out: &'a mut [f32],
    blocks: PhantomData<B>,
}

impl<B: Block<LEN>, const LEN: usize> WithSimd for Dequantize<'_, B, LEN> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let table = Table::get();
        for ((_, codes), out) in self.stored.beside(self.out) {
            let blocks: &[B] = bytemuck::cast_slice(codes);
            blocks.iter().zip(out.as_chunks_mut().0).for_each(|(block, out)| block.decode(simd, table, out));
        }
    }
}

fn dot<B: Block<LEN>, const LEN: usize>(stored: &Stored<'_>, x: &[f32], sums: &[f32], out: &mut [f32]) {
    vectorized!(dot_rows::<B, LEN>(stored, x, sums, out));
}

#[inline(always)]
fn dot_rows<B: Block<LEN>, const LEN: usize>(stored: &Stored<'_>, x: &[f32], sums: &[f32], out: &mut [f32]) {
    let (table, x) = (Table::get(), x.as_chunks().0);
    for ((_, codes), out) in stored.rows().zip(out) {
        *out = B::dot(bytemuck::cast_slice(codes), table, x, sums);
    }
}

fn fits_f16<B: Block<LEN>, const LEN: usize>(blocks: &[u8]) -> bool {
    let fits = |value: f32| value.is_nan() || half::f16::from_f32(value).to_f32() == value;
    bytemuck::cast_slice(blocks).iter().all(|block: &B| {
        (0..LEN / B::GROUP).all(|group| {
            let (scale, bias) = block.scale_and_bias(group);
            fits(scale) && fits(bias)
        })
    })
}

fn repack<B: Block<LEN>, const LEN: usize>(blocks: &[u8], bits: u8, scales: FloatType, out: &mut AffineRows) {
    for block in bytemuck::cast_slice::<u8, B>(blocks) {
        for group in 0..LEN / B::GROUP {
            let (scale, bias) = block.scale_and_bias(group);
            scales.write(scale, &mut out.scales);
            scales.write(bias, &mut out.biases);
        }
        out.pack(bits, &block.codes());
    }
}

/// GGUF's order: element j is the low half of byte j, element j + 16 the high half.
#[inline(always)]
fn split_nibbles(bytes: &[u8; RUN / 2]) -> [u8; RUN] {
    let mut codes = [0; RUN];
    for j in 0..RUN / 2 {
        codes[j] = bytes[j] & 15;
    }
    for j in 0..RUN / 2 {
        codes[j + RUN / 2] = bytes[j] >> 4;
    }
    codes
}

/// [`split_nibbles`] and a fifth bit for each, bit j of `bits`. Spread first and not shifted, it vectorizes.
#[inline(always)]
fn with_fifth_bits(bytes: &[u8; RUN / 2], bits: [u8; RUN / 8]) -> [u8; RUN] {
    let (mut codes, mut spread) = (split_nibbles(bytes), [0; RUN]);
    for j in 0..RUN {
        spread[j] = bits[j / 8];
    }
    for j in 0..RUN {
        codes[j] |= if spread[j] & 1 << (j % 8) == 0 { 0 } else { 16 };
    }
    codes
}
