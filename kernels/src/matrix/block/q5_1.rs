//! Q5_1: 32 values of five bits above a minimum.

use bytemuck::{Pod, Zeroable};
use pulp::Simd;

use super::{Block, BlockType, with_fifth_bits};
use crate::cpu::{LANES, join};
use crate::matrix::f16::Table;
use crate::matrix::float::FloatType;
use crate::matrix::run::{RUN, accumulate, affine};

impl BlockType {
    /// f16 `d`, f16 `m`, 4 bytes of fifth bits, 16 bytes of nibbles: `w = d·q + m`.
    pub const Q5_1: Self = Self::of::<Q5_1, _>();
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Q5_1 {
    d: [u8; 2],
    m: [u8; 2],
    high: [u8; RUN / 8],
    nibbles: [u8; RUN / 2],
}

impl Block<RUN> for Q5_1 {
    const NAME: &'static str = "Q5_1";
    const GGUF_TYPE: u32 = 7;
    const GROUP: usize = RUN;
    const BITS: u8 = 5;

    #[inline(always)]
    fn decode<S: Simd>(&self, simd: S, table: &Table, out: &mut [f32; RUN]) {
        affine(simd, self.codes(), table.at(self.d), table.at(self.m), out);
    }

    #[inline(always)]
    fn dot(row: &[Self], table: &Table, x: &[[f32; RUN]], sums: &[f32]) -> f32 {
        let (mut total, mut offset) = ([0.0; LANES], 0.0);
        for ((block, x), &sum) in row.iter().zip(x).zip(sums) {
            accumulate(&mut total, table.at(block.d), block.codes(), x);
            offset = table.at(block.m).mul_add(sum, offset);
        }
        join(&total) + offset
    }

    fn scale_and_bias(&self, _: usize) -> (f32, f32) {
        (FloatType::F16.read(&self.d, 0), FloatType::F16.read(&self.m, 0))
    }

    #[inline(always)]
    fn codes(&self) -> [u8; RUN] {
        with_fifth_bits(&self.nibbles, self.high)
    }
}
