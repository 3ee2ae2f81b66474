//! Runs of 32 codes, which all quantized formats are cut into: their values, and their products with a vector.

use pulp::Simd;

use crate::cpu::LANES;

/// Codes that are unpacked at a time.
pub(super) const RUN: usize = 32;

/// `out[j] = scale · codes[j]`.
///
/// Over vectors: plain loops, the compiler would vectorize over several runs at once and gather their codes byte by byte.
#[inline(always)]
pub(super) fn scaled<S: Simd>(simd: S, codes: [i8; RUN], scale: f32, out: &mut [f32; RUN]) {
    let (codes, scale) = (floats(codes), simd.splat_f32s(scale));
    for (out, &code) in S::as_mut_simd_f32s(out).0.iter_mut().zip(S::as_simd_f32s(&codes).0) {
        *out = simd.mul_f32s(scale, code);
    }
}

/// `out[j] = scale · codes[j] + bias`, as [`scaled`].
#[inline(always)]
pub(super) fn affine<S: Simd>(simd: S, codes: [u8; RUN], scale: f32, bias: f32, out: &mut [f32; RUN]) {
    let (codes, scale, bias) = (floats(codes), simd.splat_f32s(scale), simd.splat_f32s(bias));
    for (out, &code) in S::as_mut_simd_f32s(out).0.iter_mut().zip(S::as_simd_f32s(&codes).0) {
        *out = simd.add_f32s(simd.mul_f32s(scale, code), bias);
    }
}

#[inline(always)]
fn floats<Code>(codes: [Code; RUN]) -> [f32; RUN]
where
    f32: From<Code>,
{
    let mut floats = [0.0; RUN];
    floats.iter_mut().zip(codes).for_each(|(float, code)| *float = f32::from(code));
    floats
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
