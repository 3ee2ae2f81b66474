//! SwiGLU's kernels and their parameters.

#[cfg(test)]
use crate::gpu::Shader;
use crate::gpu::{Kernel, params, wgsl};

params! {
    pub(super) struct SwiGluParams {
        len: u32,
    }
}

pub(super) static FORWARD: Kernel<SwiGluParams> =
    Kernel::new("swiglu", &[wgsl::source!("forward.wgsl"), wgsl::EXP], &[]);
pub(super) static BACKWARD: Kernel<SwiGluParams> =
    Kernel::new("swiglu_backward", &[wgsl::source!("backward.wgsl"), wgsl::EXP], &[]);

#[cfg(test)]
pub(in crate::ops) static KERNELS: &[&Shader] = &[&FORWARD.shader, &BACKWARD.shader];
