//! Plain floats.

use multiversion::multiversion;

use super::f16::widen;
use crate::cpu::{LANES, join};

/// The float types that weights and scales come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FloatType {
    /// IEEE half precision.
    F16,
    /// The upper half of an f32.
    BF16,
    /// Single precision.
    F32,
}

impl FloatType {
    /// All of them, the widest first.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::BF16];

    /// Its name in files: `F16`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::F32 => "F32",
        }
    }

    /// The number of this type in GGUF files.
    pub const fn gguf_type(self) -> u32 {
        match self {
            Self::F16 => 1,
            Self::BF16 => 30,
            Self::F32 => 0,
        }
    }

    /// Bytes a value.
    pub const fn size(self) -> usize {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 => 4,
        }
    }

    /// The value at `index` of little-endian `bytes`, widened exactly.
    pub fn read(self, bytes: &[u8], index: usize) -> f32 {
        let at = index * self.size();
        match self {
            Self::F16 => half::f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32(),
            Self::BF16 => half::bf16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32(),
            Self::F32 => f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]),
        }
    }

    /// Appends `value`, rounded to this type, ties to even; little-endian.
    pub fn write(self, value: f32, out: &mut Vec<u8>) {
        match self {
            Self::F16 => out.extend(half::f16::from_f32(value).to_le_bytes()),
            Self::BF16 => out.extend(half::bf16::from_f32(value).to_le_bytes()),
            Self::F32 => out.extend(value.to_le_bytes()),
        }
    }

    /// All values of `bytes`, widened exactly.
    pub(super) fn dequantize(self, bytes: &[u8], out: &mut [f32]) {
        match self {
            Self::F32 => widen_f32(bytes, out),
            Self::F16 => widen_f16(bytes, out),
            Self::BF16 => widen_bf16(bytes, out),
        }
    }

    /// `Σ w[k]·x[k]` over the values of `bytes`.
    pub(super) fn dot(self, bytes: &[u8], x: &[f32]) -> f32 {
        match self {
            Self::F32 => dot_f32(bytes, x),
            Self::F16 => dot_f16(bytes, x),
            Self::BF16 => dot_bf16(bytes, x),
        }
    }
}

#[inline(always)]
fn f32_value(bytes: &[u8; 4]) -> f32 {
    f32::from_le_bytes(*bytes)
}

#[inline(always)]
fn f16_value(bytes: &[u8; 2]) -> f32 {
    widen(u16::from_le_bytes(*bytes))
}

#[inline(always)]
fn bf16_value(bytes: &[u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16)
}

#[inline(always)]
fn widen_values<const SIZE: usize>(bytes: &[u8], out: &mut [f32], value: impl Fn(&[u8; SIZE]) -> f32) {
    bytes.as_chunks().0.iter().zip(out).for_each(|(bytes, out)| *out = value(bytes));
}

#[inline(always)]
fn dot_values<const SIZE: usize>(bytes: &[u8], x: &[f32], value: impl Fn(&[u8; SIZE]) -> f32) -> f32 {
    let mut total = [0.0f32; LANES];
    let (values, (x, x_rest)) = (bytes.as_chunks::<SIZE>().0, x.as_chunks::<LANES>());
    let (values, rest) = values.as_chunks::<LANES>();
    for (w, x) in values.iter().zip(x) {
        for j in 0..LANES {
            total[j] = value(&w[j]).mul_add(x[j], total[j]);
        }
    }
    for (total, (w, &x)) in total.iter_mut().zip(rest.iter().zip(x_rest)) {
        *total = value(w).mul_add(x, *total);
    }
    join(&total)
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn widen_f32(bytes: &[u8], out: &mut [f32]) {
    widen_values(bytes, out, f32_value);
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn widen_f16(bytes: &[u8], out: &mut [f32]) {
    widen_values(bytes, out, f16_value);
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn widen_bf16(bytes: &[u8], out: &mut [f32]) {
    widen_values(bytes, out, bf16_value);
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn dot_f32(bytes: &[u8], x: &[f32]) -> f32 {
    dot_values(bytes, x, f32_value)
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn dot_f16(bytes: &[u8], x: &[f32]) -> f32 {
    dot_values(bytes, x, f16_value)
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn dot_bf16(bytes: &[u8], x: &[f32]) -> f32 {
    dot_values(bytes, x, bf16_value)
}
