//! Soft caps (Bello et al., 2017): `c·tanh(x/c)`, which is x where x is small and never beyond c. Attention has them over
//! its scores, the loss over its logits; logits that are wanted themselves have this operation.

use rayon::prelude::*;

use crate::cpu::{Frame, exp, vectorized};
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::program::{Access, BufferId, Operation, Shapes, Touch};

#[cfg(feature = "gpu")]
gpu::params! {
    pub(super) struct SoftCapParams {
        len: u32,
        cap: f32,
    }
}

#[cfg(feature = "gpu")]
pub(super) static SOFT_CAP: gpu::Kernel<SoftCapParams> =
    gpu::Kernel::new("soft_cap", &[gpu::wgsl::source!("soft_cap.wgsl"), gpu::wgsl::SOFT_CAP, gpu::wgsl::EXP], &[]);

/// Values a task.
const TASK: usize = 4096;

/// `x ← c·tanh(x/c)`.
#[derive(Debug)]
pub struct SoftCap {
    /// `[t, n]`.
    pub x: BufferId,
    /// c, above 0.
    pub cap: f32,
}

impl Operation for SoftCap {
    fn name(&self) -> &'static str {
        "soft_cap"
    }

    fn touches(&self) -> Vec<Touch> {
        vec![(self.x, Access::Update)]
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        check_cap(Some(self.cap), shapes)
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let [x] = frame.slices([Some(self.x)]);
        x.par_chunks_mut(TASK).for_each(|x| vectorized!(cap_all(x, Some(self.cap))));
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let len = recorder.len(self.x);
        let x = recorder.buffer(self.x)?;
        recorder.each(&SOFT_CAP, &[], &[x], SoftCapParams { len: gpu::count(len)?, cap: self.cap }, 16.0)
    }
}

/// Refuses caps that are none.
pub(super) fn check_cap(cap: Option<f32>, shapes: &Shapes<'_>) -> Result<()> {
    shapes.expect(cap.is_none_or(|cap| cap > 0.0 && cap.is_finite()), format_args!("a cap of {cap:?}"))
}

/// `c·tanh(x/c)` of each; each itself without a cap.
#[inline(always)]
pub(super) fn cap_all(values: &mut [f32], cap: Option<f32>) {
    if let Some(cap) = cap {
        values.iter_mut().for_each(|value| *value = soft_cap(*value, cap));
    }
}

/// `c·tanh(x/c)`.
#[inline(always)]
pub(super) fn soft_cap(x: f32, cap: f32) -> f32 {
    cap * (1.0 - 2.0 / (exp(2.0 * (x / cap)) + 1.0))
}

/// The derivative where the value is `y`: `1 − (y/c)²`.
#[inline(always)]
pub(super) fn soft_cap_slope(y: f32, cap: f32) -> f32 {
    let share = y / cap;
    1.0 - share * share
}
