//! Q3_K: 256 values of three bits around 0.

use bytemuck::{Pod, Zeroable};
use pulp::Simd;

use super::groups::{Grouped, LEN, above, around, bits, decode_around, dot, factors_of, quarters};
use super::{Block, BlockType};
use crate::matrix::f16::Table;
use crate::matrix::run::centred;

impl BlockType {
    /// 32 bytes of third bits, 64 bytes of pairs of bits, 12 bytes of six-bit `s`, each for 16 columns, f16 `d`:
    /// `w = d·(s − 32)·(q − 4)`.
    pub const Q3_K: Self = Self::of::<Q3_K, _>();
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Q3_K {
    /// Bit r of byte j is of value 32·r + j.
    high: [u8; 32],
    pairs: [u8; LEN / 4],
    scales: [u8; 12],
    d: [u8; 2],
}

const CENTRE: u8 = 4;

impl Grouped<16> for Q3_K {
    #[inline(always)]
    fn factors(&self, table: &Table) -> [[f32; 16]; 2] {
        let mut scales = [0; 16];
        for j in 0..4 {
            let [even, odd, high] = [self.scales[j], self.scales[j + 4], self.scales[j + 8]];
            scales[j] = even & 15 | (high & 3) << 4;
            scales[j + 4] = odd & 15 | (high >> 2 & 3) << 4;
            scales[j + 8] = even >> 4 | (high >> 4 & 3) << 4;
            scales[j + 12] = odd >> 4 | high >> 6 << 4;
        }
        around(CENTRE, table.at(self.d), centred(scales, 32))
    }
}

impl Block<LEN> for Q3_K {
    const NAME: &'static str = "Q3_K";
    const GGUF_TYPE: u32 = 11;
    const GROUP: usize = 16;
    const BITS: u8 = 3;

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
        let mut codes = quarters(&self.pairs);
        for (bit, codes) in codes.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            *codes = above(bytemuck::cast(*codes), bits(&self.high, bit, 1), 2);
        }
        codes
    }
}
