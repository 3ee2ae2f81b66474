//! The gradient of attention, probabilities recomputed from the kept log-sum-exp.

use multiversion::multiversion;
use ndarray::linalg::general_mat_mul;
use ndarray::parallel::prelude::*;
use ndarray::{ArrayView2, Axis, s};

#[cfg(feature = "gpu")]
use super::attention::TILE;
use super::attention::{BLOCK, Heads, visible_keys};
use crate::cpu::{Frame, exp, matrix, matrix_mut, sum_of_products, with_scratch};
use crate::program::{Access, BufferId, Operation, Touch};
#[cfg(feature = "gpu")]
use crate::{error::Result, gpu};

#[cfg(feature = "gpu")]
mod shaders {
    use super::super::attention::{EXP, NARROW_PART, PARTS, WIDE_PART};
    use crate::gpu::Kernel;

    const DQ: &str = include_str!("attention_dq.wgsl");
    const DKV: &str = include_str!("attention_dkv.wgsl");
    const SCORES: &str = include_str!("../shader/shared/score_gradient.wgsl");

    const fn kernel(name: &'static str, sources: &'static [&'static str]) -> Kernel {
        Kernel { name, sources, constants: PARTS }
    }

    pub(in crate::ops) static STATISTICS: Kernel =
        Kernel { name: "attention_statistics", sources: &[include_str!("attention_statistics.wgsl")], constants: &[] };
    pub(in crate::ops) static DQ_WIDE: Kernel = kernel("attention_dq_wide", &[DQ, SCORES, WIDE_PART, EXP]);
    pub(in crate::ops) static DQ_NARROW: Kernel = kernel("attention_dq_narrow", &[DQ, SCORES, NARROW_PART, EXP]);
    pub(in crate::ops) static DKV_WIDE: Kernel = kernel("attention_dkv_wide", &[DKV, SCORES, WIDE_PART, EXP]);
    pub(in crate::ops) static DKV_NARROW: Kernel = kernel("attention_dkv_narrow", &[DKV, SCORES, NARROW_PART, EXP]);
}
#[cfg(feature = "gpu")]
pub(super) use shaders::*;

/// With `P = exp(scale·q·kᵀ − lse)`, `δ = Σ dout∘out`, `dS = scale · P∘(dout·vᵀ − δ)`:
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

