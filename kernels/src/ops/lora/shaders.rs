//! The adapter's kernels and their parameters.

#[cfg(test)]
use crate::gpu::Shader;
use crate::gpu::{Kernel, params, wgsl};

params! {
    pub(super) struct DownParams {
        rows: u32,
        width: u32,
        rank: u32,
        offset: u32,
        step_k: u32,
        step_j: u32,
        scale: f32,
    }
}
params! {
    pub(super) struct GradientParams {
        rows: u32,
        width: u32,
        rank: u32,
        offset: u32,
        step_c: u32,
        step_j: u32,
        scale: f32,
    }
}
params! {
    pub(super) struct InputGradientParams {
        len: u32,
        width: u32,
        rank: u32,
        offset: u32,
    }
}

pub(super) static DOWN: Kernel<DownParams> = Kernel::new("lora_down", &[wgsl::source!("down.wgsl")], &[]);
pub(super) static GRADIENT: Kernel<GradientParams> =
    Kernel::new("lora_gradient", &[wgsl::source!("gradient.wgsl")], &[]);
pub(super) static INPUT_GRADIENT: Kernel<InputGradientParams> =
    Kernel::new("lora_input_gradient", &[wgsl::source!("input_gradient.wgsl")], &[]);

#[cfg(test)]
pub(in crate::ops) static KERNELS: &[&Shader] = &[&DOWN.shader, &GRADIENT.shader, &INPUT_GRADIENT.shader];
