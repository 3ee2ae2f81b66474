//! Q4_1: 32 values of four bits above a minimum.

use bytemuck::{Pod, Zeroable};
use pulp::Simd;

use super::{Block, BlockType, split_nibbles};
use crate::cpu::{LANES, join};
use crate::matrix::f16::Table;
use crate::matrix::float::FloatType;
use crate::matrix::run::{RUN, accumulate, affine};

impl BlockType {
    /// f16 `d`, f16 `m`, 16 bytes of nibbles: `w = d·q + m`.
    pub const Q4_1: Self = Self::of::<Q4_1, _>();
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Q4_1 {
    d: [u8; 2],
    m: [u8; 2],
    nibbles: [u8; RUN / 2],
}

impl Block<RUN> for Q4_1 {
    const NAME: &'static str = "Q4_1";
    const GGUF_TYPE: u32 = 3;
    const GROUP: usize = RUN;
    const BITS: u8 = 4;

    #[inline(always)]
    fn decode<S: Simd>(&self, simd: S, table: &Table, out: &mut [f32; RUN]) {
        affine(simd, split_nibbles(&self.nibbles), table.at(self.d), table.at(self.m), out);
    }

    #[inline(always)]
    fn dot(row: &[Self], table: &Table, x: &[[f32; RUN]], sums: &[f32]) -> f32 {
        let (mut total, mut offset) = ([0.0; LANES], 0.0);
        for ((block, x), &sum) in row.iter().zip(x).zip(sums) {
            accumulate(&mut total, table.at(block.d), split_nibbles(&block.nibbles), x);
            offset = table.at(block.m).mul_add(sum, offset);
        }
        join(&total) + offset
    }

    fn scale_and_bias(&self, _: usize) -> (f32, f32) {
        (FloatType::F16.read(&self.d, 0), FloatType::F16.read(&self.m, 0))
    }

    fn codes(&self) -> [u8; RUN] {
        split_nibbles(&self.nibbles)
    }
}
