//! The gradient of attention, probabilities recomputed from the kept log-sum-exp.

use std::ops::Range;

use ndarray::parallel::prelude::*;
use ndarray::{ArrayView2, Axis, s};

use super::super::soft_cap::{soft_cap, soft_cap_slope};
#[cfg(feature = "gpu")]
use super::TILE;
#[cfg(feature = "gpu")]
use super::shaders::{DKV_NARROW, DKV_WIDE, DQ_NARROW, DQ_WIDE, STATISTICS, StatisticsParams, TiledParams};
use super::{BLOCK, HeadRows, Heads, fall, visible_keys};
use crate::cpu::{
    Factors, Frame, Left, Output, exp, matrix, matrix_mut, multiply_strips, strips_len, sum_of_products, vectorized,
    with_scratch,
};
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::program::{Access, BufferId, Operation, Program, Shapes, Touch};

/// With `P = exp(c(scale·q·kᵀ) − slope·distance − lse)`, c the soft cap, `δ = Σ dout∘out`, `dS = scale · P∘(dout·vᵀ − δ)∘c'`:
/// `dq = dS·k`, `dk = dSᵀ·q`, `dv = Pᵀ·dout`, the last two summed over the query heads that share a key/value head.
#[derive(Debug)]
pub struct AttentionBackward {
    /// `[t, query·dim]`.
    pub q: BufferId,
    /// `[t, key_value·dim]`.
    pub k: BufferId,
    /// `[t, key_value·dim]`.
    pub v: BufferId,
    /// The forward output, `[t, query·dim]`.
    pub out: BufferId,
    /// The forward log-sum-exp, `[t, query]`.
    pub lse: BufferId,
    /// Gradient of `out`, `[t, query·dim]`.
    pub dout: BufferId,
    /// u32 `[t, 2]`, see [`super::Packing::spans`].
    pub spans: BufferId,
    /// u32 `[t, 1]`, see [`super::Packing::reach`].
    pub reach: BufferId,
    /// δ, `[t, query]`.
    pub delta: BufferId,
    /// Gradient of `q`.
    pub dq: BufferId,
    /// Gradient of `k`.
    pub dk: BufferId,
    /// Gradient of `v`.
    pub dv: BufferId,
    /// The shape.
    pub heads: Heads,
}

