//! Dropout on an adapter's input, from a counter-based generator, so that recomputation sees the same mask.

use rayon::prelude::*;

use crate::cpu::Frame;
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::program::{Access, BufferId, Operation, Shapes, Touch};

#[cfg(feature = "gpu")]
gpu::params! {
    pub(super) struct DropoutParams {
        len: u32,
        seed: u32,
        module_factor: u32,
        threshold: u32,
        scale: f32,
    }
}

#[cfg(feature = "gpu")]
pub(super) static DROPOUT: gpu::Kernel<DropoutParams> =
    gpu::Kernel::new("dropout", &[gpu::wgsl::source!("dropout.wgsl")], &[("ADD", &[0, 1])]);

/// `out = x∘mask/(1 − p)` or `out += …`; `mask[t, j] = hash(seed, module, t·n + j) ≥ p`. Its gradient is itself.
#[derive(Debug)]
pub struct Dropout {
    /// `[t, n]`.
    pub x: BufferId,
    /// `[t, n]`.
    pub out: BufferId,
    /// p in [0, 1).
    pub rate: f32,
    /// Distinguishes the masks of one run.
    pub module: u32,
    /// Add to `out`.
    pub add: bool,
}

impl Dropout {
    /// Draws below this are dropped: p · 2³².
    pub fn threshold(&self) -> u32 {
        (f64::from(self.rate) * 4_294_967_296.0) as u32
    }

    /// The draw of value `index`: the seed of the run, the module and the index through a 32-bit mixer
    /// (the finalizer of MurmurHash3, twice).
    pub fn draw(seed: u32, module: u32, index: u32) -> u32 {
        let mix = |mut h: u32| {
            h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
            h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
            h ^ (h >> 16)
        };
        mix(mix(seed ^ Self::module_factor(module)) ^ index)
    }

    fn module_factor(module: u32) -> u32 {
        module.wrapping_mul(0x9e37_79b9)
    }
}

impl Operation for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn touches(&self) -> Vec<Touch> {
        vec![(self.x, Access::Read), (self.out, if self.add { Access::Update } else { Access::Write })]
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        shapes.expect_same_rows(&[self.x, self.out])?;
        shapes.expect_width(shapes.width(self.x), &[self.out])?;
        shapes.expect((0.0..1.0).contains(&self.rate), format_args!("a rate of {}", self.rate))
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let (width, seed) = (frame.width(self.x), frame.scalars.dropout_seed);
        let (threshold, scale) = (self.threshold(), 1.0 / (1.0 - self.rate));
        let [x, out] = frame.slices([Some(self.x), Some(self.out)]);
        out.par_chunks_exact_mut(width).zip(x.par_chunks_exact(width)).enumerate().for_each(|(row, (out, x))| {
            for (j, (out, &x)) in out.iter_mut().zip(x).enumerate() {
                let kept = Self::draw(seed, self.module, (row * width + j) as u32) >= threshold;
                let value = if kept { x * scale } else { 0.0 };
                *out = if self.add { *out + value } else { value };
            }
        });
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let bindings = recorder.buffers([self.x, self.out])?;
        let params = DropoutParams {
            len: gpu::count(recorder.len(self.x))?,
            seed: recorder.scalars().dropout_seed,
            module_factor: Self::module_factor(self.module),
            threshold: self.threshold(),
            scale: 1.0 / (1.0 - self.rate),
        };
        recorder.each(&DROPOUT, &[("ADD", u32::from(self.add))], &bindings, params, 24.0)
    }
}
