//! Which device the worker computes on, and what becomes of that where a GPU is lost or refused.

use std::sync::Arc;

use crate::device::{DeviceChoice, DeviceKind};
use crate::error::{ErrorKind, Result};
use crate::model::Model;
use crate::session::Session;

/// Losses of a GPU after which it is not opened anew: the first may be chance, as a driver's restart is; a system that
/// refuses GPU work in the background refuses the second try as well.
pub(super) const MOST_LOSSES: u32 = 2;

/// The device that was asked for, and how often it was lost in the work at hand.
#[derive(Debug)]
pub(super) struct DeviceUse {
    asked: DeviceChoice,
    threads: usize,
    /// Whether the CPU goes on.
    cpu_fallback: bool,
    losses: u32,
}

impl DeviceUse {
    pub fn new(asked: DeviceChoice, threads: usize, cpu_fallback: bool) -> Self {
        Self { asked, threads, cpu_fallback, losses: 0 }
    }

    /// Asks for another device, or for the same one once more.
    pub fn ask(&mut self, choice: DeviceChoice) {
        (self.asked, self.losses) = (choice, 0);
    }

    /// Forgets losses: what is opened next is the device that was asked for.
    pub fn forget_losses(&mut self) {
        self.losses = 0;
    }

    /// Puts the model on the device that was asked for, or on the CPU where that was lost too often or is gone.
    pub fn open(&mut self, model: Arc<Model>) -> Result<Session> {
        if !self.is_given_up() {
            match Session::with_threads(Arc::clone(&model), self.asked, self.threads) {
                Err(error) if self.losses > 0 && self.cpu_fallback && error.kind() == ErrorKind::Device => {
                    self.losses = MOST_LOSSES;
                }
                opened => return opened,
            }
        }
        let session = Session::with_threads(model, DeviceChoice::Cpu, self.threads)?;
        Ok(session.chosen_because("the GPU was lost or refused"))
    }

    /// Whether the device that was asked for is given up, for the CPU.
    pub fn is_given_up(&self) -> bool {
        self.cpu_fallback && self.losses >= MOST_LOSSES
    }

    /// Work on a device came to its end.
    pub fn worked(&mut self, kind: DeviceKind) {
        if kind == DeviceKind::Gpu {
            self.losses = 0;
        }
    }

    /// The device was lost in the middle of work.
    pub fn lost(&mut self) {
        self.losses += 1;
    }

    /// Whether it was lost in the work at hand.
    pub fn was_lost(&self) -> bool {
        self.losses > 0
    }

    /// Whether the work may be taken up again after a loss: on the same device opened anew, or on the CPU.
    pub fn may_go_on(&self) -> bool {
        let tries = if self.cpu_fallback { MOST_LOSSES } else { MOST_LOSSES - 1 };
        (1..=tries).contains(&self.losses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_gpu_is_tried_again_and_then_the_cpu_where_that_is_allowed() {
        // Losses in a row; whether the work goes on, and whether on the CPU: where that is allowed, and where not.
        for (losses, allowed, not_allowed) in [
            (0, (false, false), (false, false)),
            (1, (true, false), (true, false)),
            (2, (true, true), (false, false)),
            (3, (false, true), (false, false)),
        ] {
            for (cpu_fallback, expected) in [(true, allowed), (false, not_allowed)] {
                let mut device = DeviceUse::new(DeviceChoice::Gpu, 1, cpu_fallback);
                (0..losses).for_each(|_| device.lost());
                let stands = |device: &DeviceUse| (device.may_go_on(), device.is_given_up());
                assert_eq!(stands(&device), expected, "{losses} losses, {cpu_fallback}");
                device.worked(DeviceKind::Cpu);
                assert_eq!(stands(&device), expected, "what the CPU does says nothing of the GPU");
                device.worked(DeviceKind::Gpu);
                assert_eq!(stands(&device), (false, false));
            }
        }
    }
}