impl Operation for AttentionBackward {
    fn name(&self) -> &'static str {
        "attention_backward"
    }

    fn touches(&self) -> Vec<Touch> {
        let reads = [self.q, self.k, self.v, self.out, self.lse, self.dout, self.spans, self.reach];
        let writes = [self.delta, self.dq, self.dk, self.dv];
        reads.map(|b| (b, Access::Read)).into_iter().chain(writes.map(|b| (b, Access::Write))).collect()
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        self.heads.check(shapes)?;
        shapes
            .expect_same_rows(&[self.q, self.out, self.lse, self.dout, self.spans, self.reach, self.delta, self.dq])?;
        shapes.expect_same_rows(&[self.q, self.k, self.v, self.dk, self.dv])?;
        shapes.expect_width(self.heads.query * self.heads.dim, &[self.q, self.out, self.dout, self.dq])?;
        shapes.expect_width(self.heads.key_value * self.heads.dim, &[self.k, self.v, self.dk, self.dv])?;
        shapes.expect_width(self.heads.query, &[self.lse, self.delta])?;
        shapes.expect_width(2, &[self.spans])?;
        shapes.expect_width(1, &[self.reach])
    }

    fn scratch_len(&self, program: &Program) -> usize {
        let keys = program.rows(self.k);
        keys.saturating_mul(2 * BLOCK + strips_len(1, self.heads.dim))
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let heads = self.heads;
        let (q_width, kv_width) = (heads.query * heads.dim, heads.key_value * heads.dim);
        let ids = [
            self.q, self.k, self.v, self.out, self.lse, self.dout, self.spans, self.reach, self.delta, self.dq,
            self.dk, self.dv,
        ];
        let [q, k, v, out, lse, dout, spans, reach, delta, dq, dk, dv] = frame.slices(ids.map(Some));
        let spans: &[u32] = bytemuck::cast_slice(spans);
        let reach: &[u32] = bytemuck::cast_slice(reach);
        vectorized!(dot_heads(out, dout, heads, delta));
        let (q, dout) = (HeadRows::new(q, q_width), HeadRows::new(dout, q_width));
        let (k, v) = (HeadRows::new(k, kv_width), HeadRows::new(v, kv_width));
        let rows = Rows { heads, lse: matrix(lse, heads.query), delta: matrix(delta, heads.query), spans };
        let dim = heads.dim;

        matrix_mut(dq, q_width)
            .axis_chunks_iter_mut(Axis(0), BLOCK)
            .into_par_iter()
            .enumerate()
            .with_max_len(1)
            .for_each(|(block, mut dq)| {
                let queries = block * BLOCK..block * BLOCK + dq.nrows();
                let keys = visible_keys(&spans[2 * queries.start..2 * queries.end], 2);
                let (area, strip) = (queries.len() * keys.len(), strips_len(dim, queries.len()));
                with_scratch([area, area, strip, strips_len(keys.len(), dim)], |[p, ds, strip, key_strips]| {
                    let (strip, key_strips) = (strip.as_chunks_mut().0, key_strips.as_chunks_mut().0);
                    for shared in 0..heads.key_value {
                        let columns = heads.columns(shared);
                        k.strips(keys.clone(), columns.clone(), key_strips);
                        for head in heads.queries_of(shared) {
                            // Transposed: keys and values are read where they lie.
                            for (from, scale, left, out) in [(q, heads.scale, k, &mut *p), (dout, 1.0, v, &mut *ds)] {
                                from.transposed_strips(queries.clone(), heads.columns(head), scale, strip);
                                let a = left.from(keys.start, columns.start);
                                let out = matrix_mut(out, keys.len()).reversed_axes();
                                multiply_strips(&[Factors { a, depth: dim, strips: strip }], out, Output::Overwrite);
                            }
                            rows.score_gradients(head, queries.clone(), keys.clone(), (&mut *p, &mut *ds));
                            let ds = Factors { a: Left::Rows(ds, keys.len()), depth: keys.len(), strips: key_strips };
                            let dq = dq.slice_mut(s![.., heads.columns(head)]);
                            multiply_strips(&[ds], dq, Output::Overwrite);
                        }
                    }
                });
            });

        matrix_mut(dk, kv_width)
            .axis_chunks_iter_mut(Axis(0), BLOCK)
            .into_par_iter()
            .zip(matrix_mut(dv, kv_width).axis_chunks_iter_mut(Axis(0), BLOCK))
            .enumerate()
            .with_max_len(1)
            .for_each(|(block, (mut dk, mut dv))| {
                let keys = block * BLOCK..block * BLOCK + dk.nrows();
                let end = reach[keys.clone()].iter().max().map_or(0, |&r| r as usize);
                let queries = keys.start..end;
                let (area, strip) = (queries.len() * keys.len(), strips_len(dim, keys.len()));
                let lens = [area, area, strip, strip, strips_len(queries.len(), dim)];
                with_scratch(lens, |[p, ds, key_strip, value_strip, query_strips]| {
                    let (key_strip, value_strip) = (key_strip.as_chunks_mut().0, value_strip.as_chunks_mut().0);
                    let query_strips = query_strips.as_chunks_mut().0;
                    for shared in 0..heads.key_value {
                        let columns = heads.columns(shared);
                        k.transposed_strips(keys.clone(), columns.clone(), heads.scale, key_strip);
                        v.transposed_strips(keys.clone(), columns.clone(), 1.0, value_strip);
                        for head in heads.queries_of(shared) {
                            let own = heads.columns(head);
                            for (left, strips, out) in [(q, &*key_strip, &mut *p), (dout, &*value_strip, &mut *ds)] {
                                let a = left.from(queries.start, own.start);
                                let out = matrix_mut(out, keys.len());
                                multiply_strips(&[Factors { a, depth: dim, strips }], out, Output::Overwrite);
                            }
                            rows.score_gradients(head, queries.clone(), keys.clone(), (&mut *p, &mut *ds));
                            let first = head == heads.queries_of(shared).start;
                            let output = if first { Output::Overwrite } else { Output::Add };
                            for (transposed, from, out) in [(&*ds, q, &mut dk), (&*p, dout, &mut dv)] {
                                from.strips(queries.clone(), own.clone(), query_strips);
                                let a = Left::Columns(transposed, keys.len());
                                let product = Factors { a, depth: queries.len(), strips: query_strips };
                                multiply_strips(&[product], out.slice_mut(s![.., columns.clone()]), output);
                            }
                        }
                    }
                });
            });
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let heads = self.heads;
        let rows = recorder.rows(self.q);
        let statistics = recorder.scratch(rows * (2 * heads.query + 3) * 4)?;
        let [out, dout, lse, spans, reach, delta] =
            recorder.buffers([self.out, self.dout, self.lse, self.spans, self.reach, self.delta])?;
        let params = StatisticsParams {
            len: gpu::count(rows * heads.query)?,
            heads: gpu::count(heads.query)?,
            dim: gpu::count(heads.dim)?,
        };
        let bindings = [out, dout, lse, spans, reach, delta, statistics];
        recorder.each(&STATISTICS, &[], &bindings, params, 2.0 * heads.dim as f64)?;
        let [q, k, v, dq, dk, dv] = recorder.buffers([self.q, self.k, self.v, self.dq, self.dk, self.dv])?;
        let params = TiledParams {
            rows: gpu::count(rows)?,
            query_heads: gpu::count(heads.query)?,
            key_heads: gpu::count(heads.key_value)?,
            scale: heads.scale,
            cap: heads.cap.unwrap_or(0.0),
            lower: heads.gpu_lower(),
        };
        let work = (rows * rows * heads.query * heads.dim) as f64;
        let (kernel, parts) = heads.parts(&DQ_WIDE, &DQ_NARROW);
        recorder.launch(gpu::Launch {
            kernel,
            constants: &[("PARTS", parts)],
            bindings: &[q, k, v, dout, statistics, dq],
            params,
            grid: [heads.query, rows.div_ceil(TILE)],
            work: 6.0 * work,
        })?;
        let (kernel, parts) = heads.parts(&DKV_WIDE, &DKV_NARROW);
        recorder.launch(gpu::Launch {
            kernel,
            constants: &[("PARTS", parts)],
            bindings: &[q, k, v, dout, statistics, dk, dv],
            params,
            grid: [heads.key_value, rows.div_ceil(TILE)],
            work: 8.0 * work,
        })
    }
}

