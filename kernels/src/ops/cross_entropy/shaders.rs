//! The loss's kernels and their parameters.

#[cfg(test)]
use crate::gpu::Shader;
use crate::gpu::{Kernel, params, wgsl};

params! {
    pub(super) struct RowLossParams {
        vocabulary: u32,
        first_row: u32,
        weight: f32,
        cap: f32,
    }
}
params! {
    pub(super) struct TotalParams {
        len: u32,
        weight: f32,
    }
}

pub(super) static ROW_LOSS: Kernel<RowLossParams> = Kernel::new(
    "cross_entropy",
    &[wgsl::source!("row_loss.wgsl"), wgsl::REDUCE, wgsl::SOFT_CAP, wgsl::EXP],
    &[("TRAIN", &[0, 1])],
);
pub(super) static TOTAL: Kernel<TotalParams> =
    Kernel::new("loss_total", &[wgsl::source!("total.wgsl"), wgsl::REDUCE], &[]);

#[cfg(test)]
pub(in crate::ops) static KERNELS: &[&Shader] = &[&ROW_LOSS.shader, &TOTAL.shader];
