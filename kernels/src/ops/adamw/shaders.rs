//! The optimizer's kernels and their parameters.

#[cfg(test)]
use crate::gpu::Shader;
use crate::gpu::{Kernel, params, wgsl};

params! {
    pub(super) struct SquaresParams {
        len: u32,
        first_block: u32,
    }
}
params! {
    pub(super) struct DecideParams {
        blocks: u32,
        clip: f32,
    }
}
params! {
    pub(super) struct UpdateParams {
        len: u32,
        beta1: f32,
        beta2: f32,
        epsilon: f32,
        decay: f32,
        step: f32,
        root: f32,
    }
}

pub(super) static SQUARES: Kernel<SquaresParams> =
    Kernel::new("adamw_squares", &[wgsl::source!("squares.wgsl"), wgsl::REDUCE], &[]);
pub(super) static DECIDE: Kernel<DecideParams> =
    Kernel::new("adamw_decide", &[wgsl::source!("decide.wgsl"), wgsl::REDUCE], &[]);
pub(super) static UPDATE: Kernel<UpdateParams> = Kernel::new("adamw", &[wgsl::source!("update.wgsl")], &[]);

#[cfg(test)]
pub(in crate::ops) static KERNELS: &[&Shader] = &[&SQUARES.shader, &DECIDE.shader, &UPDATE.shader];
