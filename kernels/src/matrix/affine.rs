//! MLX's group-affine form, `w = scale · q + bias`: codes of some width, read where they lie, and floats quantized as MLX
//! does it.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::float::FloatType;
use super::rows::Stored;
use super::run::{RUN, accumulate, affine};
use super::{Encoding, Matrix};
use crate::cpu::{LANES, join, vectorized};

/// The smallest scale, as in MLX.
const EPSILON: f32 = 1e-7;

/// Rows in the group-affine form, as [`Matrix::affine`] takes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AffineRows {
    /// Codes, packed least significant first.
    pub codes: Vec<u8>,
    /// A scale for each group.
    pub scales: Vec<u8>,
    /// A bias for each group.
    pub biases: Vec<u8>,
}

impl AffineRows {
    /// Appends codes, whole groups, `bits` each.
    ///
    /// # Panics
    /// When bits are not those of [`Matrix::affine`].
    pub fn pack(&mut self, bits: u8, codes: &[u8]) {
        (Width::known(bits).pack)(codes, &mut self.codes);
    }

    /// Appends whole runs of packed codes, of `from` bits, as codes of `to` bits, which are no fewer.
    pub(super) fn widen(&mut self, from: u8, to: u8, codes: &[u8]) {
        if from == to {
            self.codes.extend(codes);
        } else {
            (Width::known(from).repack)(codes, Width::known(to), &mut self.codes);
        }
    }
}

/// Codes of one width: a run of them takes `BYTES` bytes.
trait Codes<const BYTES: usize> {
    /// The codes of a run.
    fn unpack(run: &[u8; BYTES]) -> [u8; RUN];

    /// A run of codes, least significant first.
    fn pack(codes: &[u8; RUN]) -> [u8; BYTES];
}

struct FourBits;

impl Codes<16> for FourBits {
    #[inline(always)]
    fn unpack(run: &[u8; 16]) -> [u8; RUN] {
        let mut codes = [0; RUN];
        for j in 0..RUN / 2 {
            codes[2 * j] = run[j] & 15;
            codes[2 * j + 1] = run[j] >> 4;
        }
        codes
    }

    fn pack(codes: &[u8; RUN]) -> [u8; 16] {
        std::array::from_fn(|j| codes[2 * j] | codes[2 * j + 1] << 4)
    }
}

struct EightBits;

impl Codes<RUN> for EightBits {
    #[inline(always)]
    fn unpack(run: &[u8; RUN]) -> [u8; RUN] {
        *run
    }

    fn pack(codes: &[u8; RUN]) -> [u8; RUN] {
        *codes
    }
}

/// Codes of any other width: a stream of bits without gaps, in which eight codes are as many bytes as a code has bits.
struct Stream;

impl<const BYTES: usize> Codes<BYTES> for Stream {
    /// Eight codes at a time come apart by halves, each to the lower end of its half of the word.
    #[inline(always)]
    fn unpack(run: &[u8; BYTES]) -> [u8; RUN] {
        let bits = BYTES * 8 / RUN;
        let ones = |count: usize| (1u64 << count) - 1;
        let mut words = [0u64; RUN / 8];
        for (word, eight) in words.iter_mut().zip(run.chunks_exact(bits)) {
            let mut bytes = [0; 8];
            bytes[..bits].copy_from_slice(eight);
            *word = u64::from_le_bytes(bytes);
        }
        // (codes a half, the lower halves after it of those already apart)
        for (half, lower) in [(4, 1), (2, 1 | 1 << 32), (1, 1 | 1 << 16 | 1 << 32 | 1 << 48)] {
            let (low, apart) = (ones(half * bits) * lower, half * 8);
            for word in &mut words {
                *word = *word & low | (*word << (apart - half * bits)) & (low << apart);
            }
        }
        let mut codes = [0; RUN];
        for (codes, word) in codes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *codes = word.to_le_bytes();
        }
        codes
    }

    fn pack(codes: &[u8; RUN]) -> [u8; BYTES] {
        let bits = BYTES * 8 / RUN;
        let mut run = [0; BYTES];
        for (eight, codes) in run.chunks_exact_mut(bits).zip(codes.as_chunks::<8>().0) {
            let word = codes.iter().rev().fold(0u64, |word, &code| word << bits | u64::from(code));
            eight.copy_from_slice(&word.to_le_bytes()[..bits]);
        }
        run
    }
}

