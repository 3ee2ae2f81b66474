//! Runs of 32 codes, which all quantized formats are cut into: their values, and their products with a vector.

use crate::cpu::LANES;

/// Codes that are unpacked at a time.
pub(super) const RUN: usize = 32;

/// `out[j] = scale · codes[j] + bias`.
#[inline(always)]
pub(super) fn affine(codes: [u8; RUN], scale: f32, bias: f32, out: &mut [f32; RUN]) {
    for j in 0..RUN {
        out[j] = scale * f32::from(codes[j]) + bias;
    }
    apart();
}

/// Keeps what follows a run apart from it: else the compiler vectorizes over several runs at once and gathers their
/// codes byte by byte.
#[inline(always)]
pub(super) fn apart() {
    std::hint::black_box(());
}

/// `total[j] += scale · (codes[j]·x[j] + codes[j + 16]·x[j + 16])`.
#[inline(always)]
pub(super) fn accumulate<Code: Copy>(total: &mut [f32; LANES], scale: f32, codes: [Code; RUN], x: &[f32; RUN])
where
    f32: From<Code>,
{
    let mut pair = [0.0f32; LANES];
    for j in 0..LANES {
        pair[j] = f32::from(codes[j]) * x[j];
    }
    for j in 0..LANES {
        pair[j] = f32::from(codes[j + LANES]).mul_add(x[j + LANES], pair[j]);
    }
    for j in 0..LANES {
        total[j] = scale.mul_add(pair[j], total[j]);
    }
}
