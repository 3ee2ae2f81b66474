//! Attention's kernels, its gradient's too, and their parameters.

#[cfg(test)]
use crate::gpu::Shader;
use crate::gpu::{Constants, Kernel, params, wgsl};

params! {
    /// Of the gradient's two halves as well.
    pub(super) struct TiledParams {
        rows: u32,
        query_heads: u32,
        key_heads: u32,
        scale: f32,
    }
}
params! {
    pub(super) struct VectorParams {
        query_heads: u32,
        key_heads: u32,
        scale: f32,
    }
}
params! {
    pub(super) struct StatisticsParams {
        len: u32,
        heads: u32,
        dim: u32,
    }
}

const TILED: &str = include_str!("forward.wgsl");
const VECTOR: &str = include_str!("forward_vector.wgsl");
const DQ: &str = include_str!("backward_dq.wgsl");
const DKV: &str = include_str!("backward_dkv.wgsl");
const SCORES: &str = include_str!("backward_scores.wgsl");
const WIDE_PART: &str = include_str!("part_wide.wgsl");
const NARROW_PART: &str = include_str!("part_narrow.wgsl");

const PARTS: Constants = &[("PARTS", &[2, 16])];
const TILED_CONSTANTS: Constants = &[("PARTS", &[2, 16]), ("SPAN", &[2, 3])];

pub(super) static WIDE: Kernel<TiledParams> =
    Kernel::new("attention_wide", &[TILED, WIDE_PART, wgsl::EXP], TILED_CONSTANTS);
pub(super) static NARROW: Kernel<TiledParams> =
    Kernel::new("attention_narrow", &[TILED, NARROW_PART, wgsl::EXP], TILED_CONSTANTS);
pub(super) static VECTOR_WIDE: Kernel<VectorParams> =
    Kernel::new("attention_vector_wide", &[VECTOR, WIDE_PART, wgsl::EXP, wgsl::REDUCE], PARTS);
pub(super) static VECTOR_NARROW: Kernel<VectorParams> =
    Kernel::new("attention_vector_narrow", &[VECTOR, NARROW_PART, wgsl::EXP, wgsl::REDUCE], PARTS);
pub(super) static STATISTICS: Kernel<StatisticsParams> =
    Kernel::new("attention_statistics", &[include_str!("backward_statistics.wgsl")], &[]);
pub(super) static DQ_WIDE: Kernel<TiledParams> =
    Kernel::new("attention_dq_wide", &[DQ, SCORES, WIDE_PART, wgsl::EXP], PARTS);
pub(super) static DQ_NARROW: Kernel<TiledParams> =
    Kernel::new("attention_dq_narrow", &[DQ, SCORES, NARROW_PART, wgsl::EXP], PARTS);
pub(super) static DKV_WIDE: Kernel<TiledParams> =
    Kernel::new("attention_dkv_wide", &[DKV, SCORES, WIDE_PART, wgsl::EXP], PARTS);
pub(super) static DKV_NARROW: Kernel<TiledParams> =
    Kernel::new("attention_dkv_narrow", &[DKV, SCORES, NARROW_PART, wgsl::EXP], PARTS);

#[cfg(test)]
pub(in crate::ops) static KERNELS: &[&Shader] = &[
    &WIDE.shader,
    &NARROW.shader,
    &VECTOR_WIDE.shader,
    &VECTOR_NARROW.shader,
    &STATISTICS.shader,
    &DQ_WIDE.shader,
    &DQ_NARROW.shader,
    &DKV_WIDE.shader,
    &DKV_NARROW.shader,
];