/// What can be done with codes of a width.
struct Width {
    bits: u8,
    dequantize: fn(&Stored<'_>, &mut [f32]),
    dot: fn(&Stored<'_>, &[f32], &[f32], &mut [f32]),
    pack: fn(&[u8], &mut Vec<u8>),
    repack: fn(&[u8], &Width, &mut Vec<u8>),
}

/// The widths that are read and written.
const WIDTHS: [Width; 6] = [
    Width::of::<Stream, 8>(),
    Width::of::<Stream, 12>(),
    Width::of::<FourBits, _>(),
    Width::of::<Stream, 20>(),
    Width::of::<Stream, 24>(),
    Width::of::<EightBits, _>(),
];

/// The bits of codes that [`Matrix::affine`](super::Matrix::affine) takes.
pub const AFFINE_BITS: [u8; WIDTHS.len()] = {
    let (mut all, mut index) = ([0; WIDTHS.len()], 0);
    while index < all.len() {
        all[index] = WIDTHS[index].bits;
        index += 1;
    }
    all
};

/// The lengths of groups that it takes.
pub const AFFINE_GROUPS: [usize; 3] = [32, 64, 128];

impl Width {
    const fn of<C: Codes<BYTES>, const BYTES: usize>() -> Self {
        Self {
            bits: (BYTES * 8 / RUN) as u8,
            dequantize: dequantize_codes::<C, BYTES>,
            dot: dot_codes::<C, BYTES>,
            pack: pack::<C, BYTES>,
            repack: repack::<C, BYTES>,
        }
    }

    /// # Panics
    /// When no codes have this width.
    fn known(bits: u8) -> &'static Self {
        let known = const { &WIDTHS }.iter().find(|width| width.bits == bits);
        let Some(width) = known else { panic!("codes of {bits} bits") };
        width
    }
}

/// Whether [`Matrix::affine`](super::Matrix::affine) takes codes of this width, in groups of this length.
pub fn is_affine(bits: u8, group: usize) -> bool {
    AFFINE_BITS.contains(&bits) && AFFINE_GROUPS.contains(&group)
}

/// The values of whole runs.
pub(super) fn dequantize(bits: u8, stored: &Stored<'_>, out: &mut [f32]) {
    (Width::known(bits).dequantize)(stored, out);
}

/// `Σ w[k]·x[k]` over each row, whole groups; `sums` are those of x over each run's columns.
pub(super) fn dot(bits: u8, stored: &Stored<'_>, x: &[f32], sums: &[f32], out: &mut [f32]) {
    (Width::known(bits).dot)(stored, x, sums, out);
}

/// Scales and biases of some groups of a matrix.
struct Factors<'a> {
    matrix: &'a Matrix,
    /// Columns a group.
    group: usize,
    float: FloatType,
    scales: Vec<f32>,
    biases: Vec<f32>,
}

impl<'a> Factors<'a> {
    /// None yet.
    ///
    /// # Panics
    /// When the matrix is not group-affine.
    fn of(matrix: &'a Matrix) -> Self {
        let Encoding::Affine { group, scales: float, .. } = matrix.encoding else {
            panic!("{:?} without scales", matrix.encoding)
        };
        Self { matrix, group, float, scales: Vec::new(), biases: Vec::new() }
    }

    /// Takes those of some columns, counted over all values of the matrix, in place of what it held.
    #[inline(always)]
    fn read(&mut self, columns: Range<usize>) {
        let (size, groups) = (self.float.size(), columns.start / self.group..columns.end.div_ceil(self.group));
        for (stored, factors) in [(&self.matrix.scales, &mut self.scales), (&self.matrix.biases, &mut self.biases)] {
            factors.resize(groups.len(), 0.0);
            self.float.widen(&stored[groups.start * size..groups.end * size], factors);
        }
    }
}

fn dequantize_codes<C: Codes<BYTES>, const BYTES: usize>(stored: &Stored<'_>, out: &mut [f32]) {
    Arch::new().dispatch(Dequantize::<C, BYTES> { stored, out, codes: PhantomData });
}

struct Dequantize<'a, C, const BYTES: usize> {
    stored: &'a Stored<'a>,
    out: &'a mut [f32],
    codes: PhantomData<C>,
}

