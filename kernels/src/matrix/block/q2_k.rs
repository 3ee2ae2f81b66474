//! Q2_K: 256 values of two bits above a minimum.

use bytemuck::{Pod, Zeroable};
use pulp::Simd;

use super::groups::{Grouped, LEN, above_minima, decode, dot, factors_of, quarters};
use super::{Block, BlockType};
use crate::matrix::f16::Table;

impl BlockType {
    /// 16 bytes of four-bit `s` and `t`, a pair for each 16 columns, 64 bytes of pairs of bits, f16 `d`, f16 `m`:
    /// `w = d·s·q − m·t`.
    pub const Q2_K: Self = Self::of::<Q2_K, _>();
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Q2_K {
    scales: [u8; 16],
    pairs: [u8; LEN / 4],
    d: [u8; 2],
    m: [u8; 2],
}

impl Grouped<16> for Q2_K {
    #[inline(always)]
    fn factors(&self, table: &Table) -> [[f32; 16]; 2] {
        let [mut scales, mut minima] = [[0; 16]; 2];
        for g in 0..16 {
            (scales[g], minima[g]) = (self.scales[g] & 15, self.scales[g] >> 4);
        }
        above_minima(table.at(self.d), table.at(self.m), [scales, minima])
    }
}

impl Block<LEN> for Q2_K {
    const NAME: &'static str = "Q2_K";
    const GGUF_TYPE: u32 = 10;
    const GROUP: usize = 16;
    const BITS: u8 = 2;

    #[inline(always)]
    fn decode<S: Simd>(&self, simd: S, table: &Table, out: &mut [f32; LEN]) {
        decode::<_, _, 16, 16>(simd, self, table, out);
    }

    #[inline(always)]
    fn dot(row: &[Self], table: &Table, x: &[[f32; LEN]], sums: &[f32]) -> f32 {
        dot::<_, 16, 16>(row, table, x, sums)
    }

    fn scale_and_bias(&self, group: usize) -> (f32, f32) {
        factors_of(self, group)
    }

    #[inline(always)]
    fn codes(&self) -> [u8; LEN] {
        quarters(&self.pairs)
    }
}
