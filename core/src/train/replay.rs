//! Generic text trained on beside the person's, so that the model keeps what it knew.

use crate::random::Random;
use crate::samples::Sample;

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

    /// Its samples in the order in which steps take them.
    pub(super) fn order(&self, seed: u64) -> ReplayOrder {
        let supervised: Vec<usize> = self.samples.iter().map(Sample::supervised).collect();
        let used = (0.0..1.0).contains(&self.share) && self.share > 0.0;
        let usable = (0..supervised.len()).filter(|&i| used && supervised[i] > 0).collect();
        let random = Random::new(seed ^ 0x5265_706c_6179); // apart from the order of the person's samples
        ReplayOrder { supervised, usable, share: self.share, random, left: Vec::new(), owed: 0.0 }
    }
}

/// Which samples each step takes: as many as make up the share over all steps so far, in an order shuffled anew for every
/// pass over them.
#[derive(Debug)]
pub(super) struct ReplayOrder {
    /// Tokens of each sample that carry loss.
    supervised: Vec<usize>,
    /// The samples that have some; none where nothing is to be mixed in.
    usable: Vec<usize>,
    share: f64,
    random: Random,
    /// What is left of the present pass, the next one last.
    left: Vec<usize>,
    /// Tokens that the steps so far should have taken beyond what they took.
    owed: f64,
}

impl ReplayOrder {
    /// What the next step takes, in which `own` tokens of the person's carry loss.
    pub fn next(&mut self, own: usize) -> Vec<usize> {
        let mut taken = Vec::new();
        if self.usable.is_empty() {
            return taken;
        }
        self.owed += own as f64 * self.share / (1.0 - self.share);
        loop {
            if self.left.is_empty() {
                self.left.clone_from(&self.usable);
                self.random.shuffle(&mut self.left);
            }
            let tokens = self.left.last().map_or(0.0, |&next| self.supervised[next] as f64);
            // Rounded to whole samples; what is over or short goes into the next step.
            if tokens > 2.0 * self.owed {
                return taken;
            }
            self.owed -= tokens;
            taken.extend(self.left.pop());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Batches;

    fn samples(lengths: &[usize]) -> Vec<Sample> {
        let sample = |&len: &usize| Sample { ids: vec![1; len + 1], supervised_from: 1, masked: vec![], text_bytes: 0 };
        lengths.iter().map(sample).collect()
    }

    #[test]
    fn the_share_is_kept_over_all_steps() {
        let own = samples(&[9, 14, 20, 3, 7, 11, 30, 8]);
        let mut batches = Batches::shuffled(own.len(), 3, 20, None, 1).unwrap();
        let mut schedule = |replay: &Replay| -> Vec<Vec<usize>> {
            let mut order = replay.order(3);
            let supervised = |step: Vec<usize>| step.iter().map(|&i| own[i].supervised()).sum();
            (0..batches.len()).map(|k| order.next(supervised(batches.step(k)))).collect()
        };
        for (share, generic) in
            [(0.0, vec![40, 50]), (0.1, vec![40, 50, 61, 33]), (0.3, vec![40, 0, 61]), (0.5, vec![5]), (0.3, vec![])]
        {
            let replay = Replay::new(samples(&generic), share);
            let schedule = schedule(&replay);
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
