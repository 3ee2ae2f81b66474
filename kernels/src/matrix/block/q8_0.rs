//! Q8_0: 32 values of eight bits around 0.

use bytemuck::{Pod, Zeroable};
use pulp::Simd;

use super::{Block, BlockType};
use crate::cpu::{LANES, join};
use crate::matrix::f16::Table;
use crate::matrix::float::FloatType;
use crate::matrix::run::{RUN, accumulate, scaled};

impl BlockType {
    /// f16 `d`, 32 signed bytes: `w = d·q`.
    pub const Q8_0: Self = Self::of::<Q8_0, _>();
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Q8_0 {
    d: [u8; 2],
    codes: [i8; RUN],
}

impl Block<RUN> for Q8_0 {
    const NAME: &'static str = "Q8_0";
    const GGUF_TYPE: u32 = 8;
    const GROUP: usize = RUN;
    const BITS: u8 = 8;

    #[inline(always)]
    fn decode<S: Simd>(&self, simd: S, table: &Table, out: &mut [f32; RUN]) {
        scaled(simd, self.codes, table.at(self.d), out);
    }

    #[inline(always)]
    fn dot(row: &[Self], table: &Table, x: &[[f32; RUN]], _: &[f32]) -> f32 {
        let mut total = [0.0; LANES];
        for (block, x) in row.iter().zip(x) {
            accumulate(&mut total, table.at(block.d), block.codes, x);
        }
        join(&total)
    }

    fn scale_and_bias(&self, _: usize) -> (f32, f32) {
        let d = FloatType::F16.read(&self.d, 0);
        (d, d * -128.0)
    }

    fn codes(&self) -> [u8; RUN] {
        // q + 128
        self.codes.map(|q| q as u8 ^ 0x80)
    }
}
