//! Q6_K: 256 values of six bits around 0.

use bytemuck::{Pod, Zeroable};
use pulp::Simd;

use super::groups::{Grouped, LEN, above, around, bits, decode_around, dot, factors_of};
use super::{Block, BlockType};
use crate::matrix::f16::Table;

impl BlockType {
    /// 128 bytes of nibbles and 64 of pairs of bits, 16 signed bytes `s`, each for 16 columns, f16 `d`:
    /// `w = d·s·(q − 32)`.
    pub const Q6_K: Self = Self::of::<Q6_K, _>();
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Q6_K {
    low: [u8; LEN / 2],
    high: [u8; LEN / 4],
    scales: [i8; 16],
    d: [u8; 2],
}

const CENTRE: u8 = 32;

impl Grouped<16> for Q6_K {
    #[inline(always)]
    fn factors(&self, table: &Table) -> [[f32; 16]; 2] {
        around(CENTRE, table.at(self.d), self.scales)
    }
}

impl Block<LEN> for Q6_K {
    const NAME: &'static str = "Q6_K";
    const GGUF_TYPE: u32 = 14;
    const GROUP: usize = 16;
    const BITS: u8 = 6;

    #[inline(always)]
    fn decode<S: Simd>(&self, simd: S, table: &Table, out: &mut [f32; LEN]) {
        decode_around(simd, self, CENTRE, table, out);
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
        let mut codes = [0; LEN];
        let halves = self.low.as_chunks::<64>().0.iter().zip(self.high.as_chunks::<32>().0);
        for (codes, (low, high)) in codes.as_chunks_mut::<128>().0.iter_mut().zip(halves) {
            let (low, codes) = (low.as_chunks::<32>().0, codes.as_chunks_mut::<32>().0);
            for (quarter, codes) in codes.iter_mut().enumerate() {
                *codes = above(bits(&low[quarter % 2], quarter / 2 * 4, 15), bits(high, 2 * quarter, 3), 4);
            }
        }
        codes
    }
}
