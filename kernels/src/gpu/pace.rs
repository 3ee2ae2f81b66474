//! Cutting a run into submissions by time, so that a phone's screen stays smooth and its watchdog quiet, and a cancel
//! acts soon.
//!
//! Times are estimated: every pipeline has a rate, work a second, corrected by what submissions really took. A dispatch
//! that would take longer than a submission may is dispatched in pieces, which write disjoint outputs; so cuts never
//! change a bit.

use std::time::Duration;

use super::kernel::PipelineId;
use super::recorder::Dispatch;

/// Workgroups a dispatch may have along an axis.
const MOST_GROUPS: u32 = 65_535;
/// Work a second of a pipeline that was never timed: low, so that the first submissions are short.
const FIRST_RATE: f64 = 4e9;
/// Work of an empty dispatch: what launching costs.
const LAUNCH_WORK: f64 = 1e5;

/// A part of a dispatch's grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Piece {
    /// Which dispatch.
    pub dispatch: usize,
    /// Its first workgroup.
    pub first: [u32; 2],
    /// Its workgroups.
    pub groups: [u32; 2],
    /// Estimated seconds.
    pub seconds: f64,
}

/// Measured speeds.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    target: f64,
    rates: Vec<f64>,
}

impl Pace {
    pub fn new(target: Duration) -> Self {
        Self { target: target.as_secs_f64(), rates: Vec::new() }
    }

    fn rate(&self, pipeline: PipelineId) -> f64 {
        self.rates.get(pipeline.0).copied().unwrap_or(FIRST_RATE)
    }

    /// The pieces of every submission.
    pub fn cut(&self, dispatches: &[Dispatch]) -> Vec<Vec<Piece>> {
        let mut submissions: Vec<Vec<Piece>> = Vec::new();
        let mut left = 0.0;
        for (index, dispatch) in dispatches.iter().enumerate() {
            let seconds = (dispatch.work + LAUNCH_WORK) / self.rate(dispatch.pipeline);
            for piece in split(index, dispatch.grid, seconds, self.target) {
                if submissions.is_empty() || piece.seconds > left {
                    submissions.push(Vec::new());
                    left = self.target;
                }
                left -= piece.seconds;
                if let Some(last) = submissions.last_mut() {
                    last.push(piece);
                }
            }
        }
        submissions
    }

    /// Estimated seconds of a submission.
    pub fn seconds(&self, work: &Work) -> f64 {
        work.0.iter().map(|&(pipeline, work)| work / self.rate(pipeline)).sum()
    }

    /// Corrects the rates of the pipelines of a submission that took `seconds`: each half way, geometrically, and as far
    /// as it had a share in the estimate, since one slow pipeline must not slow the estimates of all.
    pub fn learn(&mut self, work: &Work, seconds: f64) {
        let estimated = self.seconds(work);
        if estimated <= 0.0 || seconds <= 0.0 {
            return;
        }
        for &(pipeline, work) in &work.0 {
            let share = work / self.rate(pipeline) / estimated;
            if self.rates.len() <= pipeline.0 {
                self.rates.resize(pipeline.0 + 1, FIRST_RATE);
            }
            self.rates[pipeline.0] *= (estimated / seconds).powf(0.5 * share);
        }
    }
}

/// The work of a submission, by pipeline.
#[derive(Debug, Default)]
pub(crate) struct Work(Vec<(PipelineId, f64)>);

impl Work {
    pub fn of(dispatches: &[Dispatch], pieces: &[Piece]) -> Self {
        let mut sums: Vec<(PipelineId, f64)> = Vec::new();
        for piece in pieces {
            let dispatch = &dispatches[piece.dispatch];
            let [all, own] = [dispatch.grid, piece.groups].map(|[x, y]| f64::from(x) * f64::from(y));
            let work = (dispatch.work + LAUNCH_WORK) * own / all;
            match sums.iter_mut().find(|(pipeline, _)| *pipeline == dispatch.pipeline) {
                Some((_, sum)) => *sum += work,
                None => sums.push((dispatch.pipeline, work)),
            }
        }
        Self(sums)
    }
}

/// Splits a grid so that no piece takes longer than `target`, rows (y) first, then columns.
fn split(dispatch: usize, grid: [u32; 2], seconds: f64, target: f64) -> Vec<Piece> {
    let [width, height] = grid;
    let pieces = (seconds / target).ceil().clamp(1.0, f64::from(width) * f64::from(height));
    let rows = ((f64::from(height) / pieces).floor() as u32).clamp(1, MOST_GROUPS);
    let row_pieces = f64::from(height.div_ceil(rows));
    let columns = ((f64::from(width) / (pieces / row_pieces).max(1.0)).floor() as u32).clamp(1, MOST_GROUPS);
    let share = seconds / (f64::from(width) * f64::from(height));
    let mut parts = Vec::new();
    for y in (0..height).step_by(rows as usize) {
        for x in (0..width).step_by(columns as usize) {
            let groups = [columns.min(width - x), rows.min(height - y)];
            let seconds = share * f64::from(groups[0]) * f64::from(groups[1]);
            parts.push(Piece { dispatch, first: [x, y], groups, seconds });
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_settle_at_what_submissions_took() {
        let mut pace = Pace::new(Duration::from_millis(50));
        let (slow, fast) = (PipelineId(0), PipelineId(2));
        let truth = |work: &Work| work.0.iter().map(|&(p, w)| w / if p == slow { 1e8 } else { 1e11 }).sum::<f64>();
        for i in 0..60 {
            let mixed = Work(vec![(slow, 1e7), (fast, 1e9 * f64::from(1 + i % 3))]);
            for work in [Work(vec![(fast, 5e9)]), mixed, Work(vec![(slow, 2e7)])] {
                pace.learn(&work, truth(&work));
            }
        }
        for work in [Work(vec![(fast, 5e9)]), Work(vec![(slow, 1e7)])] {
            let ratio = pace.seconds(&work) / truth(&work);
            assert!((0.8..1.25).contains(&ratio), "{work:?}: {ratio}");
        }
    }

    #[test]
    fn pieces_cover_the_grid_once_and_none_is_too_long() {
        let cases = [([1, 1], 9.0), ([10, 3], 0.5), ([10, 3], 2.0), ([7, 5], 12.0), ([3, 200_000], 1.0), ([9, 4], 1e9)];
        for (grid, seconds) in cases {
            let pieces = split(0, grid, seconds, 1.0);
            let mut seen = vec![0u8; (grid[0] * grid[1]) as usize];
            for piece in &pieces {
                assert!(piece.groups.iter().all(|&g| g <= MOST_GROUPS), "{grid:?} {seconds}");
                assert!(piece.seconds <= 1.0001 || piece.groups == [1, 1], "{grid:?} {seconds}: {piece:?}");
                for y in piece.first[1]..piece.first[1] + piece.groups[1] {
                    for x in piece.first[0]..piece.first[0] + piece.groups[0] {
                        seen[(y * grid[0] + x) as usize] += 1;
                    }
                }
            }
            assert!(seen.iter().all(|&n| n == 1), "{grid:?} {seconds}");
        }
    }
}
