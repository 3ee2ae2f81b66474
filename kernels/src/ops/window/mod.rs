//! Sliding windows: of the keys that a query would see, the last few, its own among them.

use crate::cpu::Frame;
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::program::{Access, BufferId, Operation, Shapes, Touch};

#[cfg(feature = "gpu")]
gpu::params! {
    pub(super) struct WindowParams {
        len: u32,
        window: u32,
    }
}

#[cfg(feature = "gpu")]
pub(super) static SPANS: gpu::Kernel<WindowParams> =
    gpu::Kernel::new("window_spans", &[gpu::wgsl::source!("spans.wgsl")], &[("SPAN", &[2, 4])]);
#[cfg(feature = "gpu")]
pub(super) static REACH: gpu::Kernel<WindowParams> =
    gpu::Kernel::new("window_reach", &[gpu::wgsl::source!("reach.wgsl")], &[]);

/// The spans of [`Attention`](super::Attention) within a window: `first ← max(first, last + 1 − window)`; of what a branch
/// sees before its own rows, as much as is left of the window.
#[derive(Debug)]
pub struct WindowSpans {
    /// u32 `[t, 2]` or `[t, 4]`.
    pub spans: BufferId,
    /// Keys; at least 1.
    pub window: usize,
    /// Of the shape of `spans`.
    pub out: BufferId,
}

impl Operation for WindowSpans {
    fn name(&self) -> &'static str {
        "window_spans"
    }

    fn touches(&self) -> Vec<Touch> {
        vec![(self.spans, Access::Read), (self.out, Access::Write)]
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        let span = shapes.width(self.spans);
        shapes.expect(matches!(span, 2 | 4), format_args!("spans of {span} numbers"))?;
        shapes.expect(self.window > 0, format_args!("a window of no keys"))?;
        shapes.expect_same_rows(&[self.spans, self.out])?;
        shapes.expect_width(span, &[self.out])
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let width = frame.width(self.spans);
        let [spans, out] = frame.slices([Some(self.spans), Some(self.out)]);
        let (spans, out) = (bytemuck::cast_slice::<f32, u32>(spans), bytemuck::cast_slice_mut::<f32, u32>(out));
        let window = self.window as u32;
        for (span, out) in spans.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let (first, last) = (span[0], span[1]);
            out[0] = first.max((last + 1).saturating_sub(window));
            out[1] = last;
            if let (&[_, _, end, start], [_, _, out_end, out_start]) = (span, out) {
                // The branch's own rows come right behind what it shares.
                let left = window.saturating_sub(last + 1 - first);
                *out_start = start.max(end.saturating_sub(left));
                *out_end = if *out_start < end { end } else { 0 };
            }
        }
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let bindings = recorder.buffers([self.spans, self.out])?;
        let params = WindowParams { len: gpu::count(recorder.rows(self.spans))?, window: gpu::count(self.window)? };
        let span = recorder.width(self.spans) as u32;
        recorder.each(&SPANS, &[("SPAN", span)], &bindings, params, 32.0)
    }
}

/// One past the last query that sees each key within a window: `min(reach, its own row + window)`. For spans of two numbers
/// over the rows' own keys.
#[derive(Debug)]
pub struct WindowReach {
    /// u32 `[t, 1]`.
    pub reach: BufferId,
    /// Keys; at least 1.
    pub window: usize,
    /// u32 `[t, 1]`.
    pub out: BufferId,
}

impl Operation for WindowReach {
    fn name(&self) -> &'static str {
        "window_reach"
    }

    fn touches(&self) -> Vec<Touch> {
        vec![(self.reach, Access::Read), (self.out, Access::Write)]
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        shapes.expect(self.window > 0, format_args!("a window of no keys"))?;
        shapes.expect_same_rows(&[self.reach, self.out])?;
        shapes.expect_width(1, &[self.reach, self.out])
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let [reach, out] = frame.slices([Some(self.reach), Some(self.out)]);
        let (reach, out) = (bytemuck::cast_slice::<f32, u32>(reach), bytemuck::cast_slice_mut::<f32, u32>(out));
        for ((row, reach), out) in (0..).zip(reach).zip(out) {
            *out = (*reach).min(self.window as u32 + row);
        }
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let bindings = recorder.buffers([self.reach, self.out])?;
        let params = WindowParams { len: gpu::count(recorder.rows(self.reach))?, window: gpu::count(self.window)? };
        recorder.each(&REACH, &[], &bindings, params, 8.0)
    }
}
