//! The kernels of activations and their parameters.

#[cfg(test)]
use crate::gpu::Shader;
use crate::gpu::wgsl::{self, Source};
use crate::gpu::{Constants, Kernel, params};

params! {
    pub(super) struct GluParams {
        len: u32,
    }
}

const INNER: Source = wgsl::source!("inner.wgsl");
const VARIANTS: Constants = &[("GELU", &[0, 1]), ("GATED", &[0, 1])];

pub(super) static FORWARD: Kernel<GluParams> =
    Kernel::new("glu", &[wgsl::source!("forward.wgsl"), INNER, wgsl::EXP], VARIANTS);
pub(super) static BACKWARD: Kernel<GluParams> =
    Kernel::new("glu_backward", &[wgsl::source!("backward.wgsl"), INNER, wgsl::EXP], VARIANTS);

#[cfg(test)]
pub(in crate::ops) static KERNELS: &[&Shader] = &[&FORWARD.shader, &BACKWARD.shader];