impl<C: Codes<BYTES>, const BYTES: usize> WithSimd for Dequantize<'_, C, BYTES> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut factors = Factors::of(self.stored.matrix());
        // 1, 2 or 4.
        let runs = factors.group / RUN;
        for ((start, codes), out) in self.stored.beside(self.out) {
            factors.read(start..start + out.len());
            // Runs of the first group that come before the panel.
            let before = start % factors.group / RUN;
            for (run, (codes, out)) in codes.as_chunks().0.iter().zip(out.as_chunks_mut().0).enumerate() {
                let group = (before + run) >> runs.trailing_zeros();
                affine(simd, C::unpack(codes), factors.scales[group], factors.biases[group], out);
            }
        }
    }
}

fn dot_codes<C: Codes<BYTES>, const BYTES: usize>(stored: &Stored<'_>, x: &[f32], sums: &[f32], out: &mut [f32]) {
    vectorized!(dot_rows::<C, BYTES>(stored, x, sums, out));
}

/// A group's form is factored, `Σ (s·q + b)·x = s·Σ q·x + b·Σ x`.
#[inline(always)]
fn dot_rows<C: Codes<BYTES>, const BYTES: usize>(stored: &Stored<'_>, x: &[f32], sums: &[f32], out: &mut [f32]) {
    let mut factors = Factors::of(stored.matrix());
    let runs = factors.group / RUN;
    for ((start, codes), out) in stored.rows().zip(out) {
        factors.read(start..start + x.len());
        let mut total = [0.0; LANES];
        let groups = codes.chunks_exact(runs * BYTES).zip(x.chunks_exact(runs * RUN));
        for ((codes, x), &scale) in groups.zip(&factors.scales) {
            for (codes, x) in codes.as_chunks().0.iter().zip(x.as_chunks().0) {
                accumulate(&mut total, scale, C::unpack(codes), x);
            }
        }
        let group_sums = sums.chunks_exact(runs).map(|sums| sums.iter().sum::<f32>());
        let offset = factors.biases.iter().zip(group_sums).fold(0.0, |total, (bias, sum)| bias.mul_add(sum, total));
        *out = join(&total) + offset;
    }
}

fn pack<C: Codes<BYTES>, const BYTES: usize>(codes: &[u8], out: &mut Vec<u8>) {
    codes.as_chunks().0.iter().for_each(|codes| out.extend(C::pack(codes)));
}

fn repack<C: Codes<BYTES>, const BYTES: usize>(codes: &[u8], to: &Width, out: &mut Vec<u8>) {
    codes.as_chunks().0.iter().for_each(|run| (to.pack)(&C::unpack(run), out));
}

/// Quantizes `values`, whole groups of rows, bit for bit as MLX 0.32 does on a CPU.
///
/// With e the value of a group that is farther from zero, and s the range over 2^bits − 1, its sign chosen so that
/// codes count away from e: `scale = e / round(e/s)` and `bias = e`, so that zero has a code of its own; where the
/// quotient rounds to zero, `scale = s` and `bias = 0`. Codes are `round((w − bias)/scale)` with scale and bias in
/// f32; they are stored in the source's float type `scales`.
///
/// # Panics
/// When `values` are no whole groups, or bits and group are not those of [`Matrix::affine`].
pub fn quantize_affine(values: &[f32], bits: u8, group: usize, scales: FloatType) -> AffineRows {
    assert!(group.is_multiple_of(RUN) && values.len().is_multiple_of(group));
    let width = Width::known(bits);
    let mut rows = AffineRows::default();
    let top = f32::from((1u16 << bits) - 1);
    for values in values.chunks_exact(group) {
        let (low, high) =
            values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &w| (low.min(w), high.max(w)));
        let below = low.abs() > high.abs();
        let step = ((high - low) / top).max(EPSILON);
        let (edge, step) = if below { (low, step) } else { (high, -step) };
        let steps = (edge / step).round_ties_even();
        let (scale, bias) = if steps == 0.0 { (step, 0.0) } else { (edge / steps, edge) };
        let code = |w: &f32| ((w - bias) / scale).round_ties_even().clamp(0.0, top) as u8;
        for run in values.as_chunks::<RUN>().0 {
            (width.pack)(&run.each_ref().map(code), &mut rows.codes);
        }
        scales.write(scale, &mut rows.scales);
        scales.write(bias, &mut rows.biases);
    }
    rows
}
