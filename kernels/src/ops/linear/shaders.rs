//! The kernels of products with frozen matrices, and their parameters.

#[cfg(test)]
use crate::gpu::Shader;
use crate::gpu::weights::{ENCODINGS, SCALES};
use crate::gpu::wgsl::{self, Definitions, MATRIX, NARROW, Source, WIDE};
use crate::gpu::{Constants, Kernel, params};

const INPUT: Source = wgsl::source!("input.wgsl");
const BINDINGS: Source = wgsl::source!("forward_bindings.wgsl");
const LINEAR: Source = wgsl::source!("forward.wgsl");
const VECTOR: Source = wgsl::source!("forward_vector.wgsl");
const BACKWARD: Source = wgsl::source!("backward.wgsl");

params! {
    pub(super) struct ForwardParams {
        rows: u32,
        input_row: u32,
        out_row: u32,
        input_width: u32,
        quads: u32,
        blocks: u32,
        groups: u32,
        blocks_per_group: u32,
        out_width: u32,
        shard_row: u32,
        shard_rows: u32,
        rank: u32,
        factor_offset: u32,
        factor_scale: f32,
    }
}
params! {
    pub(super) struct BackwardParams {
        rows: u32,
        input_row: u32,
        out_row: u32,
        input_width: u32,
        first_quad: u32,
        from_quad: u32,
        end_quad: u32,
        blocks: u32,
        groups: u32,
        blocks_per_group: u32,
        out_width: u32,
        rank: u32,
        factor_offset: u32,
        factor_scale: f32,
    }
}

const FORWARD_CONSTANTS: Constants =
    &[("ENCODING", ENCODINGS), ("SCALES", SCALES), ("RESIDUAL", &[0, 1]), ("BIAS", &[0, 1])];
const BACKWARD_CONSTANTS: Constants = &[("ENCODING", ENCODINGS), ("SCALES", SCALES), ("ADD", &[0, 1])];

const fn forward(name: &'static str, definitions: Definitions, sources: &'static [Source]) -> Kernel<ForwardParams> {
    Kernel::new(name, sources, FORWARD_CONSTANTS).with(definitions)
}

const fn backward(name: &'static str, definitions: Definitions) -> Kernel<BackwardParams> {
    Kernel::new(name, &[MATRIX, INPUT, BACKWARD], BACKWARD_CONSTANTS).with(definitions)
}

pub(super) static LINEAR_WIDE: Kernel<ForwardParams> = forward("linear_wide", WIDE, &[MATRIX, BINDINGS, INPUT, LINEAR]);
pub(super) static LINEAR_NARROW: Kernel<ForwardParams> =
    forward("linear_narrow", NARROW, &[MATRIX, BINDINGS, INPUT, LINEAR]);
pub(super) static VECTOR_WIDE: Kernel<ForwardParams> =
    forward("linear_vector_wide", WIDE, &[MATRIX, BINDINGS, INPUT, VECTOR]);
pub(super) static VECTOR_NARROW: Kernel<ForwardParams> =
    forward("linear_vector_narrow", NARROW, &[MATRIX, BINDINGS, INPUT, VECTOR]);
pub(super) static BACKWARD_WIDE: Kernel<BackwardParams> = backward("linear_backward_wide", WIDE);
pub(super) static BACKWARD_NARROW: Kernel<BackwardParams> = backward("linear_backward_narrow", NARROW);

#[cfg(test)]
pub(in crate::ops) static KERNELS: &[&Shader] = &[
    &LINEAR_WIDE.shader,
    &LINEAR_NARROW.shader,
    &VECTOR_WIDE.shader,
    &VECTOR_NARROW.shader,
    &BACKWARD_WIDE.shader,
    &BACKWARD_NARROW.shader,
];
