//! Trainings as they are begun, by a call or by the attendance.

use std::sync::{Arc, Mutex};

use super::learning::{LearnOutcome, learn};
use super::user_clock::UserClock;
use super::worker::{Queue, Ticket};
use super::{CancelToken, EngineState};
use crate::error::Result;
use crate::personalize::{LearnEvent, LearnSettings, Place, SaveCall, TimeKeeper};
use crate::profile::Profile;

/// What a training on the worker needs of the engine; clones are of the same one.
#[derive(Clone)]
pub(super) struct Trainings {
    pub profile: Arc<Profile>,
    pub queue: Arc<Queue>,
    pub state: Arc<Mutex<EngineState>>,
    pub save_call: SaveCall,
    pub clock: UserClock,
}

impl Trainings {
    /// Has the worker learn from the history. There `on_event` is told of all that happens, and `on_end` of the end, once
    /// somebody else may train; where the engine is closed before, or the worker fails, both are dropped.
    ///
    /// # Errors
    /// [`ErrorKind::TrainingBusy`](crate::ErrorKind::TrainingBusy) while this or another process trains on the profile;
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed); when the profile cannot be read.
    pub fn begin(
        &self,
        settings: &LearnSettings,
        cancel: &CancelToken,
        mut on_event: impl FnMut(LearnEvent) + Send + 'static,
        on_end: impl FnOnce(Result<LearnOutcome>) + Send + 'static,
    ) -> Result<Ticket> {
        let lock = self.profile.lock_training()?;
        // Opened anew, the registry is in line with the history whatever became of other processes.
        let (registry, folder) = (self.profile.registry()?, self.profile.checkpoints()?);
        let (own, settings, token) = (self.clone(), settings.clone(), cancel.clone());
        self.queue.add_task(Box::new(move |worker| {
            let Self { profile, state, save_call, clock, .. } = own;
            let place = Place { history: profile.history(), registry: &registry, folder: &folder, key: profile.key() };
            let outcome = TimeKeeper::begin(&folder, profile.key(), || clock.now()).and_then(|mut time| {
                let mut tell = |event| {
                    time.go_on();
                    on_event(event);
                };
                let outcome = learn(worker, &place, &settings, &token, &save_call, &mut tell, &state);
                time.stop(outcome.as_ref().is_ok_and(LearnOutcome::is_new));
                outcome
            });
            // Before anybody hears of the end: what they do then may train again, or erase.
            drop((lock, on_event));
            on_end(outcome);
        }))
    }
}
