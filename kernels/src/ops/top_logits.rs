//! The largest logits and their normaliser: all that decoding reads back.

use rayon::prelude::*;

use crate::cpu::{Frame, exp};
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::program::{Access, BufferId, Operation, Shapes, Touch};

#[cfg(feature = "gpu")]
pub(super) static TOP: gpu::Kernel = gpu::Kernel {
    name: "top_logits",
    sources: &[include_str!("top_logits.wgsl")],
    constants: &[("FIRST", &[0, 1]), ("LAST", &[0, 1])],
};
#[cfg(feature = "gpu")]
pub(super) static LOG_SUM_EXP: gpu::Kernel = gpu::Kernel {
    name: "log_sum_exp",
    sources: &[
        include_str!("log_sum_exp.wgsl"),
        include_str!("../shader/shared/reduce.wgsl"),
        include_str!("../shader/shared/exp.wgsl"),
    ],
    constants: &[],
};

/// The most that k may be.
const MOST: usize = 64;

/// The k largest logits of each row in descending order, ties by lower index; then their indices; then
/// `log Σ_v exp(z[v])` over all.
///
/// The order is that of [`f32::total_cmp`]. Where the vocabulary has fewer than k words, −∞ and index `u32::MAX` fill up.
#[derive(Debug)]
pub struct TopLogits {
    /// `[s, vocabulary]`.
    pub logits: BufferId,
    /// `[s, 2k + 1]`: k values, k indices (u32 by their bits), the log-sum-exp; k from 1 to 64.
    pub out: BufferId,
}

impl Operation for TopLogits {
    fn name(&self) -> &'static str {
        "top_logits"
    }

    fn touches(&self) -> Vec<Touch> {
        vec![(self.logits, Access::Read), (self.out, Access::Write)]
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        let k = shapes.width(self.out) / 2;
        shapes.expect((1..=MOST).contains(&k), format_args!("{k} of them, and from 1 to {MOST} are possible"))?;
        shapes.expect_same_rows(&[self.logits, self.out])?;
        shapes.expect_width(2 * k + 1, &[self.out])
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let (vocabulary, width) = (frame.width(self.logits), frame.width(self.out));
        let [logits, out] = frame.slices([Some(self.logits), Some(self.out)]);
        out.par_chunks_exact_mut(width).zip(logits.par_chunks_exact(vocabulary)).for_each(|(out, z)| top(z, out));
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        const BLOCK: usize = 256;
        let (rows, vocabulary) = (recorder.rows(self.logits), recorder.width(self.logits));
        let step = recorder.width(self.out);
        let k = step / 2;
        let [logits, out] = recorder.buffers([self.logits, self.out])?;
        recorder.launch(gpu::Launch {
            kernel: &LOG_SUM_EXP,
            constants: &[],
            bindings: &[logits, out],
            params: &[vocabulary as u32, step as u32, 2 * k as u32],
            grid: [1, rows],
            work: 32.0 * (rows * vocabulary) as f64,
        })?;
        let (mut source, mut count, mut first) = (logits, vocabulary, true);
        loop {
            let blocks = count.div_ceil(BLOCK);
            let last = blocks <= 1;
            let best = if last { out } else { recorder.scratch(rows * blocks * k * 8)? };
            recorder.launch(gpu::Launch {
                kernel: &TOP,
                constants: &[("FIRST", u32::from(first)), ("LAST", u32::from(last))],
                bindings: &[source, best],
                params: &[count as u32, blocks as u32, k as u32],
                grid: [blocks, rows],
                work: (4 * BLOCK * BLOCK * blocks * rows) as f64,
            })?;
            if last {
                return Ok(());
            }
            (source, count, first) = (best, blocks * k, false);
        }
    }
}

fn top(z: &[f32], out: &mut [f32]) {
    let k = out.len() / 2;
    let before = |&a: &u32, &b: &u32| z[b as usize].total_cmp(&z[a as usize]).then(a.cmp(&b));
    let mut indices: Vec<u32> = (0..z.len() as u32).collect();
    if k < indices.len() {
        indices.select_nth_unstable_by(k, before);
        indices.truncate(k);
    }
    indices.sort_unstable_by(before);
    for i in 0..k {
        out[i] = indices.get(i).map_or(f32::NEG_INFINITY, |&index| z[index as usize]);
        out[k + i] = f32::from_bits(indices.get(i).copied().unwrap_or(u32::MAX));
    }
    let most = z.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    out[2 * k] = z.iter().map(|&z| exp(z - most)).sum::<f32>().ln() + most;
}

#[cfg(test)]
mod tests {
    use super::top;

    #[test]
    fn largest_first_and_ties_by_index() {
        let nan = f32::NAN;
        let cases: [(&[f32], &[f32], &[u32]); 4] = [
            (&[1.0, 3.0, 2.0, 3.0], &[3.0, 3.0], &[1, 3]),
            (&[-0.0, 0.0, -1.0], &[0.0, -0.0, -1.0], &[1, 0, 2]),
            (&[f32::NEG_INFINITY, 5.0, nan], &[nan, 5.0, f32::NEG_INFINITY], &[2, 1, 0]),
            (&[7.0], &[7.0, f32::NEG_INFINITY], &[0, u32::MAX]),
        ];
        for (z, values, indices) in cases {
            let k = values.len();
            let mut out = vec![0.0; 2 * k + 1];
            top(z, &mut out);
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&out[..k]), bits(values), "values of {z:?}");
            assert_eq!(bits(&out[k..2 * k]), indices, "indices of {z:?}");
        }
    }

    #[test]
    fn the_normaliser_is_that_of_all_logits() {
        let z: Vec<f32> = (0..1757).map(|i| (i * 7919 % 1000) as f32 / 50.0 - 10.0).collect();
        let expected = z.iter().map(|&z| f64::from(z).exp()).sum::<f64>().ln();
        let mut out = [0.0; 3];
        top(&z, &mut out);
        assert!((f64::from(out[2]) - expected).abs() < 1e-5, "{} is not {expected}", out[2]);
    }
}
