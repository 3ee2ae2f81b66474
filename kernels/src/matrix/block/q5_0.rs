//! Q5_0: 32 values of five bits around 0.

use bytemuck::{Pod, Zeroable};
use pulp::Simd;

use super::{Block, BlockType, with_fifth_bits};
use crate::cpu::{LANES, join};
use crate::matrix::f16::Table;
use crate::matrix::float::FloatType;
use crate::matrix::run::{RUN, accumulate, centred, scaled};

impl BlockType {
    /// f16 `d`, 4 bytes of fifth bits, 16 bytes of nibbles: `w = d·(q − 16)`.
    pub const Q5_0: Self = Self::of::<Q5_0, _>();
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Q5_0 {
    d: [u8; 2],
    high: [u8; RUN / 8],
    nibbles: [u8; RUN / 2],
}

impl Block<RUN> for Q5_0 {
    const NAME: &'static str = "Q5_0";
    const GGUF_TYPE: u32 = 6;
    const GROUP: usize = RUN;
    const BITS: u8 = 5;

    #[inline(always)]
    fn decode<S: Simd>(&self, simd: S, table: &Table, out: &mut [f32; RUN]) {
        scaled(simd, centred(self.codes(), 16), table.at(self.d), out);
    }

    #[inline(always)]
    fn dot(row: &[Self], table: &Table, x: &[[f32; RUN]], sums: &[f32]) -> f32 {
        let (mut total, mut offset) = ([0.0; LANES], 0.0);
        for ((block, x), &sum) in row.iter().zip(x).zip(sums) {
            let d = table.at(block.d);
            accumulate(&mut total, d, block.codes(), x);
            offset = (-16.0 * d).mul_add(sum, offset);
        }
        join(&total) + offset
    }

    fn scale_and_bias(&self, _: usize) -> (f32, f32) {
        let d = FloatType::F16.read(&self.d, 0);
        (d, d * -16.0)
    }

    #[inline(always)]
    fn codes(&self) -> [u8; RUN] {
        with_fifth_bits(&self.nibbles, self.high)
    }
}
