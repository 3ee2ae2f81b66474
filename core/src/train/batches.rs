//! Which samples each step sees.

use crate::error::{Error, ErrorKind, Result};
use crate::random::Random;

/// Steps that a training may have: they are counted in 32 bits on the device.
const MOST_STEPS: usize = u32::MAX as usize;

/// The order of samples over a whole training: the sample numbers of each step, made when they are asked for. However
/// many steps there are, it holds one pass over the samples.
#[derive(Debug, Clone)]
pub struct Batches {
    order: Order,
    samples: usize,
    per_step: usize,
    len: usize,
}

#[derive(Debug, Clone)]
enum Order {
    /// Every epoch is a new shuffle.
    Shuffled(Shuffled),
    /// Again and again as they are.
    AsTheyAre,
}

/// Epoch after epoch, each shuffled with what the generator gives next.
#[derive(Debug, Clone)]
struct Shuffled {
    seed: u64,
    random: Random,
    /// Epochs made so far; `order` is the last of them.
    made: usize,
    order: Vec<usize>,
}

impl Shuffled {
    fn new(seed: u64) -> Self {
        Self { seed, random: Random::new(seed), made: 0, order: Vec::new() }
    }

    /// The order of `samples` samples in epoch `epoch`, from 0. Forwards from where it is, or from the beginning.
    fn epoch(&mut self, epoch: usize, samples: usize) -> &[usize] {
        if epoch + 1 < self.made {
            *self = Self::new(self.seed);
        }
        while self.made <= epoch {
            self.order.clear();
            self.order.extend(0..samples);
            self.random.shuffle(&mut self.order);
            self.made += 1;
        }
        &self.order
    }
}

impl Batches {
    /// Every epoch is a new shuffle of all samples, cut into steps of `per_step`; an epoch's last step may be shorter.
    /// With `steps`, epochs follow one another until there are so many.
    ///
    /// # Errors
    /// When the epochs come to more steps than a training may have.
    pub fn shuffled(samples: usize, per_step: usize, epochs: usize, steps: Option<usize>, seed: u64) -> Result<Self> {
        let len = steps_of(samples, steps, || samples.div_ceil(per_step).checked_mul(epochs))?;
        Ok(Self { order: Order::Shuffled(Shuffled::new(seed)), samples, per_step, len })
    }

    /// Samples in their own order, again and again, `per_step` a step and never a shorter one.
    ///
    /// # Errors
    /// When the epochs come to more steps than a training may have.
    pub fn in_order(samples: usize, per_step: usize, epochs: usize, steps: Option<usize>) -> Result<Self> {
        let len = steps_of(samples, steps, || samples.checked_mul(epochs).map(|all| all.div_ceil(per_step)))?;
        Ok(Self { order: Order::AsTheyAre, samples, per_step, len })
    }

    /// Optimizer steps.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to train on.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Steps that a pass over all samples takes.
    pub fn steps_an_epoch(&self) -> usize {
        self.samples.div_ceil(self.per_step)
    }

    /// The sample numbers of step `k`, which is below [`Batches::len`]. Going back costs the way from the beginning.
    pub fn step(&mut self, k: usize) -> Vec<usize> {
        let (samples, per_step) = (self.samples, self.per_step);
        match &mut self.order {
            Order::Shuffled(shuffled) => {
                let steps_an_epoch = samples.div_ceil(per_step);
                let order = shuffled.epoch(k / steps_an_epoch, samples);
                let start = k % steps_an_epoch * per_step;
                order[start..samples.min(start.saturating_add(per_step))].to_vec()
            }
            Order::AsTheyAre => {
                let first = (k as u128 * per_step as u128 % samples as u128) as usize;
                (0..samples).cycle().skip(first).take(per_step).collect()
            }
        }
    }
}

/// The steps that are asked for, or that the epochs give.
fn steps_of(samples: usize, steps: Option<usize>, of_epochs: impl Fn() -> Option<usize>) -> Result<usize> {
    if samples == 0 {
        return Ok(0);
    }
    match steps.or_else(of_epochs) {
        Some(steps) if steps <= MOST_STEPS => Ok(steps),
        _ => {
            let message = format!("steps and epochs come to more steps than {MOST_STEPS}");
            Err(Error::new(ErrorKind::BadOption, message).with_hint("give fewer steps or epochs"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_cover_every_epoch() {
        let shuffled = |steps| Batches::shuffled(10, 4, 3, steps, 7).unwrap();
        let all = |mut batches: Batches| (0..batches.len()).map(|k| batches.step(k)).collect::<Vec<_>>();
        let steps = all(shuffled(None));
        assert_eq!(steps.len(), 9);
        for epoch in steps.chunks(3) {
            let mut seen = epoch.concat();
            seen.sort_unstable();
            assert_eq!(seen, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(steps[0], steps[3], "each epoch has its own order");
        assert_eq!(all(shuffled(Some(2))), steps[..2]);
        assert_eq!(all(shuffled(Some(20)))[..9], steps);
        // A training that is taken up again begins in the middle; one may look back as well.
        for k in [4, 8, 0, 7, 6, 2] {
            assert_eq!(shuffled(None).step(k), steps[k]);
        }
        let mut again = shuffled(None);
        assert_eq!([8, 1, 5, 4].map(|k| again.step(k)), [8, 1, 5, 4].map(|k| steps[k].clone()));
    }

    #[test]
    fn the_order_of_a_seed_is_as_it_was() {
        let mut batches = Batches::shuffled(6, 4, 2, None, 0).unwrap();
        let steps: Vec<_> = (0..4).map(|k| batches.step(k)).collect();
        let epochs = [vec![1, 3, 4, 0], vec![2, 5], vec![2, 5, 4, 3], vec![0, 1]];
        assert_eq!(steps, epochs);
    }

    #[test]
    fn rows_in_order_cycle() {
        let mut batches = Batches::in_order(3, 2, 1, Some(3)).unwrap();
        assert_eq!((0..3).map(|k| batches.step(k)).collect::<Vec<_>>(), [[0, 1], [2, 0], [1, 2]]);
        assert_eq!(Batches::in_order(5, 2, 1, None).unwrap().len(), 3);
        assert!(Batches::in_order(0, 2, 1, Some(3)).unwrap().is_empty());
    }

    #[test]
    fn many_steps_take_no_memory_and_too_many_are_refused() {
        let most = MOST_STEPS;
        for (batches, expected) in [
            (Batches::shuffled(3, 1, 1, Some(most), 0), Some(most)),
            (Batches::shuffled(3, usize::MAX, most, None, 0), Some(most)),
            (Batches::shuffled(3, 1, usize::MAX, None, 0), None),
            (Batches::shuffled(3, 1, most, None, 0), None),
            (Batches::in_order(3, 1, 1, Some(most)), Some(most)),
            (Batches::in_order(3, 1, usize::MAX, None), None),
            (Batches::in_order(3, 1, 1, Some(most + 1)), None),
        ] {
            assert_eq!(batches.map(|batches| batches.len()).ok(), expected);
        }
        let mut batches = Batches::in_order(3, 2, 1, Some(most)).unwrap();
        assert_eq!(batches.step(most - 1), [(most - 1) * 2 % 3, ((most - 1) * 2 + 1) % 3]);
    }
}
