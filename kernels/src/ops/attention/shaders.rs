//! Attention's kernels, its gradient's too, and their parameters.

#[cfg(test)]
use crate::gpu::Shader;
use crate::gpu::wgsl::{self, Definitions, EXP, NARROW, REDUCE, SOFT_CAP, Source, WIDE};
use crate::gpu::{Constants, Kernel, params};

params! {
    /// Of the gradient's two halves as well.
    pub(super) struct TiledParams {
        rows: u32,
        query_heads: u32,
        key_heads: u32,
        scale: f32,
        cap: f32,
        lower: f32,
    }
}
params! {
    pub(super) struct VectorParams {
        query_heads: u32,
        key_heads: u32,
        scale: f32,
        cap: f32,
        lower: f32,
    }
}
params! {
    pub(super) struct StatisticsParams {
        len: u32,
        heads: u32,
        dim: u32,
    }
}

const TILED: Source = wgsl::source!("forward.wgsl");
const VECTOR: Source = wgsl::source!("forward_vector.wgsl");
const DQ: Source = wgsl::source!("backward_dq.wgsl");
const DKV: Source = wgsl::source!("backward_dkv.wgsl");
const SCORES: Source = wgsl::source!("backward_scores.wgsl");
const PART: Source = wgsl::source!("part.wgsl");
const ALIBI: Source = wgsl::source!("alibi.wgsl");

const PARTS: Constants = &[("PARTS", &[2, 16])];
const TILED_CONSTANTS: Constants = &[("PARTS", &[2, 16]), ("SPAN", &[2, 4])];

const fn tiled(name: &'static str, definitions: Definitions) -> Kernel<TiledParams> {
    Kernel::new(name, &[TILED, PART, ALIBI, SOFT_CAP, EXP], TILED_CONSTANTS).with(definitions)
}

const fn vector(name: &'static str, definitions: Definitions) -> Kernel<VectorParams> {
    Kernel::new(name, &[VECTOR, PART, ALIBI, SOFT_CAP, EXP, REDUCE], PARTS).with(definitions)
}

const fn dq(name: &'static str, definitions: Definitions) -> Kernel<TiledParams> {
    Kernel::new(name, &[DQ, SCORES, PART, ALIBI, SOFT_CAP, EXP], PARTS).with(definitions)
}

const fn dkv(name: &'static str, definitions: Definitions) -> Kernel<TiledParams> {
    Kernel::new(name, &[DKV, SCORES, PART, ALIBI, SOFT_CAP, EXP], PARTS).with(definitions)
}

pub(super) static TILED_WIDE: Kernel<TiledParams> = tiled("attention_wide", WIDE);
pub(super) static TILED_NARROW: Kernel<TiledParams> = tiled("attention_narrow", NARROW);
pub(super) static VECTOR_WIDE: Kernel<VectorParams> = vector("attention_vector_wide", WIDE);
pub(super) static VECTOR_NARROW: Kernel<VectorParams> = vector("attention_vector_narrow", NARROW);
pub(super) static STATISTICS: Kernel<StatisticsParams> =
    Kernel::new("attention_statistics", &[wgsl::source!("backward_statistics.wgsl")], &[]);
pub(super) static DQ_WIDE: Kernel<TiledParams> = dq("attention_dq_wide", WIDE);
pub(super) static DQ_NARROW: Kernel<TiledParams> = dq("attention_dq_narrow", NARROW);
pub(super) static DKV_WIDE: Kernel<TiledParams> = dkv("attention_dkv_wide", WIDE);
pub(super) static DKV_NARROW: Kernel<TiledParams> = dkv("attention_dkv_narrow", NARROW);

#[cfg(test)]
pub(in crate::ops) static KERNELS: &[&Shader] = &[
    &TILED_WIDE.shader,
    &TILED_NARROW.shader,
    &VECTOR_WIDE.shader,
    &VECTOR_NARROW.shader,
    &STATISTICS.shader,
    &DQ_WIDE.shader,
    &DQ_NARROW.shader,
    &DKV_WIDE.shader,
    &DKV_NARROW.shader,
];
