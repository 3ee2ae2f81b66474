//! Grouped-query causal attention over packed samples or a key/value cache.

mod backward;
#[cfg(feature = "gpu")]
pub(super) mod shaders;
mod token;

use std::ops::Range;

use ndarray::parallel::prelude::*;
use ndarray::{ArrayView2, Axis, s};
use rayon::prelude::ParallelSlice;

use super::soft_cap::{cap_all, check_cap};
use crate::cpu::{
    Columns, Factors, Frame, Left, Output, STRIP, Scaled, exp_and_sum, largest, matrix, matrix_mut, multiply_strips,
    strips_len, vectorized, with_scratch,
};
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::program::{Access, BufferId, Operation, Program, Shapes, Touch};
pub use backward::AttentionBackward;
#[cfg(feature = "gpu")]
use shaders::{TILED_NARROW, TILED_WIDE, TiledParams, VECTOR_NARROW, VECTOR_WIDE, VectorParams};

/// Queries a workgroup on the GPU.
#[cfg(feature = "gpu")]
const TILE: usize = 32;
/// Query rows a task.
const BLOCK: usize = 32;

/// The shape of an attention layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heads {
    /// Query heads; query head h reads key/value head h / (query / key_value).
    pub query: usize,
    /// Key/value heads.
    pub key_value: usize,
    /// Values a head.
    pub dim: usize,
    /// Factor on the scores, 1/√dim in most families.
    pub scale: f32,
    /// A soft cap of the scaled scores: `c·tanh(s/c)`.
    pub cap: Option<f32>,
    /// Whether scores fall with the distance of a key (ALiBi; Press et al., 2022), each head's by its [`Heads::slope`].
    pub alibi: bool,
}

impl Heads {
    /// The query heads that read a key/value head.
    fn queries_of(&self, shared: usize) -> Range<usize> {
        let group = self.query / self.key_value;
        shared * group..(shared + 1) * group
    }

    /// What a head's scores fall by with every token of distance: of n heads, n a power of two, `2^(−8(h+1)/n)`; else those
    /// of the next lower power m, and behind them every second one of 2m.
    pub fn slope(&self, head: usize) -> f32 {
        if !self.alibi {
            return 0.0;
        }
        let lower = self.lower();
        let steps = if head < lower { 2 * (head + 1) } else { 2 * (head - lower) + 1 };
        (-4.0 * steps as f32 / lower as f32).exp2()
    }

    /// The largest power of two that is no more than the query heads.
    fn lower(&self) -> usize {
        1 << self.query.ilog2()
    }

    /// Refuses heads that do not share out, and widths that no kernel is made for.
    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        let Self { query, key_value, dim, .. } = *self;
        let shared = query > 0 && key_value > 0 && query.is_multiple_of(key_value);
        shapes.expect(shared, format_args!("{query} query heads for {key_value} of keys"))?;
        let possible = matches!(dim, 1..=256) || dim.is_multiple_of(4) && matches!(dim, 1..=1024);
        shapes.expect(possible, format_args!("heads of {dim}"))?;
        check_cap(self.cap, shapes)
    }

    /// The kernel for this width of heads, and how many parts a head has for it.
    #[cfg(feature = "gpu")]
    fn parts<P>(
        &self,
        wide: &'static gpu::Kernel<P>,
        narrow: &'static gpu::Kernel<P>,
    ) -> (&'static gpu::Kernel<P>, u32) {
        match self.dim.is_multiple_of(4) {
            true => (wide, self.dim as u32 / 4),
            false => (narrow, self.dim as u32),
        }
    }

    /// The same as f32 for shaders, which compute slopes themselves; 0 where there are none.
    #[cfg(feature = "gpu")]
    fn gpu_lower(&self) -> f32 {
        if self.alibi { self.lower() as f32 } else { 0.0 }
    }

    /// Columns of `head` in a `[t, heads·dim]` matrix.
    fn columns(&self, head: usize) -> Range<usize> {
        head * self.dim..(head + 1) * self.dim
    }
}

/// The inputs that say which tokens of a row belong together: each sample attends only to itself, and its positions
/// start at 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Packing {
    /// `[t, 1]`: position within the sample.
    pub positions: Vec<u32>,
    /// `[t, 2]`: first and last key row that a query sees.
    pub spans: Vec<u32>,
    /// `[t, 1]`: one past the last query row that sees a key.
    pub reach: Vec<u32>,
}

impl Packing {
    /// Samples of the given lengths, side by side in one row.
    pub fn samples(lengths: &[usize]) -> Self {
        let mut packing = Self::default();
        let mut start = 0;
        for &len in lengths {
            for i in 0..len {
                packing.positions.push(i as u32);
                packing.spans.extend([start as u32, (start + i) as u32]);
                packing.reach.push((start + len) as u32);
            }
            start += len;
        }
        packing
    }

    /// `len` tokens that continue a sequence of which `start` tokens are in a cache.
    pub fn continuation(start: usize, len: usize) -> Self {
        let rows = start as u32..(start + len) as u32;
        Self {
            positions: rows.clone().collect(),
            spans: rows.clone().flat_map(|i| [0, i]).collect(),
            reach: rows.map(|_| (start + len) as u32).collect(),
        }
    }
}

