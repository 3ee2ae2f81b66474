//! The normalization's kernels and their parameters.

#[cfg(test)]
use crate::gpu::Shader;
use crate::gpu::{Kernel, params, wgsl};

params! {
    pub(super) struct LayerNormParams {
        width: u32,
        epsilon: f32,
    }
}

pub(super) static FORWARD: Kernel<LayerNormParams> =
    Kernel::new("layer_norm", &[wgsl::source!("forward.wgsl"), wgsl::REDUCE], &[]);
pub(super) static BACKWARD: Kernel<LayerNormParams> =
    Kernel::new("layer_norm_backward", &[wgsl::source!("backward.wgsl"), wgsl::REDUCE], &[("ADD", &[0, 1])]);

#[cfg(test)]
pub(in crate::ops) static KERNELS: &[&Shader] = &[&FORWARD.shader, &BACKWARD.shader];
