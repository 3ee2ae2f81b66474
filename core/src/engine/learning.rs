//! A training on the worker's thread: how it ends, and what becomes of it where its device is lost.

use std::sync::{Arc, Mutex, PoisonError};

use super::worker::Worker;
use super::{CancelToken, EngineState};
use crate::error::{ErrorKind, Result};
use crate::personalize::{self, LearnEvent, LearnReport, LearnSettings, Place, SaveCall};

/// How a training ended.
#[derive(Debug, Clone, PartialEq)]
pub enum LearnOutcome {
    /// It went through the gate.
    Finished(Box<LearnReport>),
    /// It left a checkpoint; the next call goes on from there.
    Paused(PauseReason),
    /// It came to no candidate: its verdict says why, and its setbacks what was tried. On the same history it is not tried
    /// again.
    Failed(Box<LearnReport>),
}

impl LearnOutcome {
    /// Whether a training came to its end by this, and not by an earlier one.
    pub(super) fn is_new(&self) -> bool {
        match self {
            Self::Finished(report) | Self::Failed(report) => !report.unchanged,
            Self::Paused(_) => false,
        }
    }
}

/// Why a training paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseReason {
    /// The caller cancelled it.
    Cancelled,
    /// Memory was asked back.
    MemoryPressure,
    /// The engine is closing.
    Closing,
    /// The device was lost, and again when it was opened anew.
    DeviceLost,
}

/// The engine is idle after a training, whether it ends or panics.
struct IdleAtEnd<'a>(&'a Mutex<EngineState>);

impl Drop for IdleAtEnd<'_> {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = EngineState::Idle;
    }
}

/// A training on the worker; where the device is lost, once more on a device opened anew.
pub(super) fn learn(
    worker: &mut Worker,
    place: &Place<'_>,
    settings: &LearnSettings,
    cancel: &CancelToken,
    save_call: &SaveCall,
    on_event: &mut dyn FnMut(LearnEvent),
    state: &Arc<Mutex<EngineState>>,
) -> Result<LearnOutcome> {
    let mut tell = |event: LearnEvent| {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = match (&event, *state) {
            (LearnEvent::Started { steps, resumed_at, .. }, _) => {
                EngineState::Training { step: *resumed_at, steps: *steps }
            }
            (LearnEvent::Step(report), EngineState::Training { steps, .. }) => {
                EngineState::Training { step: report.step, steps }
            }
            (_, state) => state,
        };
        drop(state);
        on_event(event);
    };
    *state.lock().unwrap_or_else(PoisonError::into_inner) = EngineState::Training { step: 0, steps: 0 };
    let _idle = IdleAtEnd(state);
    let mut lost = false;
    loop {
        let (token, call) = (cancel.clone(), save_call.clone());
        let learned = worker.long_work(
            // To save, it is ended where it is, and goes on.
            move || token.is_cancelled() || call.is_waiting(),
            |session| personalize::learn(session, place, settings, save_call, &mut |event| tell(event)),
        );
        return match learned {
            Ok(report) if report.has_failed() => Ok(LearnOutcome::Failed(Box::new(report))),
            Ok(report) => Ok(LearnOutcome::Finished(Box::new(report))),
            Err(error) if error.kind() == ErrorKind::Cancelled => Ok(LearnOutcome::Paused(match () {
                () if cancel.is_cancelled() => PauseReason::Cancelled,
                () if worker.queue.is_closing() => PauseReason::Closing,
                () => PauseReason::MemoryPressure,
            })),
            Err(error) if error.kind() == ErrorKind::Device && !lost => {
                lost = true;
                worker.drop_model();
                continue;
            }
            Err(error) if error.kind() == ErrorKind::Device => Ok(LearnOutcome::Paused(PauseReason::DeviceLost)),
            Err(error) => Err(error),
        };
    }
}
