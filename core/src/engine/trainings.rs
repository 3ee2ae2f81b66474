//! Trainings as they are begun, by a call or by the attendance.

use std::sync::{Arc, Mutex};

use super::learning::{LearnOutcome, Learning};
use super::queue::{Queue, Ticket};
use super::user_clock::UserClock;
use super::{CancelToken, EngineState};
use crate::error::Result;
use crate::personalize::{LearnEvent, LearnSettings, SaveCall};
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
        on_event: impl FnMut(LearnEvent) + Send + 'static,
        on_end: impl FnOnce(Result<LearnOutcome>) + Send + 'static,
    ) -> Result<Ticket> {
        let mut learning = Learning {
            engine: self.clone(),
            settings: settings.clone(),
            cancel: cancel.clone(),
            on_event,
            lock: Some(self.profile.lock_training()?),
        };
        self.queue.add_task(Box::new(move |worker| {
            let outcome = learning.run(worker);
            // Before anybody hears of the end: what they do then may train again, or erase.
            drop(learning);
            on_end(outcome);
        }))
    }
}
