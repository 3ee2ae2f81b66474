//! Moving rows by an index: the selected tokens out of a packed row, their gradients back, keys and values into a
//! cache.

use crate::cpu::Frame;
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::program::{Access, BufferId, Operation, Shapes, Touch};

#[cfg(feature = "gpu")]
gpu::params! {
    pub(super) struct RowsParams {
        len: u32,
        width: u32,
    }
}

#[cfg(feature = "gpu")]
pub(super) static ROWS: gpu::Kernel<RowsParams> =
    gpu::Kernel::new("rows", &[gpu::wgsl::source!("rows.wgsl")], &[("SCATTER", &[0, 1])]);

/// `out[i] = src[index[i]]`.
#[derive(Debug)]
pub struct GatherRows {
    /// `[t, width]`.
    pub src: BufferId,
    /// u32 `[s, 1]`, each below t.
    pub index: BufferId,
    /// `[s, width]`.
    pub out: BufferId,
}

impl Operation for GatherRows {
    fn name(&self) -> &'static str {
        "gather_rows"
    }

    fn touches(&self) -> Vec<Touch> {
        vec![(self.src, Access::Read), (self.index, Access::Read), (self.out, Access::Write)]
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        shapes.expect_same_rows(&[self.index, self.out])?;
        shapes.expect_width(1, &[self.index])?;
        shapes.expect_width(shapes.width(self.src), &[self.out])
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let width = frame.width(self.src);
        let [src, index, out] = frame.slices([Some(self.src), Some(self.index), Some(self.out)]);
        for (&i, out) in bytemuck::cast_slice::<f32, u32>(index).iter().zip(out.chunks_exact_mut(width)) {
            out.copy_from_slice(&src[i as usize * width..][..width]);
        }
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let bindings = recorder.buffers([self.src, self.index, self.out])?;
        let params =
            RowsParams { len: gpu::count(recorder.len(self.out))?, width: gpu::count(recorder.width(self.out))? };
        recorder.each(&ROWS, &[("SCATTER", 0)], &bindings, params, 8.0)
    }
}

/// `out[index[i]] = src[i]`; the other rows of `out` become zero, or keep their contents. Indices are distinct.
#[derive(Debug)]
pub struct ScatterRows {
    /// `[s, width]`.
    pub src: BufferId,
    /// u32 `[s, 1]`, distinct, each below the rows of `out`.
    pub index: BufferId,
    /// `[t, width]`.
    pub out: BufferId,
    /// Whether the other rows keep their contents (a cache) or become zero (a gradient).
    pub keep: bool,
}

impl Operation for ScatterRows {
    fn name(&self) -> &'static str {
        "scatter_rows"
    }

    fn touches(&self) -> Vec<Touch> {
        let access = if self.keep { Access::Update } else { Access::Write };
        vec![(self.src, Access::Read), (self.index, Access::Read), (self.out, access)]
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        shapes.expect_same_rows(&[self.index, self.src])?;
        shapes.expect_width(1, &[self.index])?;
        shapes.expect_width(shapes.width(self.src), &[self.out])
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let width = frame.width(self.src);
        let [src, index, out] = frame.slices([Some(self.src), Some(self.index), Some(self.out)]);
        if !self.keep {
            out.fill(0.0);
        }
        for (&i, src) in bytemuck::cast_slice::<f32, u32>(index).iter().zip(src.chunks_exact(width)) {
            out[i as usize * width..][..width].copy_from_slice(src);
        }
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let bindings = recorder.buffers([self.src, self.index, self.out])?;
        if !self.keep {
            recorder.zero(self.out)?;
        }
        let params =
            RowsParams { len: gpu::count(recorder.len(self.src))?, width: gpu::count(recorder.width(self.src))? };
        recorder.each(&ROWS, &[("SCATTER", 1)], &bindings, params, 8.0)
    }
}
