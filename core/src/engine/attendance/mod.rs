//! Attending to trainings: what an app asks for, and what it hears.

mod notes;
mod prospects;
mod thread;

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::LearnOutcome;
use super::queue::closed;
use super::trainings::Trainings;
use crate::error::{Error, ErrorKind, Result};
use crate::personalize::{LearnEvent, LearnSettings};
use crate::policy::{Attendance, PolicySettings, Signals};

use notes::Note;
use thread::AttendingThread;

/// How trainings are attended to.
#[derive(Debug, Clone, PartialEq)]
pub struct AttendSettings {
    /// When one may run. The memory that it needs is asked of the model where it is left open, and the minutes of the day
    /// are counted, trainings by hand among them.
    pub policy: PolicySettings,
    /// How it learns.
    pub learn: LearnSettings,
    /// How long new texts alone begin no training after one that came to its end: each one asks the gate, which asks more
    /// of a gain with every time.
    pub rest: Duration,
}

impl Default for AttendSettings {
    fn default() -> Self {
        let (policy, learn) = (PolicySettings::default(), LearnSettings::default());
        Self { policy, learn, rest: Duration::from_secs(20 * 3600) }
    }
}

/// What a listener is told.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AttendEvent {
    /// It stands otherwise than before.
    State(Attendance),
    /// Something happened in a training.
    Learn(LearnEvent),
    /// A training ended. What it failed for without an outcome, the state tells.
    Ended(LearnOutcome),
}

/// Hears how trainings are attended to.
pub type AttendListener = Box<dyn FnMut(AttendEvent) + Send>;

/// The attendance of an engine.
#[derive(Default)]
pub(super) struct Attending {
    signals: Arc<Mutex<Signals>>,
    running: Mutex<Option<Running>>,
}

/// A thread that attends.
struct Running {
    notes: Sender<Note>,
    thread: JoinHandle<()>,
    state: Arc<Mutex<Attendance>>,
}

impl Attending {
    /// Attends by these settings from now on, and by no others.
    pub fn begin(&self, trainings: &Trainings, settings: AttendSettings, listener: AttendListener) -> Result<()> {
        settings.policy.check()?;
        settings.learn.check()?;
        let mut running = lock(&self.running);
        while running.is_some() {
            // Unlocked: the one before may be calling from its listener.
            drop(running);
            self.end();
            running = lock(&self.running);
        }
        if trainings.queue.is_closing() {
            return Err(closed());
        }
        let ((notes, told), state) = (channel(), Arc::new(Mutex::new(Attendance::Off)));
        let (signals, shown) = (Arc::clone(&self.signals), Arc::clone(&state));
        let attending = AttendingThread::new(trainings.clone(), settings, listener, signals, shown, notes.clone());
        let spawned = std::thread::Builder::new().name("idiolect-attends".into()).spawn(move || attending.run(&told));
        let thread = spawned.map_err(|cause| Error::new(ErrorKind::Io, format!("no thread to attend: {cause}")))?;
        *running = Some(Running { notes, thread, state });
        Ok(())
    }

    /// Tells what the device says of itself.
    pub fn push(&self, signals: Signals) {
        *lock(&self.signals) = signals;
        self.note(Note::Signals);
    }

    /// Tells that the model was dropped.
    pub fn unloaded(&self) {
        self.note(Note::Unloaded);
    }

    fn note(&self, note: Note) {
        if let Some(running) = &*lock(&self.running) {
            // A thread that has ended attends to nothing any more.
            let _ = running.notes.send(note);
        }
    }

    /// Ends the thread and waits for it, unless it is the one that calls.
    pub fn end(&self) {
        let Some(Running { notes, thread, .. }) = lock(&self.running).take() else { return };
        let _ = notes.send(Note::Stop);
        if thread.thread().id() != std::thread::current().id() {
            // One that panicked has nothing left to pause.
            drop(thread.join());
        }
    }

    pub fn state(&self) -> Attendance {
        lock(&self.running).as_ref().map_or(Attendance::Off, |running| lock(&running.state).clone())
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
