//! The samples of every step: the person's in the order of their batches, and the generic ones mixed in.

use super::batches::Batches;
use super::replay::{Replay, ReplayOrder};
use crate::samples::Sample;

/// What each step takes, drawn when it is asked for.
#[derive(Debug)]
pub(super) struct Steps {
    batches: Batches,
    seed: u64,
    replay: ReplayOrder,
    /// Steps drawn so far; `last` is the last of them.
    drawn: usize,
    last: Step,
}

/// The sample numbers of one step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Of the person's samples.
    pub own: Vec<usize>,
    /// Of the replayed ones.
    pub replayed: Vec<usize>,
}

impl Steps {
    pub fn new(batches: Batches, replay: &Replay, seed: u64) -> Self {
        Self { batches, seed, replay: replay.order(seed), drawn: 0, last: Step::default() }
    }

    /// Optimizer steps.
    pub fn len(&self) -> usize {
        self.batches.len()
    }

    /// Steps that a pass over the person's samples takes.
    pub fn an_epoch(&self) -> usize {
        self.batches.steps_an_epoch()
    }

    /// Step `k`, which is below [`Steps::len`]. What is replayed depends on all steps before, so a step further on, or
    /// back, costs the way there.
    pub fn step(&mut self, k: usize, own: &[Sample], replay: &Replay) -> &Step {
        if k + 1 < self.drawn {
            (self.replay, self.drawn) = (replay.order(self.seed), 0);
        }
        while self.drawn <= k {
            let batch = self.batches.step(self.drawn);
            let supervised = batch.iter().map(|&i| own[i].supervised()).sum();
            self.last = Step { own: batch, replayed: self.replay.next(supervised) };
            self.drawn += 1;
        }
        &self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_the_same_from_wherever_it_is_asked_for() {
        let samples = |lengths: &[usize]| -> Vec<Sample> {
            let sample =
                |&len: &usize| Sample { ids: vec![1; len + 1], supervised_from: 1, masked: vec![], text_bytes: 0 };
            lengths.iter().map(sample).collect()
        };
        let own = samples(&[9, 14, 20, 3, 7]);
        let replay = Replay::new(samples(&[4, 5, 6, 3]), 0.3);
        let steps = || Steps::new(Batches::shuffled(own.len(), 2, 4, None, 5).unwrap(), &replay, 5);
        let mut forwards = steps();
        let all: Vec<Step> = (0..forwards.len()).map(|k| forwards.step(k, &own, &replay).clone()).collect();
        assert!(all.iter().any(|step| !step.replayed.is_empty()));
        let mut jumping = steps();
        for k in [7, 7, 2, 11, 0, 1] {
            assert_eq!(*jumping.step(k, &own, &replay), all[k], "step {k}");
            assert_eq!(*steps().step(k, &own, &replay), all[k], "step {k} first");
        }
    }
}