/// `out[i] = Σ_j softmax_j(cap(scale · q[i]·k[j]) − slope·distance) · v[j]` over the keys that `spans[i]` names, head by head; the logarithm
/// of each softmax's denominator is kept for the gradient.
///
/// Branches that go on from one sequence, each in rows of its own, have two more numbers in their spans: they see the keys
/// before the third from the fourth on as well. There is no gradient through these, and what lies between must be finite.
#[derive(Debug)]
pub struct Attention {
    /// `[t, query·dim]`.
    pub q: BufferId,
    /// `[keys, key_value·dim]`: of this row, or a cache.
    pub k: BufferId,
    /// `[keys, key_value·dim]`.
    pub v: BufferId,
    /// u32 `[t, 2]`, see [`Packing::spans`]; or `[t, 4]`.
    pub spans: BufferId,
    /// `[t, query·dim]`.
    pub out: BufferId,
    /// Log-sum-exp of the scaled scores, `[t, query]`.
    pub lse: BufferId,
    /// The shape.
    pub heads: Heads,
}

impl Operation for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn touches(&self) -> Vec<Touch> {
        vec![
            (self.q, Access::Read),
            (self.k, Access::Read),
            (self.v, Access::Read),
            (self.spans, Access::Read),
            (self.out, Access::Write),
            (self.lse, Access::Write),
        ]
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        self.heads.check(shapes)?;
        shapes.expect_same_rows(&[self.q, self.spans, self.out, self.lse])?;
        shapes.expect_same_rows(&[self.k, self.v])?;
        shapes.expect_width(self.heads.query * self.heads.dim, &[self.q, self.out])?;
        shapes.expect_width(self.heads.key_value * self.heads.dim, &[self.k, self.v])?;
        shapes.expect_width(self.heads.query, &[self.lse])?;
        let span = shapes.width(self.spans);
        shapes.expect(matches!(span, 2 | 4), format_args!("spans of {span} numbers"))
    }

    fn scratch_len(&self, program: &Program) -> usize {
        let keys = program.rows(self.k);
        let of_many = keys.saturating_mul(BLOCK + strips_len(1, self.heads.dim));
        of_many.max(token::scratch_len(keys, self.heads))
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let heads = self.heads;
        let (q_width, kv_width) = (heads.query * heads.dim, heads.key_value * heads.dim);
        let span = frame.width(self.spans);
        let [q, k, v, spans, out, lse] =
            frame.slices([self.q, self.k, self.v, self.spans, self.out, self.lse].map(Some));
        let spans = bytemuck::cast_slice::<f32, u32>(spans);
        let (q, k, v) = (HeadRows::new(q, q_width), HeadRows::new(k, kv_width), HeadRows::new(v, kv_width));
        if out.len() == q_width && span == 2 {
            return token::attend(heads, q.values, [k, v], visible_keys(spans, span), out, lse);
        }
        let (mut out, mut lse) = (matrix_mut(out, q_width), matrix_mut(lse, heads.query));
        out.axis_chunks_iter_mut(Axis(0), BLOCK)
            .into_par_iter()
            .zip(lse.axis_chunks_iter_mut(Axis(0), BLOCK))
            .zip(spans.par_chunks(span * BLOCK))
            .enumerate()
            .with_max_len(1)
            .for_each(|(block, ((mut out, mut lse), spans))| {
                let queries = block * BLOCK..block * BLOCK + out.nrows();
                let (keys, dim) = (visible_keys(spans, span), heads.dim);
                let lens = [queries.len() * keys.len(), strips_len(dim, queries.len()), strips_len(keys.len(), dim)];
                with_scratch(lens, |[scores, query, values]| {
                    let (query, values) = (query.as_chunks_mut().0, values.as_chunks_mut().0);
                    for shared in 0..heads.key_value {
                        let columns = heads.columns(shared);
                        v.strips(keys.clone(), columns.clone(), values);
                        for head in heads.queries_of(shared) {
                            let own = heads.columns(head);
                            q.transposed_strips(queries.clone(), own.clone(), heads.scale, query);
                            // Transposed: keys are read where they lie.
                            let k = k.from(keys.start, columns.start);
                            let st = matrix_mut(scores, keys.len()).reversed_axes();
                            multiply_strips(&[Factors { a: k, depth: dim, strips: query }], st, Output::Overwrite);
                            let slope = heads.slope(head);
                            for (i, scores) in scores.chunks_exact_mut(keys.len()).enumerate() {
                                let seen = seen(&spans[span * i..][..span], keys.start);
                                lse[[i, head]] = vectorized!(softmax(scores, &seen, heads.cap, slope));
                            }
                            let p = Factors { a: Left::Rows(scores, keys.len()), depth: keys.len(), strips: values };
                            multiply_strips(&[p], out.slice_mut(s![.., own]), Output::Overwrite);
                        }
                    }
                });
            });
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let heads = self.heads;
        let (rows, keys) = (recorder.rows(self.q), recorder.rows(self.k));
        let bindings = recorder.buffers([self.q, self.k, self.v, self.spans, self.out, self.lse])?;
        let (query_heads, key_heads) = (gpu::count(heads.query)?, gpu::count(heads.key_value)?);
        let (scale, cap, lower) = (heads.scale, heads.cap.unwrap_or(0.0), heads.gpu_lower());
        let work = 8.0 * (rows * keys * heads.query * heads.dim) as f64;
        let span = recorder.width(self.spans) as u32;
        if rows == 1 && span == 2 {
            let (kernel, parts) = heads.parts(&VECTOR_WIDE, &VECTOR_NARROW);
            return recorder.launch(gpu::Launch {
                kernel,
                constants: &[("PARTS", parts)],
                bindings: &bindings,
                params: VectorParams { query_heads, key_heads, scale, cap, lower },
                grid: [heads.query, 1],
                work,
            });
        }
        let (kernel, parts) = heads.parts(&TILED_WIDE, &TILED_NARROW);
        recorder.launch(gpu::Launch {
            kernel,
            constants: &[("PARTS", parts), ("SPAN", span)],
            bindings: &bindings,
            params: TiledParams { rows: gpu::count(rows)?, query_heads, key_heads, scale, cap, lower },
            grid: [heads.query, rows.div_ceil(TILE)],
            work,
        })
    }
}

