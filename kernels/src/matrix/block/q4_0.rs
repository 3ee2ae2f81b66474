//! Q4_0: 32 values of four bits around 0.

use bytemuck::{Pod, Zeroable};
use pulp::Simd;

use super::{Block, BlockType, split_nibbles};
use crate::cpu::{LANES, join};
use crate::matrix::f16::Table;
use crate::matrix::float::FloatType;
use crate::matrix::run::{RUN, accumulate, centred, scaled};

impl BlockType {
    /// f16 `d`, 16 bytes of nibbles: `w = d·(q − 8)`.
    pub const Q4_0: Self = Self::of::<Q4_0, _>();
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Q4_0 {
    d: [u8; 2],
    nibbles: [u8; RUN / 2],
}

impl Block<RUN> for Q4_0 {
    const NAME: &'static str = "Q4_0";
    const GGUF_TYPE: u32 = 2;
    const GROUP: usize = RUN;
    const BITS: u8 = 4;

    #[inline(always)]
    fn decode<S: Simd>(&self, simd: S, table: &Table, out: &mut [f32; RUN]) {
        scaled(simd, centred(split_nibbles(&self.nibbles), 8), table.at(self.d), out);
    }

    #[inline(always)]
    fn dot(row: &[Self], table: &Table, x: &[[f32; RUN]], sums: &[f32]) -> f32 {
        let (mut total, mut offset) = ([0.0; LANES], 0.0);
        for ((block, x), &sum) in row.iter().zip(x).zip(sums) {
            let d = table.at(block.d);
            accumulate(&mut total, d, split_nibbles(&block.nibbles), x);
            offset = (-8.0 * d).mul_add(sum, offset);
        }
        join(&total) + offset
    }

    fn scale_and_bias(&self, _: usize) -> (f32, f32) {
        let d = FloatType::F16.read(&self.d, 0);
        (d, d * -8.0)
    }

    fn codes(&self) -> [u8; RUN] {
        split_nibbles(&self.nibbles)
    }
}
