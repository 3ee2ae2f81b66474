//! Q5_K: 256 values of five bits above a minimum.

use bytemuck::{Pod, Zeroable};
use pulp::Simd;

use super::groups::{Grouped, LEN, above, above_minima, bits, decode, dot, factors_of, six_bits};
use super::{Block, BlockType};
use crate::matrix::f16::Table;

impl BlockType {
    /// f16 `d`, f16 `m`, 12 bytes of six-bit `s` and `t`, a pair for each 32 columns, 32 bytes of fifth bits, 128 of
    /// nibbles: `w = d·s·q − m·t`.
    pub const Q5_K: Self = Self::of::<Q5_K, _>();
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Q5_K {
    d: [u8; 2],
    m: [u8; 2],
    scales: [u8; 12],
    /// Bit g of byte j is of value j of group g.
    high: [u8; 32],
    nibbles: [u8; LEN / 2],
}

impl Grouped<8> for Q5_K {
    #[inline(always)]
    fn factors(&self, table: &Table) -> [[f32; 8]; 2] {
        above_minima(table.at(self.d), table.at(self.m), six_bits(&self.scales))
    }
}

impl Block<LEN> for Q5_K {
    const NAME: &'static str = "Q5_K";
    const GGUF_TYPE: u32 = 13;
    const GROUP: usize = 32;
    const BITS: u8 = 5;

    #[inline(always)]
    fn decode<S: Simd>(&self, simd: S, table: &Table, out: &mut [f32; LEN]) {
        decode::<_, _, 8, 32>(simd, self, table, out);
    }

    #[inline(always)]
    fn dot(row: &[Self], table: &Table, x: &[[f32; LEN]], sums: &[f32]) -> f32 {
        dot::<_, 8, 32>(row, table, x, sums)
    }

    fn scale_and_bias(&self, group: usize) -> (f32, f32) {
        factors_of(self, group)
    }

    #[inline(always)]
    fn codes(&self) -> [u8; LEN] {
        let mut codes = [0; LEN];
        for (pair, (codes, nibbles)) in
            codes.as_chunks_mut::<64>().0.iter_mut().zip(self.nibbles.as_chunks::<32>().0).enumerate()
        {
            for (half, codes) in codes.as_chunks_mut::<32>().0.iter_mut().enumerate() {
                *codes = above(bits(nibbles, 4 * half, 15), bits(&self.high, 2 * pair + half, 1), 4);
            }
        }
        codes
    }
}
