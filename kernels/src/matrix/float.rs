//! Plain floats.

use pulp::{Arch, Simd, WithSimd};

use super::f16::widen;
use super::rows::Stored;
use crate::cpu::{LANES, join, vectorized};

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

    /// All values of `bytes`, widened exactly. To be inlined where it is vectorized.
    #[inline(always)]
    pub(super) fn widen(self, bytes: &[u8], out: &mut [f32]) {
        match self {
            Self::F32 => {
                bytemuck::cast_slice_mut(out).copy_from_slice(bytes);
                out.iter_mut().for_each(|value| *value = f32::from_bits(u32::from_le(value.to_bits())));
            }
            Self::F16 => widen_values(bytes, out, f16_value),
            Self::BF16 => widen_values(bytes, out, bf16_value),
        }
    }

    #[inline(always)]
    fn widen_rows(self, stored: &Stored<'_>, out: &mut [f32]) {
        stored.beside(out).for_each(|((_, bytes), out)| self.widen(bytes, out));
    }

    /// The values, widened exactly.
    pub(super) fn dequantize(self, stored: &Stored<'_>, out: &mut [f32]) {
        vectorized!(self.widen_rows(stored, out));
    }

    /// `Σ w[k]·x[k]` over each row.
    pub(super) fn dot(self, stored: &Stored<'_>, x: &[f32], out: &mut [f32]) {
        let arch = Arch::new();
        match self {
            Self::F32 => arch.dispatch(Dot { stored, x, out, value: f32_value }),
            Self::F16 => arch.dispatch(Dot { stored, x, out, value: f16_value }),
            Self::BF16 => arch.dispatch(Dot { stored, x, out, value: bf16_value }),
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

struct Dot<'a, const SIZE: usize, F: Fn(&[u8; SIZE]) -> f32> {
    stored: &'a Stored<'a>,
    x: &'a [f32],
    out: &'a mut [f32],
    value: F,
}

impl<const SIZE: usize, F: Fn(&[u8; SIZE]) -> f32> WithSimd for Dot<'_, SIZE, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { stored, x, out, value } = self;
        let (x, x_rest) = x.as_chunks::<LANES>();
        for ((_, bytes), out) in stored.rows().zip(out) {
            let mut total = [0.0f32; LANES];
            let (values, rest) = bytes.as_chunks::<SIZE>().0.as_chunks::<LANES>();
            for (w, x) in values.iter().zip(x) {
                let mut floats = [0.0f32; LANES];
                floats.iter_mut().zip(w).for_each(|(float, w)| *float = value(w));
                let pairs = S::as_simd_f32s(&floats).0.iter().zip(S::as_simd_f32s(x).0);
                for (total, (&w, &x)) in S::as_mut_simd_f32s(&mut total).0.iter_mut().zip(pairs) {
                    *total = simd.mul_add_f32s(w, x, *total);
                }
            }
            for (total, (w, &x)) in total.iter_mut().zip(rest.iter().zip(x_rest)) {
                *total = value(w).mul_add(x, *total);
            }
            *out = join(&total);
        }
    }
}