/// What both halves of the gradient read, row by row.
struct Rows<'a> {
    heads: Heads,
    lse: ArrayView2<'a, f32>,
    delta: ArrayView2<'a, f32>,
    spans: &'a [u32],
}

impl Rows<'_> {
    /// P and dS of one head from its scores and `dout·vᵀ`, for a block of queries and keys, `[queries, keys]` each.
    fn score_gradients(
        &self,
        head: usize,
        queries: Range<usize>,
        keys: Range<usize>,
        (p, ds): (&mut [f32], &mut [f32]),
    ) {
        let slope = self.heads.slope(head);
        for (i, (p, ds)) in queries.zip(p.chunks_exact_mut(keys.len()).zip(ds.chunks_exact_mut(keys.len()))) {
            let seen = |key: u32| (key as usize).clamp(keys.start, keys.end) - keys.start;
            let last = self.spans[2 * i + 1];
            let visible = seen(self.spans[2 * i])..seen(last + 1);
            let nearest = (last as usize + 1).saturating_sub(keys.end);
            let (lse, delta) = (self.lse[[i, head]], self.delta[[i, head]]);
            vectorized!(row_gradient(p, ds, &visible, [lse, delta], &self.heads, (slope, nearest)));
        }
    }
}

/// `p ← exp(c(p) − slope·distance − lse)`, `ds ← scale·p·(ds − δ)·c'` on the visible keys; zero elsewhere.
#[inline(always)]
fn row_gradient(
    p: &mut [f32],
    ds: &mut [f32],
    visible: &Range<usize>,
    [lse, delta]: [f32; 2],
    heads: &Heads,
    (slope, nearest): (f32, usize),
) {
    let scale = heads.scale;
    for row in [&mut *p, &mut *ds] {
        row[..visible.start].fill(0.0);
        row[visible.end.max(visible.start)..].fill(0.0);
    }
    if visible.is_empty() {
        return;
    }
    let (p, ds) = (&mut p[visible.clone()], &mut ds[visible.clone()]);
    match heads.cap {
        None => {
            fall(p, slope, nearest);
            p.iter_mut().zip(ds).for_each(|(p, ds)| {
                *p = exp(*p - lse);
                *ds = scale * *p * (*ds - delta);
            });
        }
        Some(cap) => {
            // By the capped scores the cap's derivative goes.
            let last = (p.len() + nearest) as f32 - 1.0;
            p.iter_mut().zip(ds).enumerate().for_each(|(key, (p, ds))| {
                let score = soft_cap(*p, cap);
                *p = exp(score - slope * (last - key as f32) - lse);
                *ds = scale * *p * (*ds - delta) * soft_cap_slope(score, cap);
            });
        }
    }
}

/// `delta[i, h] = Σ_d out[i, h, d] · dout[i, h, d]`.
#[inline(always)]
fn dot_heads(out: &[f32], dout: &[f32], heads: Heads, delta: &mut [f32]) {
    let pairs = out.chunks_exact(heads.dim).zip(dout.chunks_exact(heads.dim));
    for (delta, (out, dout)) in delta.iter_mut().zip(pairs) {
        *delta = sum_of_products([out, dout]);
    }
}
