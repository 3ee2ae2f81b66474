//! The largest logits and their normaliser: all that decoding reads back.

#[cfg(feature = "gpu")]
pub(super) mod shaders;

use rayon::prelude::*;

use crate::cpu::{Frame, Normaliser, PART, part, vectorized};
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::program::{Access, BufferId, Operation, Shapes, Touch};
#[cfg(feature = "gpu")]
use shaders::{LOG_SUM_EXP, LogSumExpParams, TOP, TopParams};

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
            params: LogSumExpParams {
                width: gpu::count(vocabulary)?,
                step: gpu::count(step)?,
                column: gpu::count(2 * k)?,
            },
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
                params: TopParams { count: gpu::count(count)?, blocks: gpu::count(blocks)?, k: gpu::count(k)? },
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

/// Logits of a block: one that has none of the largest is passed over.
const BLOCK: usize = 64;

fn top(z: &[f32], out: &mut [f32]) {
    let k = out.len() / 2;
    let mut best = vec![i32::MIN; z.len().div_ceil(BLOCK)];
    let mut parts = Vec::new();
    let tasks = z.par_chunks(PART).zip(best.par_chunks_mut(PART / BLOCK));
    let of_part = |(z, best): (&[f32], &mut [i32])| {
        vectorized!(best_of_blocks(z, best));
        part(z, 1.0)
    };
    tasks.map(of_part).collect_into_vec(&mut parts);

    let before = |&a: &u32, &b: &u32| z[b as usize].total_cmp(&z[a as usize]).then(a.cmp(&b));
    let mut indices = candidates(z, &best, k);
    if k < indices.len() {
        indices.select_nth_unstable_by(k, before);
        indices.truncate(k);
    }
    indices.sort_unstable_by(before);
    for i in 0..k {
        out[i] = indices.get(i).map_or(f32::NEG_INFINITY, |&index| z[index as usize]);
        out[k + i] = f32::from_bits(indices.get(i).copied().unwrap_or(u32::MAX));
    }
    let Normaliser { largest, sum } = Normaliser::join(parts.into_iter(), 1.0);
    out[2 * k] = sum.ln() + largest;
}

/// Indices among which the k largest logits are: as many blocks reach the k-th best block's best, so nothing below that is
/// among them.
fn candidates(z: &[f32], best: &[i32], k: usize) -> Vec<u32> {
    let mut sorted = best.to_vec();
    let least = if k < sorted.len() { *sorted.select_nth_unstable_by(k, |a, b| b.cmp(a)).1 } else { i32::MIN };
    let mut indices = Vec::new();
    for (block, (z, _)) in z.chunks(BLOCK).zip(best).enumerate().filter(|(_, (_, best))| **best >= least) {
        let first = block * BLOCK;
        indices.extend((first..).zip(z).filter(|(_, z)| order(**z) >= least).map(|(index, _)| index as u32));
    }
    indices
}

/// The best of each block, in the order of [`order`].
#[inline(always)]
fn best_of_blocks(z: &[f32], best: &mut [i32]) {
    for (z, best) in z.chunks(BLOCK).zip(best) {
        *best = z.iter().fold(i32::MIN, |best, z| best.max(order(*z)));
    }
}

/// A number whose order is that of [`f32::total_cmp`].
#[inline(always)]
fn order(z: f32) -> i32 {
    let bits = z.to_bits() as i32;
    bits ^ ((bits >> 31) as u32 >> 1) as i32
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

    /// Long rows with many equals, against sorting them whole.
    #[test]
    fn the_largest_of_many_are_those_of_all() {
        type Row = (&'static str, fn(usize) -> f32);
        let rows: [Row; 5] = [
            ("all equal", |_| 1.5),
            ("a few values", |i| (i * 7919 % 5) as f32 - 2.5),
            ("many values", |i| (i * 7919 % 100_003) as f32 - 50_000.0),
            ("rising", |i| i as f32),
            ("one block alone", |i| if (640..700).contains(&i) { 3.0 } else { -(i as f32) }),
        ];
        for (name, value) in rows {
            for len in [1, 63, 64, 65, 4095, 4097, 12_345] {
                for k in [1, 5, 64] {
                    let z: Vec<f32> = (0..len).map(value).collect();
                    let mut sorted: Vec<u32> = (0..len as u32).collect();
                    sorted.sort_by(|&a, &b| z[b as usize].total_cmp(&z[a as usize]));
                    sorted.resize(len.max(k), u32::MAX);
                    let mut out = vec![0.0; 2 * k + 1];
                    top(&z, &mut out);
                    let found: Vec<u32> = out[k..2 * k].iter().map(|index| index.to_bits()).collect();
                    assert_eq!(found, sorted[..k], "{k} of {len}: {name}");
                }
            }
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