/// `[t, heads·dim]` values, of which products read one head's columns.
#[derive(Clone, Copy)]
struct HeadRows<'a> {
    values: &'a [f32],
    width: usize,
}

impl<'a> HeadRows<'a> {
    pub fn new(values: &'a [f32], width: usize) -> Self {
        Self { values, width }
    }

    /// The rows from `row` on of the columns from `column` on, where they lie.
    pub fn from(self, row: usize, column: usize) -> Left<'a> {
        Left::Rows(&self.values[row * self.width + column..], self.width)
    }

    fn view(self, rows: Range<usize>, columns: Range<usize>) -> ArrayView2<'a, f32> {
        matrix(self.values, self.width).slice_move(s![rows, columns])
    }

    /// Rows as the second factor of a product: `[rows, columns]` in strips.
    pub fn strips(self, rows: Range<usize>, columns: Range<usize>, strips: &mut [[f32; STRIP]]) {
        let (depth, width) = (rows.len(), columns.len());
        Scaled { values: self.view(rows, columns), scale: 1.0 }.pack(0..depth, 0..width, strips);
    }

    /// Their transpose, scaled: `[columns, rows]` in strips.
    pub fn transposed_strips(self, rows: Range<usize>, columns: Range<usize>, scale: f32, strips: &mut [[f32; STRIP]]) {
        let (depth, width) = (columns.len(), rows.len());
        Scaled { values: self.view(rows, columns).reversed_axes(), scale }.pack(0..depth, 0..width, strips);
    }
}

/// The keys that any query of a block sees; `width` numbers a span.
fn visible_keys(spans: &[u32], width: usize) -> Range<usize> {
    let spans = spans.chunks_exact(width);
    let first = spans.clone().map(|span| shared(span).map_or(span[0] as usize, |keys| keys.start)).min().unwrap_or(0);
    let end = spans.map(|span| span[1] as usize + 1).max().unwrap_or(0);
    first..end
}

/// The keys that a span's query sees before its own rows, where there are some.
fn shared(span: &[u32]) -> Option<Range<usize>> {
    match *span {
        [_, _, end, start] if start < end => Some(start as usize..end as usize),
        _ => None,
    }
}

/// The two ranges of keys that a span's query sees, the first of them often empty, counted from `start`.
fn seen(span: &[u32], start: usize) -> [Range<usize>; 2] {
    let first = span[0] as usize - start;
    let shared = shared(span).map_or(first..first, |keys| keys.start - start..(keys.end - start).min(first));
    [shared, first..span[1] as usize - start + 1]
}

/// Takes `slope · distance` off scores whose last key is `nearest` tokens away.
#[inline(always)]
fn fall(scores: &mut [f32], slope: f32, nearest: usize) {
    if slope != 0.0 {
        let last = (scores.len() + nearest) as f32 - 1.0;
        scores.iter_mut().enumerate().for_each(|(key, score)| *score -= slope * (last - key as f32));
    }
}

/// Softmax over the scores that are seen, capped and less by `slope` a token of distance, zero elsewhere; returns the
/// log-sum-exp.
#[inline(always)]
fn softmax(scores: &mut [f32], [shared, own]: &[Range<usize>; 2], cap: Option<f32>, slope: f32) -> f32 {
    // The query is the last of its own keys.
    for (keys, nearest) in [(own, 0), (shared, own.len())] {
        cap_all(&mut scores[keys.clone()], cap);
        fall(&mut scores[keys.clone()], slope, nearest);
    }
    scores[own.end..].fill(0.0);
    scores[..shared.start].fill(0.0);
    scores[shared.end..own.start].fill(f32::NEG_INFINITY);
    let scores = &mut scores[shared.start..own.end];
    let most = largest(scores);
    let sum = exp_and_sum(scores, most);
    scores.iter_mut().for_each(|s| *s /= sum);
    sum.ln() + most
}
