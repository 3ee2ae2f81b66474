//! A training on the worker's thread: how it ends, and what becomes of it where its device is lost, or the engine
//! is suspended.

use std::sync::{Arc, Mutex, PoisonError};

use super::trainings::Trainings;
use super::worker::Worker;
use super::{CancelToken, EngineState};
use crate::error::{ErrorKind, Result};
use crate::personalize::{self, LearnEvent, LearnReport, LearnSettings, Place, TimeKeeper};
use crate::profile::TrainingLock;

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

/// Why a training paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseReason {
    /// The caller cancelled it.
    Cancelled,
    /// Memory was asked back.
    MemoryPressure,
    /// The engine is closing.
    Closing,
    /// The device was lost, and again when it was opened anew; the CPU was not allowed to go on, or failed as well.
    DeviceLost,
    /// The engine was suspended, and another process trains on the profile since.
    Suspended,
}

/// The engine is idle after a training, whether it ends or panics.
struct IdleAtEnd<'a>(&'a Mutex<EngineState>);

impl Drop for IdleAtEnd<'_> {
    fn drop(&mut self) {
        enter(self.0, EngineState::Idle);
    }
}

/// A training that waits for the worker, or is under way on it.
pub(super) struct Learning<E> {
    pub engine: Trainings,
    pub settings: LearnSettings,
    pub cancel: CancelToken,
    pub on_event: E,
    /// None while it is suspended.
    pub lock: Option<TrainingLock>,
}

impl<E: FnMut(LearnEvent)> Learning<E> {
    /// Trains to the end, or to where it pauses. It goes on from its checkpoint where the device is lost, or another one is
    /// to be used, and after a suspension.
    pub fn run(&mut self, worker: &mut Worker) -> Result<LearnOutcome> {
        let state = Arc::clone(&self.engine.state);
        enter(&state, EngineState::Training { step: 0, steps: 0 });
        let _idle = IdleAtEnd(&state);
        worker.retry_device();
        loop {
            if worker.queue.is_suspended()
                && let Some(reason) = self.wait_suspended(worker)?
            {
                return Ok(LearnOutcome::Paused(reason));
            }
            worker.change_device();
            match self.learn(worker) {
                Ok(report) if report.has_failed() => return Ok(LearnOutcome::Failed(Box::new(report))),
                Ok(report) => return Ok(LearnOutcome::Finished(Box::new(report))),
                Err(error) if error.kind() == ErrorKind::Cancelled => {
                    if self.cancel.is_cancelled() {
                        return Ok(LearnOutcome::Paused(PauseReason::Cancelled));
                    }
                    if worker.queue.is_closing() {
                        return Ok(LearnOutcome::Paused(PauseReason::Closing));
                    }
                    if !worker.queue.is_suspended() && !worker.queue.changes_device() {
                        return Ok(LearnOutcome::Paused(PauseReason::MemoryPressure));
                    }
                }
                Err(error) if error.kind() == ErrorKind::Device && worker.device.may_go_on() => {}
                Err(error) if error.kind() == ErrorKind::Device && worker.device.was_lost() => {
                    return Ok(LearnOutcome::Paused(PauseReason::DeviceLost));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn learn(&mut self, worker: &mut Worker) -> Result<LearnReport> {
        let Self { engine: Trainings { profile, state, save_call, clock, .. }, settings, on_event, .. } = self;
        // Opened anew, the registry is in line with the history whatever became of other processes.
        let (registry, folder) = (profile.registry()?, profile.checkpoints()?);
        let place = Place { history: profile.history(), registry: &registry, folder: &folder, key: profile.key() };
        let (token, call, queue) = (self.cancel.clone(), save_call.clone(), Arc::clone(&worker.queue));
        let mut time = TimeKeeper::begin(&folder, profile.key(), || clock.now())?;
        let learned = worker.long_work(
            // To save, it is ended where it is, and goes on.
            move || token.is_cancelled() || call.is_waiting() || queue.changes_device(),
            |session| {
                personalize::learn(session, &place, settings, save_call, &mut |event| {
                    time.go_on();
                    note(state, &event);
                    on_event(event);
                })
            },
        );
        time.stop(learned.as_ref().is_ok_and(|report| !report.unchanged));
        learned
    }

    /// Rests without the right to train, which another process may take meanwhile; where it does not go on afterwards, why.
    fn wait_suspended(&mut self, worker: &Worker) -> Result<Option<PauseReason>> {
        loop {
            self.lock = None;
            worker.queue.rest(|| self.cancel.is_cancelled());
            if self.cancel.is_cancelled() {
                return Ok(Some(PauseReason::Cancelled));
            }
            if worker.queue.is_closing() {
                return Ok(Some(PauseReason::Closing));
            }
            if worker.queue.is_suspended() {
                return Ok(Some(PauseReason::MemoryPressure));
            }
            match self.engine.profile.lock_training() {
                Ok(lock) => {
                    self.lock = Some(lock);
                    return Ok(None);
                }
                // Suspended once more.
                Err(error) if error.kind() == ErrorKind::Suspended => {}
                Err(error) if error.kind() == ErrorKind::TrainingBusy => return Ok(Some(PauseReason::Suspended)),
                Err(error) => return Err(error),
            }
        }
    }
}

/// The state that an event leads to.
fn note(state: &Mutex<EngineState>, event: &LearnEvent) {
    match event {
        LearnEvent::Started { steps, resumed_at, .. } => {
            enter(state, EngineState::Training { step: *resumed_at, steps: *steps });
        }
        LearnEvent::Step(report) => {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            if let EngineState::Training { step, .. } = &mut *state {
                *step = report.step;
            }
        }
        _ => {}
    }
}

fn enter(state: &Mutex<EngineState>, entered: EngineState) {
    *state.lock().unwrap_or_else(PoisonError::into_inner) = entered;
}
