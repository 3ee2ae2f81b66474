//! A training on the worker's thread: how it ends, and what becomes of it where its device is lost, or the engine
//! is suspended.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use super::worker::Worker;
use super::{CancelToken, EngineState};
use crate::error::{ErrorKind, Result};
use crate::personalize::{self, LearnEvent, LearnReport, LearnSettings, Place, SaveCall};
use crate::profile::{Profile, TrainingLock};

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
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = EngineState::Idle;
    }
}

/// A training that waits for the worker, or is under way on it.
pub(super) struct Learning {
    pub profile: Arc<Profile>,
    pub settings: LearnSettings,
    pub cancel: CancelToken,
    pub save_call: SaveCall,
    pub events: Sender<LearnEvent>,
    pub state: Arc<Mutex<EngineState>>,
    /// None while it is suspended.
    pub lock: Option<TrainingLock>,
}

impl Learning {
    /// Trains to the end, or to where it pauses. It goes on from its checkpoint where the device is lost, or another one is
    /// to be used, and after a suspension.
    pub fn run(&mut self, worker: &mut Worker) -> Result<LearnOutcome> {
        self.enter(EngineState::Training { step: 0, steps: 0 });
        let state = Arc::clone(&self.state);
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

    fn learn(&self, worker: &mut Worker) -> Result<LearnReport> {
        // Opened anew, the registry is in line with the history whatever became of other processes.
        let (profile, registry, folder) = (&self.profile, self.profile.registry()?, self.profile.checkpoints()?);
        let place = Place { history: profile.history(), registry: &registry, folder: &folder, key: profile.key() };
        let (token, call, queue) = (self.cancel.clone(), self.save_call.clone(), Arc::clone(&worker.queue));
        worker.long_work(
            // To save, it is ended where it is, and goes on.
            move || token.is_cancelled() || call.is_waiting() || queue.changes_device(),
            |session| {
                personalize::learn(session, &place, &self.settings, &self.save_call, &mut |event| self.tell(event))
            },
        )
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
            match self.profile.lock_training() {
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

    fn tell(&self, event: LearnEvent) {
        match &event {
            LearnEvent::Started { steps, resumed_at, .. } => {
                self.enter(EngineState::Training { step: *resumed_at, steps: *steps });
            }
            LearnEvent::Step(report) => {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                if let EngineState::Training { step, .. } = &mut *state {
                    *step = report.step;
                }
            }
            _ => {}
        }
        // A caller that has gone does not want to know.
        let _ = self.events.send(event);
    }

    fn enter(&self, state: EngineState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
