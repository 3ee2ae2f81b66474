//! IQ4_NL: 32 values of a table of sixteen that lie closer around 0.

use bytemuck::{Pod, Zeroable};
use pulp::Simd;

use super::{Block, BlockType, split_nibbles};
use crate::cpu::{LANES, join};
use crate::matrix::f16::Table;
use crate::matrix::float::FloatType;
use crate::matrix::run::{RUN, accumulate, centred, scaled};

impl BlockType {
    /// f16 `d`, 16 bytes of nibbles: `w = d·v[q]` with v a table of the format.
    pub const IQ4_NL: Self = Self::of::<IQ4_NL, _>();
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct IQ4_NL {
    d: [u8; 2],
    nibbles: [u8; RUN / 2],
}

/// The table's values, each [`CENTRE`] higher: from −127 to 113.
const VALUES: [u8; 16] = [1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241];
const CENTRE: u8 = 128;

/// `VALUES[q]`, chosen bit by bit: unlike look-ups it vectorizes.
#[inline(always)]
fn value(q: u8) -> u8 {
    let choose = |bit: u8, clear: u8, set: u8| clear ^ (q >> bit & 1).wrapping_neg() & (clear ^ set);
    let pair = |i: usize| choose(0, VALUES[2 * i], VALUES[2 * i + 1]);
    let four = |i: usize| choose(1, pair(2 * i), pair(2 * i + 1));
    let eight = |i: usize| choose(2, four(2 * i), four(2 * i + 1));
    choose(3, eight(0), eight(1))
}

impl Block<RUN> for IQ4_NL {
    const NAME: &'static str = "IQ4_NL";
    const GGUF_TYPE: u32 = 20;
    const GROUP: usize = RUN;
    const BITS: u8 = 8;

    #[inline(always)]
    fn decode<S: Simd>(&self, simd: S, table: &Table, out: &mut [f32; RUN]) {
        scaled(simd, centred(self.codes(), CENTRE), table.at(self.d), out);
    }

    #[inline(always)]
    fn dot(row: &[Self], table: &Table, x: &[[f32; RUN]], sums: &[f32]) -> f32 {
        let (mut total, mut offset) = ([0.0; LANES], 0.0);
        for ((block, x), &sum) in row.iter().zip(x).zip(sums) {
            let d = table.at(block.d);
            accumulate(&mut total, d, block.codes(), x);
            offset = (-f32::from(CENTRE) * d).mul_add(sum, offset);
        }
        join(&total) + offset
    }

    fn scale_and_bias(&self, _: usize) -> (f32, f32) {
        let d = FloatType::F16.read(&self.d, 0);
        (d, -f32::from(CENTRE) * d)
    }

    #[inline(always)]
    fn codes(&self) -> [u8; RUN] {
        let mut codes = split_nibbles(&self.nibbles);
        for code in &mut codes {
            *code = value(*code);
        }
        codes
    }
}
