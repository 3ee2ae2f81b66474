//! Rows taken apart by their columns and joined again: what one matrix computes for several uses, as the queries, keys and
//! values of a fused projection.

use rayon::prelude::*;

use crate::cpu::Frame;
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::program::{Access, BufferId, Operation, Shapes, Touch};

#[cfg(feature = "gpu")]
gpu::params! {
    pub(super) struct ColumnsParams {
        len: u32,
        part_width: u32,
        whole_width: u32,
        first: u32,
        run: u32,
        stride: u32,
    }
}

#[cfg(feature = "gpu")]
pub(super) static COLUMNS: gpu::Kernel<ColumnsParams> =
    gpu::Kernel::new("columns", &[gpu::wgsl::source!("columns.wgsl")], &[("JOIN", &[0, 1])]);

/// Which columns of a row are a part of it: value `i·run + j` of the part is value `first + i·stride + j` of the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnRuns {
    /// Where the first run begins.
    pub first: usize,
    /// Columns of a run.
    pub run: usize,
    /// From one run to the next.
    pub stride: usize,
}

/// A part of each row: its buffer `[t, n]`, and the columns that it is.
pub type Part = (BufferId, ColumnRuns);

/// `part[t] = whole[t, columns]` for each part.
#[derive(Debug)]
pub struct SplitColumns {
    /// `[t, n]`.
    pub whole: BufferId,
    /// What it is taken apart to.
    pub parts: Vec<Part>,
}

/// `whole[t, columns] = part[t]` for each part; together they are the whole.
#[derive(Debug)]
pub struct JoinColumns {
    /// `[t, n]`.
    pub whole: BufferId,
    /// What it is joined of.
    pub parts: Vec<Part>,
}

impl Operation for SplitColumns {
    fn name(&self) -> &'static str {
        "split_columns"
    }

    fn touches(&self) -> Vec<Touch> {
        let parts = self.parts.iter().map(|&(part, _)| (part, Access::Write));
        [(self.whole, Access::Read)].into_iter().chain(parts).collect()
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        check(self.whole, &self.parts, shapes)
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let whole_width = frame.width(self.whole);
        for &(part, columns) in &self.parts {
            let width = frame.width(part);
            let [whole, part] = frame.slices([Some(self.whole), Some(part)]);
            part.par_chunks_exact_mut(width).zip(whole.par_chunks_exact(whole_width)).for_each(|(part, whole)| {
                for (part, from) in part.chunks_exact_mut(columns.run).zip(columns.starts()) {
                    part.copy_from_slice(&whole[from..from + columns.run]);
                }
            });
        }
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        launch(self.whole, &self.parts, 0, recorder)
    }
}

impl Operation for JoinColumns {
    fn name(&self) -> &'static str {
        "join_columns"
    }

    fn touches(&self) -> Vec<Touch> {
        let parts = self.parts.iter().map(|&(part, _)| (part, Access::Read));
        parts.chain([(self.whole, Access::Write)]).collect()
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        check(self.whole, &self.parts, shapes)?;
        let all: usize = self.parts.iter().map(|&(part, _)| shapes.width(part)).sum();
        let width = shapes.width(self.whole);
        shapes.expect(all == width, format_args!("{all} values of parts in rows of {width}"))
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let whole_width = frame.width(self.whole);
        for &(part, columns) in &self.parts {
            let width = frame.width(part);
            let [whole, part] = frame.slices([Some(self.whole), Some(part)]);
            whole.par_chunks_exact_mut(whole_width).zip(part.par_chunks_exact(width)).for_each(|(whole, part)| {
                for (part, to) in part.chunks_exact(columns.run).zip(columns.starts()) {
                    whole[to..to + columns.run].copy_from_slice(part);
                }
            });
        }
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        launch(self.whole, &self.parts, 1, recorder)
    }
}

impl ColumnRuns {
    fn starts(self) -> impl Iterator<Item = usize> {
        (0..).map(move |i| self.first + i * self.stride)
    }
}

fn check(whole: BufferId, parts: &[Part], shapes: &Shapes<'_>) -> Result<()> {
    for &(part, columns) in parts {
        shapes.expect_same_rows(&[whole, part])?;
        let (width, within) = (shapes.width(part), shapes.width(whole));
        let ColumnRuns { first, run, stride } = columns;
        let whole_runs = run > 0 && run <= stride && width.is_multiple_of(run) && width > 0;
        let inside = whole_runs && first + (width / run - 1) * stride + run <= within;
        shapes.expect(inside, format_args!("{width} values by {columns:?} of rows of {within}"))?;
    }
    Ok(())
}

#[cfg(feature = "gpu")]
fn launch(whole: BufferId, parts: &[Part], join: u32, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
    let whole_width = gpu::count(recorder.width(whole))?;
    for &(part, columns) in parts {
        let params = ColumnsParams {
            len: gpu::count(recorder.len(part))?,
            part_width: gpu::count(recorder.width(part))?,
            whole_width,
            first: gpu::count(columns.first)?,
            run: gpu::count(columns.run)?,
            stride: gpu::count(columns.stride)?,
        };
        let bindings = recorder.buffers([whole, part])?;
        recorder.each(&COLUMNS, &[("JOIN", join)], &bindings, params, 8.0)?;
    }
    Ok(())
}
