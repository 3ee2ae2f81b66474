//! Runs of 32 codes, which all quantized formats are cut into: their values, and their products with a vector.

use crate::cpu::LANES;

/// Codes that are unpacked at a time.
pub(super) const RUN: usize = 32;

/// `out[j] = scale · codes[j] + bias`.
#[inline(always)]
pub(super) fn affine<const N: usize>(codes: [u8; N], scale: f32, bias: f32, out: &mut [f32; N]) {
    for j in 0..N {
        out[j] = scale * f32::from(codes[j]) + bias;
    }
    apart();
}

/// `out[j] = scale · (codes[j] − centre)`.
#[inline(always)]
pub(super) fn scaled<const N: usize>(codes: [u8; N], centre: u8, scale: f32, out: &mut [f32; N]) {
    for j in 0..N {
        out[j] = scale * (f32::from(codes[j]) - f32::from(centre));
    }
    apart();
}

/// Keeps what follows a run apart from it: else the compiler vectorizes over several runs at once and gathers their
/// codes byte by byte.
#[inline(always)]
pub(super) fn apart() {
    std::hint::black_box(());
}

/// `total[j] += scale · (codes[j]·x[j] + codes[j + 16]·x[j + 16] + …)`.
#[inline(always)]
pub(super) fn accumulate<Code: Copy, const N: usize>(
    total: &mut [f32; LANES],
    scale: f32,
    codes: [Code; N],
    x: &[f32; N],
) where
    f32: From<Code>,
{
    let mut sums = [0.0f32; LANES];
    for j in 0..LANES {
        sums[j] = f32::from(codes[j]) * x[j];
    }
    for start in (LANES..N).step_by(LANES) {
        for j in 0..LANES {
            sums[j] = f32::from(codes[start + j]).mul_add(x[start + j], sums[j]);
        }
    }
    for j in 0..LANES {
        total[j] = scale.mul_add(sums[j], total[j]);
    }
}
