//! Runs of 32 codes, which all quantized formats are cut into: their values, and their products with a vector.

use pulp::Simd;

use crate::cpu::LANES;

/// Codes that are unpacked at a time.
pub(super) const RUN: usize = 32;

/// `out[j] = scale · codes[j]`.
///
/// Over vectors: plain loops, the compiler would vectorize over several runs at once and gather their codes byte by byte.
#[inline(always)]
pub(super) fn scaled<S: Simd, const N: usize>(simd: S, codes: [i8; N], scale: f32, out: &mut [f32; N]) {
    let (codes, scale) = (floats(codes), simd.splat_f32s(scale));
    for (out, &code) in S::as_mut_simd_f32s(out).0.iter_mut().zip(S::as_simd_f32s(&codes).0) {
        *out = simd.mul_f32s(scale, code);
    }
}

/// `out[j] = scale · codes[j] + bias`, as [`scaled`].
#[inline(always)]
pub(super) fn affine<S: Simd, const N: usize>(simd: S, codes: [u8; N], scale: f32, bias: f32, out: &mut [f32; N]) {
    let (codes, scale, bias) = (floats(codes), simd.splat_f32s(scale), simd.splat_f32s(bias));
    for (out, &code) in S::as_mut_simd_f32s(out).0.iter_mut().zip(S::as_simd_f32s(&codes).0) {
        *out = simd.add_f32s(simd.mul_f32s(scale, code), bias);
    }
}

/// `codes[j] − centre`, which is from −128 to 127.
#[inline(always)]
pub(super) fn centred<const N: usize>(codes: [u8; N], centre: u8) -> [i8; N] {
    let mut centred = [0; N];
    for j in 0..N {
        centred[j] = codes[j].wrapping_sub(centre) as i8;
    }
    centred
}

/// In a loop of its own: what `array::map` calls is not inlined everywhere, and then is not vectorized.
#[inline(always)]
fn floats<Code: Copy, const N: usize>(codes: [Code; N]) -> [f32; N]
where
    f32: From<Code>,
{
    let mut floats = [0.0; N];
    for j in 0..N {
        floats[j] = f32::from(codes[j]);
    }
    floats
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