    fn run(&self, frame: &mut Frame<'_>) {
        let heads = self.heads;
        let (q_width, kv_width) = (heads.query * heads.dim, heads.key_value * heads.dim);
        let ids = [
            self.q, self.k, self.v, self.out, self.lse, self.dout, self.spans, self.reach, self.delta, self.dq,
            self.dk, self.dv,
        ];
        let [q, k, v, out, lse, dout, spans, reach, delta, dq, dk, dv] = frame.slices(ids.map(Some));
        let rows = Rows {
            heads,
            q: matrix(q, q_width),
            k: matrix(k, kv_width),
            v: matrix(v, kv_width),
            lse: matrix(lse, heads.query),
            dout: matrix(dout, q_width),
            spans: bytemuck::cast_slice(spans),
        };
        let reach = bytemuck::cast_slice::<f32, u32>(reach);
        dot_heads(out, dout, heads, delta);
        let delta: ArrayView2<f32> = matrix(delta, heads.query);

        matrix_mut(dq, q_width).axis_chunks_iter_mut(Axis(0), BLOCK).into_par_iter().enumerate().for_each(
            |(block, mut dq)| {
                let queries = block * BLOCK..block * BLOCK + dq.nrows();
                let keys = visible_keys(&rows.spans[2 * queries.start..2 * queries.end]);
                with_scratch(2 * queries.len() * keys.len(), |scratch| {
                    let (p, ds) = scratch.split_at_mut(queries.len() * keys.len());
                    for head in 0..heads.query {
                        rows.score_gradients(head, queries.clone(), keys.clone(), delta, p, ds);
                        let k = rows.k.slice(s![keys.clone(), heads.columns(heads.key_value_of(head))]);
                        let mut dq = dq.slice_mut(s![.., heads.columns(head)]);
                        general_mat_mul(1.0, &matrix(ds, keys.len()), &k, 0.0, &mut dq);
                    }
                });
            },
        );

        matrix_mut(dk, kv_width)
            .axis_chunks_iter_mut(Axis(0), BLOCK)
            .into_par_iter()
            .zip(matrix_mut(dv, kv_width).axis_chunks_iter_mut(Axis(0), BLOCK))
            .enumerate()
            .for_each(|(block, (mut dk, mut dv))| {
                let keys = block * BLOCK..block * BLOCK + dk.nrows();
                let end = reach[keys.clone()].iter().max().map_or(0, |&r| r as usize);
                let queries = keys.start..end;
                with_scratch(2 * queries.len() * keys.len(), |scratch| {
                    let (p, ds) = scratch.split_at_mut(queries.len() * keys.len());
                    let group = heads.query / heads.key_value;
                    for head in 0..heads.query {
                        rows.score_gradients(head, queries.clone(), keys.clone(), delta, p, ds);
                        let beta = if head % group == 0 { 0.0 } else { 1.0 };
                        let (own, shared) = (heads.columns(head), heads.columns(heads.key_value_of(head)));
                        let q = rows.q.slice(s![queries.clone(), own.clone()]);
                        let dout = rows.dout.slice(s![queries.clone(), own]);
                        let mut dk = dk.slice_mut(s![.., shared.clone()]);
                        general_mat_mul(1.0, &matrix(ds, keys.len()).t(), &q, beta, &mut dk);
                        let mut dv = dv.slice_mut(s![.., shared]);
                        general_mat_mul(1.0, &matrix(p, keys.len()).t(), &dout, beta, &mut dv);
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
        let params = [heads.query as u32, heads.dim as u32];
        let bindings = [out, dout, lse, spans, reach, delta, statistics];
        recorder.each(&STATISTICS, &[], &bindings, rows * heads.query, &params, 2.0 * heads.dim as f64)?;
        let [q, k, v, dq, dk, dv] = recorder.buffers([self.q, self.k, self.v, self.dq, self.dk, self.dv])?;
        let params = [rows as u32, heads.query as u32, heads.key_value as u32, heads.scale.to_bits()];
        let work = (rows * rows * heads.query * heads.dim) as f64;
        let (kernel, parts) = heads.parts(&DQ_WIDE, &DQ_NARROW)?;
        recorder.launch(gpu::Launch {
            kernel,
            constants: &[("PARTS", parts)],
            bindings: &[q, k, v, dout, statistics, dq],
            params: &params,
            grid: [heads.query, rows.div_ceil(TILE)],
            work: 6.0 * work,
        })?;
        let (kernel, parts) = heads.parts(&DKV_WIDE, &DKV_NARROW)?;
        recorder.launch(gpu::Launch {
            kernel,
            constants: &[("PARTS", parts)],
            bindings: &[q, k, v, dout, statistics, dk, dv],
            params: &params,
            grid: [heads.key_value, rows.div_ceil(TILE)],
            work: 8.0 * work,
        })
    }
}

/// What both halves of the gradient read.
struct Rows<'a> {
    heads: Heads,
    q: ArrayView2<'a, f32>,
    k: ArrayView2<'a, f32>,
    v: ArrayView2<'a, f32>,
    lse: ArrayView2<'a, f32>,
    dout: ArrayView2<'a, f32>,
    spans: &'a [u32],
}

impl Rows<'_> {
    /// P and dS of one head for a block of queries and keys, `[queries, keys]` each.
    fn score_gradients(
        &self,
        head: usize,
        queries: std::ops::Range<usize>,
        keys: std::ops::Range<usize>,
        delta: ArrayView2<f32>,
        p: &mut [f32],
        ds: &mut [f32],
    ) {
        let heads = self.heads;
        let (own, shared) = (heads.columns(head), heads.columns(heads.key_value_of(head)));
        let q = self.q.slice(s![queries.clone(), own.clone()]);
        let dout = self.dout.slice(s![queries.clone(), own]);
        let k = self.k.slice(s![keys.clone(), shared.clone()]);
        let v = self.v.slice(s![keys.clone(), shared]);
        general_mat_mul(heads.scale, &q, &k.t(), 0.0, &mut matrix_mut(p, keys.len()));
        general_mat_mul(1.0, &dout, &v.t(), 0.0, &mut matrix_mut(ds, keys.len()));
        for (i, (p, ds)) in queries.zip(p.chunks_exact_mut(keys.len()).zip(ds.chunks_exact_mut(keys.len()))) {
            let seen = |key: u32| (key as usize).clamp(keys.start, keys.end) - keys.start;
            let visible = seen(self.spans[2 * i])..seen(self.spans[2 * i + 1] + 1);
            row_gradient(p, ds, visible, self.lse[[i, head]], delta[[i, head]], heads.scale);
        }
    }
}

/// `p ← exp(p − lse)`, `ds ← scale·p·(ds − δ)` on the visible keys; zero elsewhere.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn row_gradient(p: &mut [f32], ds: &mut [f32], visible: std::ops::Range<usize>, lse: f32, delta: f32, scale: f32) {
    for row in [&mut *p, &mut *ds] {
        row[..visible.start].fill(0.0);
        row[visible.end.max(visible.start)..].fill(0.0);
    }
    if visible.is_empty() {
        return;
    }
    for (p, ds) in p[visible.clone()].iter_mut().zip(&mut ds[visible]) {
        *p = exp(*p - lse);
        *ds = scale * *p * (*ds - delta);
    }
}

/// `delta[i, h] = Σ_d out[i, h, d] · dout[i, h, d]`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+fma", "x86_64+avx2+fma"))]
fn dot_heads(out: &[f32], dout: &[f32], heads: Heads, delta: &mut [f32]) {
    let pairs = out.chunks_exact(heads.dim).zip(dout.chunks_exact(heads.dim));
    for (delta, (out, dout)) in delta.iter_mut().zip(pairs) {
        *delta = sum_of_products([out, dout]);
    }
}
