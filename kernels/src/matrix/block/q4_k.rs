//! Q4_K: 256 values of four bits above a minimum.

use bytemuck::{Pod, Zeroable};
use pulp::Simd;

use super::groups::{Grouped, LEN, above_minima, bits, decode, dot, factors_of, six_bits};
use super::{Block, BlockType};
use crate::matrix::f16::Table;

impl BlockType {
    /// f16 `d`, f16 `m`, 12 bytes of six-bit `s` and `t`, a pair for each 32 columns, 128 bytes of nibbles:
    /// `w = d·s·q − m·t`.
    pub const Q4_K: Self = Self::of::<Q4_K, _>();
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Q4_K {
    d: [u8; 2],
    m: [u8; 2],
    scales: [u8; 12],
    nibbles: [u8; LEN / 2],
}

impl Grouped<8> for Q4_K {
    #[inline(always)]
    fn factors(&self, table: &Table) -> [[f32; 8]; 2] {
        above_minima(table.at(self.d), table.at(self.m), six_bits(&self.scales))
    }
}

impl Block<LEN> for Q4_K {
    const NAME: &'static str = "Q4_K";
    const GGUF_TYPE: u32 = 12;
    const GROUP: usize = 32;
    const BITS: u8 = 4;

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
        for (codes, nibbles) in codes.as_chunks_mut::<64>().0.iter_mut().zip(self.nibbles.as_chunks::<32>().0) {
            for (half, codes) in codes.as_chunks_mut::<32>().0.iter_mut().enumerate() {
                *codes = bytemuck::cast(bits(nibbles, 4 * half, 15));
            }
        }
        codes
    }
}
