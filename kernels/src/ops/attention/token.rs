//! Attention of one token, as decoding has it: keys and values are read once, where they lie, by all threads.
//!
//! The keys are cut into chunks of a fixed length. A task takes one chunk of one key/value head for all query heads that
//! read it, and leaves each one's part: its largest score, and sums relative to that. Parts are joined in the order of
//! the chunks (Milakov and Gimelshein, 2018), so that no bit depends on the threads.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{HeadRows, Heads, cap_all, fall};
use crate::cpu::{
    StridedRows, StridedRowsMut, exp, exp_and_sum, largest, rows_times, times_rows, vectorized, with_scratch,
};

/// Keys of a chunk.
const CHUNK: usize = 128;
/// Query heads at a time, whose sums stay in registers.
const TILE: usize = 4;
/// Keys and values that are worth a thread of their own.
const LEAST: usize = 1 << 14;

/// Values of a part: the largest score, the sum of the weights, the weighted sum of the values.
fn part_len(dim: usize) -> usize {
    dim + 2
}

/// Values of scratch for so many keys.
pub(super) fn scratch_len(keys: usize, heads: Heads) -> usize {
    keys.div_ceil(CHUNK).saturating_mul(heads.query * part_len(heads.dim))
}

/// The attention of one query `q` `[query·dim]` over the rows `keys` of `k` and `v`.
pub(super) fn attend(
    heads: Heads,
    q: &[f32],
    [k, v]: [HeadRows<'_>; 2],
    keys: Range<usize>,
    out: &mut [f32],
    lse: &mut [f32],
) {
    let group = heads.query / heads.key_value;
    let slopes: Vec<f32> = (0..heads.query).map(|head| heads.slope(head)).collect();
    let task_len = 2 * keys.len().min(CHUNK) * heads.dim;
    with_scratch([scratch_len(keys.len(), heads)], |[parts]| {
        let tasks = parts.par_chunks_exact_mut(group * part_len(heads.dim)).enumerate();
        tasks.with_min_len(LEAST.div_ceil(task_len)).for_each(|(task, parts)| {
            let (chunk, shared) = (task / heads.key_value, task % heads.key_value);
            let first = keys.start + chunk * CHUNK;
            let rows = first..keys.end.min(first + CHUNK);
            let columns = heads.columns(shared);
            let q = &q[shared * group * heads.dim..][..group * heads.dim];
            let slopes = &slopes[shared * group..][..group];
            let [k, v] = [k, v].map(|of| of.head(first, columns.clone()));
            Arch::new().dispatch(Chunk {
                q,
                scale: heads.scale,
                cap: heads.cap,
                slopes,
                k,
                v,
                nearest: keys.end - rows.end,
                keys: rows.len(),
                parts,
            });
        });
        let parts = &*parts;
        for (head, (out, lse)) in out.chunks_exact_mut(heads.dim).zip(lse).enumerate() {
            let parts = parts.chunks_exact(part_len(heads.dim)).skip(head).step_by(heads.query);
            *lse = vectorized!(join_parts(&parts, out));
        }
    });
}

/// The parts of some query heads `q` in some rows of one key/value head.
struct Chunk<'a> {
    q: &'a [f32],
    scale: f32,
    cap: Option<f32>,
    slopes: &'a [f32],
    /// Keys behind these, up to the query.
    nearest: usize,
    k: StridedRows<'a>,
    v: StridedRows<'a>,
    keys: usize,
    parts: &'a mut [f32],
}

impl WithSimd for Chunk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let queries = self.q.len() / self.k.width();
        let tiles = queries.div_ceil(TILE);
        for tile in 0..tiles {
            let queries = tile * queries / tiles..(tile + 1) * queries / tiles;
            match queries.len() {
                1 => self.attend::<S, 1>(simd, queries.start),
                2 => self.attend::<S, 2>(simd, queries.start),
                3 => self.attend::<S, 3>(simd, queries.start),
                _ => self.attend::<S, TILE>(simd, queries.start),
            }
        }
    }
}

impl Chunk<'_> {
    /// `N` query heads from `first` on.
    #[inline(always)]
    fn attend<S: Simd, const N: usize>(&mut self, simd: S, first: usize) {
        let Self { q, scale, cap, slopes, nearest, k, v, keys, ref mut parts } = *self;
        let (dim, step) = (k.width(), part_len(k.width()));
        let (q, parts) = (&q[first * dim..], &mut parts[first * step..]);
        let scores = &mut [0.0; TILE * CHUNK];
        rows_times::<S, N>(simd, k, StridedRows::new(q, dim, dim), StridedRowsMut::new(scores, CHUNK, keys));
        let scored = parts.chunks_exact_mut(step).zip(scores.chunks_exact_mut(CHUNK)).zip(&slopes[first..first + N]);
        for ((part, scores), &slope) in scored {
            let scores = &mut scores[..keys];
            scores.iter_mut().for_each(|score| *score *= scale);
            cap_all(scores, cap);
            fall(scores, slope, nearest);
            part[0] = largest(scores);
            part[1] = exp_and_sum(scores, part[0]);
        }
        times_rows::<S, N>(
            simd,
            StridedRows::new(scores, CHUNK, keys),
            v,
            StridedRowsMut::new(&mut parts[2..], step, dim),
        );
    }
}

/// The softmax's mean over all chunks; returns the log-sum-exp.
#[inline(always)]
fn join_parts<'a>(parts: &(impl Iterator<Item = &'a [f32]> + Clone), out: &mut [f32]) -> f32 {
    let most = parts.clone().fold(f32::NEG_INFINITY, |most, part| most.max(part[0]));
    let mut total = 0.0f32;
    out.fill(0.0);
    for part in parts.clone() {
        let weight = exp(part[0] - most);
        total = weight.mul_add(part[1], total);
        out.iter_mut().zip(&part[2..]).for_each(|(out, sum)| *out = weight.mul_add(*sum, *out));
    }
    out.iter_mut().for_each(|out| *out /= total);
    total.ln() + most
}

impl<'a> HeadRows<'a> {
    /// Some columns of the rows from `row` on.
    fn head(self, row: usize, columns: Range<usize>) -> StridedRows<'a> {
        let values = &self.values[row * self.width + columns.start..];
        StridedRows::new(values, self.width, columns.len())
    }
}
