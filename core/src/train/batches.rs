//! Which samples each step sees.

use crate::random::Random;

/// The order of samples over a whole training: one list of sample numbers a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batches {
    steps: Vec<Vec<usize>>,
    steps_an_epoch: usize,
}

impl Batches {
    /// Every epoch is a new shuffle of all samples, cut into steps of `per_step`; an epoch's last step may be shorter.
    /// With `steps`, epochs follow one another until there are so many.
    pub fn shuffled(samples: usize, per_step: usize, epochs: usize, steps: Option<usize>, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let epoch = || {
            let mut order: Vec<usize> = (0..samples).collect();
            random.shuffle(&mut order);
            order
        };
        Self::cut(epoch, samples, per_step, epochs, steps)
    }

    /// Samples in their own order, again and again, `per_step` a step and never a shorter one.
    pub fn in_order(samples: usize, per_step: usize, epochs: usize, steps: Option<usize>) -> Self {
        let count = if samples == 0 { 0 } else { steps.unwrap_or((samples * epochs).div_ceil(per_step)) };
        let step = |k: usize| (0..per_step).map(|i| (k * per_step + i) % samples).collect();
        Self { steps: (0..count).map(step).collect(), steps_an_epoch: samples.div_ceil(per_step) }
    }

    fn cut(
        mut epoch: impl FnMut() -> Vec<usize>,
        samples: usize,
        per_step: usize,
        epochs: usize,
        steps: Option<usize>,
    ) -> Self {
        let count = if samples == 0 { 0 } else { steps.unwrap_or(epochs * samples.div_ceil(per_step)) };
        let mut cut: Vec<Vec<usize>> = Vec::new();
        while cut.len() < count {
            cut.extend(epoch().chunks(per_step).map(<[usize]>::to_vec));
        }
        cut.truncate(count);
        Self { steps: cut, steps_an_epoch: samples.div_ceil(per_step) }
    }

    /// Optimizer steps.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is nothing to train on.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Steps that a pass over all samples takes.
    pub fn steps_an_epoch(&self) -> usize {
        self.steps_an_epoch
    }

    /// The sample numbers of step `k`.
    pub fn step(&self, k: usize) -> &[usize] {
        &self.steps[k]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_cover_every_epoch() {
        let batches = Batches::shuffled(10, 4, 3, None, 7);
        assert_eq!(batches.len(), 9);
        for epoch in 0..3 {
            let mut seen: Vec<usize> = (0..3).flat_map(|k| batches.step(3 * epoch + k).to_vec()).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(batches.step(0), batches.step(3), "each epoch has its own order");
        assert_eq!(batches, Batches::shuffled(10, 4, 3, None, 7));
        assert_eq!(Batches::shuffled(10, 4, 3, Some(2), 7).len(), 2);
        assert_eq!(Batches::shuffled(10, 4, 3, Some(20), 7).len(), 20);
    }

    #[test]
    fn rows_in_order_cycle() {
        let batches = Batches::in_order(3, 2, 1, Some(3));
        assert_eq!((0..3).map(|k| batches.step(k).to_vec()).collect::<Vec<_>>(), [[0, 1], [2, 0], [1, 2]]);
        assert_eq!(Batches::in_order(5, 2, 1, None).len(), 3);
        assert!(Batches::in_order(0, 2, 1, Some(3)).is_empty());
    }
}
