//! Generic text trained on beside the person's, so that the model keeps what it knew.

use super::batches::Batches;
use super::packing::Sample;
use crate::random::Random;

/// Samples that are mixed into every step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Replay {
    samples: Vec<Sample>,
    share: f64,
}

impl Replay {
    /// `share` (0 up to below 1) of all tokens that carry loss shall be of `samples`.
    pub fn new(samples: Vec<Sample>, share: f64) -> Self {
        Self { samples, share }
    }

    /// The samples.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Which of its samples each step takes: as many as make up the share over all steps so far, in an order shuffled
    /// anew for every pass over them.
    pub(super) fn schedule(&self, own: &[Sample], batches: &Batches, seed: u64) -> Vec<Vec<usize>> {
        let usable: Vec<usize> = (0..self.samples.len()).filter(|&i| self.samples[i].supervised() > 0).collect();
        if usable.is_empty() || !(0.0..1.0).contains(&self.share) || self.share == 0.0 {
            return vec![Vec::new(); batches.len()];
        }
        let mut random = Random::new(seed ^ 0x5265_706c_6179); // apart from the order of the person's samples
        let (mut order, mut owed): (Vec<usize>, f64) = (Vec::new(), 0.0);
        let step = |k: usize| {
            let supervised: usize = batches.step(k).iter().map(|&i| own[i].supervised()).sum();
            owed += supervised as f64 * self.share / (1.0 - self.share);
            let mut taken = Vec::new();
            loop {
                if order.is_empty() {
                    order.clone_from(&usable);
                    random.shuffle(&mut order);
                }
                let tokens = order.last().map_or(0.0, |&next| self.samples[next].supervised() as f64);
                // Rounded to whole samples; what is over or short goes into the next step.
                if tokens > 2.0 * owed {
                    return taken;
                }
                owed -= tokens;
                taken.extend(order.pop());
            }
        };
        (0..batches.len()).map(step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(lengths: &[usize]) -> Vec<Sample> {
        let sample = |&len: &usize| Sample { ids: vec![1; len + 1], supervised_from: 1, masked: vec![], text_bytes: 0 };
        lengths.iter().map(sample).collect()
    }

    #[test]
    fn the_share_is_kept_over_all_steps() {
        let own = samples(&[9, 14, 20, 3, 7, 11, 30, 8]);
        let batches = Batches::shuffled(own.len(), 3, 20, None, 1);
        for (share, generic) in
            [(0.0, vec![40, 50]), (0.1, vec![40, 50, 61, 33]), (0.3, vec![40, 0, 61]), (0.5, vec![5]), (0.3, vec![])]
        {
            let replay = Replay::new(samples(&generic), share);
            let schedule = replay.schedule(&own, &batches, 3);
            assert_eq!(schedule, replay.schedule(&own, &batches, 3));
            let tokens: usize = schedule.iter().flatten().map(|&i| generic[i]).sum();
            let total = tokens + 20 * own.iter().map(Sample::supervised).sum::<usize>();
            let expected = if generic.is_empty() { 0.0 } else { share };
            assert!((tokens as f64 / total as f64 - expected).abs() < 0.02, "{share}: {tokens} of {total}");
            if expected > 0.0 {
                let seen: std::collections::BTreeSet<_> = schedule.iter().flatten().collect();
                assert_eq!(seen.len(), generic.iter().filter(|&&len| len > 0).count(), "all of them take part");
            }
        }
    }
}
