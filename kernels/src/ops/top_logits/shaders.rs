//! The largest logits' kernels and their parameters.

#[cfg(test)]
use crate::gpu::Shader;
use crate::gpu::{Kernel, params, wgsl};

params! {
    pub(super) struct TopParams {
        count: u32,
        blocks: u32,
        k: u32,
    }
}
params! {
    pub(super) struct LogSumExpParams {
        width: u32,
        step: u32,
        column: u32,
    }
}

pub(super) static TOP: Kernel<TopParams> =
    Kernel::new("top_logits", &[wgsl::source!("top.wgsl")], &[("FIRST", &[0, 1]), ("LAST", &[0, 1])]);
pub(super) static LOG_SUM_EXP: Kernel<LogSumExpParams> =
    Kernel::new("log_sum_exp", &[wgsl::source!("log_sum_exp.wgsl"), wgsl::REDUCE, wgsl::EXP], &[]);

#[cfg(test)]
pub(in crate::ops) static KERNELS: &[&Shader] = &[&TOP.shader, &LOG_SUM_EXP.shader];
