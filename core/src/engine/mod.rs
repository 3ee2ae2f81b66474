//! The engine that an app embeds: one profile, one model, one worker thread that owns the device.
//!
//! Calls may come from any thread and block until they are done; what streams (text, progress) is handed to a closure on
//! the caller's own thread. Answers are served while a training goes on. The history and the registry are also reached
//! directly: they are safe to share.

mod answer_cache;
mod answering;
mod asking;
mod attendance;
mod cancel;
mod choice;
mod conversation;
mod device_use;
mod faults;
mod learning;
mod measuring;
mod options;
mod queue;
mod serving;
mod trainings;
mod user_clock;
mod worker;

use std::fmt;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

pub use answering::Answering;
pub use attendance::{AttendEvent, AttendListener, AttendSettings};
pub use cancel::CancelToken;
pub use choice::{AdapterChoice, AdapterWeight};
pub use conversation::{Conversation, ConversationOptions, Reply};
#[cfg(feature = "faults")]
pub use faults::Faults;
#[cfg(not(feature = "faults"))]
use faults::Faults;
pub use learning::{LearnOutcome, PauseReason};
pub use options::EngineOptions;
pub use serving::Prompt;

use crate::device::{DeviceChoice, DeviceInfo};
use crate::error::{Error, ErrorKind, Result};
use crate::gate::GateSettings;
use crate::history::{History, Removed, Selection};
use crate::model::Model;
use crate::personalize::{self, LearnEvent, LearnSettings, SaveCall, Status};
use crate::policy::{Attendance, DutyCycle, Signals};
use crate::profile::{EraseReport, Profile};
use crate::registry::Registry;

use asking::received;
use attendance::Attending;
use queue::{Queue, Ticket};
use serving::Serving;
use trainings::Trainings;
use user_clock::UserClock;
use worker::Worker;

/// What the engine is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineState {
    /// Nothing, or answering.
    Idle,
    /// Training: steps taken of how many.
    Training {
        /// Steps taken.
        step: usize,
        /// In all; 0 while the history is read.
        steps: usize,
    },
    /// It was closed or erased.
    Closed,
}

/// A profile with its model, ready to learn and to answer.
pub struct Engine {
    profile: Arc<Profile>,
    registry: Registry,
    queue: Arc<Queue>,
    trainings: Trainings,
    attending: Attending,
    /// Held by who suspends or resumes.
    suspension: Mutex<()>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

impl Engine {
    /// Opens the profile and starts the worker. The model is opened with the first call that needs it.
    ///
    /// # Errors
    /// When the profile cannot be opened, or not with this key.
    pub fn open(options: EngineOptions) -> Result<Self> {
        Self::open_with(options, Faults::default())
    }

    /// The same with a device that fails.
    ///
    /// # Errors
    /// As [`Engine::open`].
    #[cfg(feature = "faults")]
    pub fn open_with_faults(options: EngineOptions, faults: Faults) -> Result<Self> {
        Self::open_with(options, faults)
    }

    fn open_with(options: EngineOptions, faults: Faults) -> Result<Self> {
        let profile = Arc::new(Profile::create(&options.profile, &options.key)?);
        let registry = profile.registry()?;
        let duty = options.cpu_share.map(DutyCycle::new).transpose()?;
        let queue = Arc::new(Queue::new(options.cpu_fallback));
        let worker = Worker::new(options, faults, duty, Arc::clone(&profile), registry.clone(), Arc::clone(&queue));
        let thread = thread::Builder::new().name("idiolect".into()).spawn(move || worker.run());
        let thread = thread.map_err(|cause| Error::new(ErrorKind::Io, format!("no thread for the engine: {cause}")))?;
        let trainings = Trainings {
            profile: Arc::clone(&profile),
            queue: Arc::clone(&queue),
            state: Arc::new(Mutex::new(EngineState::Idle)),
            save_call: SaveCall::default(),
            clock: UserClock::default(),
        };
        let (attending, suspension) = (Attending::default(), Mutex::default());
        Ok(Self { profile, registry, queue, trainings, attending, suspension, worker: Mutex::new(Some(thread)) })
    }

    /// Opens the model now, so that the first answer need not wait for it.
    ///
    /// # Errors
    /// When it cannot be opened, or the device cannot hold it.
    pub fn check(&self) -> Result<()> {
        self.model().map(drop)
    }

    /// The model.
    ///
    /// # Errors
    /// When it cannot be opened, or the device cannot hold it.
    pub fn model(&self) -> Result<Arc<Model>> {
        // Among the answers: a training under way has the model open.
        let (_, model) = self.begin_answer(|serving| serving.model())?;
        received(&model)
    }

    /// What the engine is doing.
    pub fn state(&self) -> EngineState {
        if self.queue.is_closing() {
            return EngineState::Closed;
        }
        *self.trainings.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The profile, with what needs no model: it outlives [`Engine::close`], but not [`Engine::erase`].
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// What the person wrote; usable for as long as the profile is.
    pub fn history(&self) -> &History {
        self.profile.history()
    }

    /// The adapters; usable for as long as the profile is.
    pub fn adapters(&self) -> &Registry {
        &self.registry
    }

    /// The version in use, where it was made for another base: then the base alone answers, until a training has made a
    /// version of this one, or one is put to use.
    ///
    /// # Errors
    /// When the model cannot be opened, or the registry not be read.
    pub fn stale_version(&self) -> Result<Option<u32>> {
        let model = self.model()?;
        Ok(self.registry.state()?.stale(model.fingerprint()))
    }

    /// How the profile stands, and what would make the next training worthwhile; `gate` is what a candidate will have to
    /// show. With `open_model` the model is opened where it is not, to say whether the version in use was made for it.
    ///
    /// # Errors
    /// When the profile cannot be read, or the model not be opened.
    pub fn status(&self, gate: &GateSettings, open_model: bool) -> Result<Status> {
        let model = if open_model { Some(self.model()?) } else { None };
        personalize::status(&self.profile, gate, model.as_ref().map(|model| model.fingerprint()))
    }

    /// Removes from the history, and with it all that a training under way has kept of it; adapters that learned from what
    /// was removed are marked.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remove_from_history(&self, selection: &Selection) -> Result<Removed> {
        personalize::remove_from_history(&self.profile, selection)
    }

    /// The same for the whole history.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn clear_history(&self) -> Result<Removed> {
        personalize::clear_history(&self.profile)
    }

    /// Deletes an adapter version and what the history's ledger has of it; where it was in use, the base alone is.
    ///
    /// # Errors
    /// When there is no such version, or the disk refuses.
    pub fn delete_adapter(&self, version: u32) -> Result<()> {
        personalize::delete_adapter(&self.profile, version)
    }

    /// Learns from the history: trains, measures, asks the gate. Goes on where an earlier call was paused or killed.
    /// Nothing changed since the last training: its report again.
    ///
    /// # Errors
    /// [`ErrorKind::TrainingBusy`] while this or another process trains on the profile; what training, history and
    /// registry refuse.
    pub fn train(
        &self,
        settings: &LearnSettings,
        cancel: &CancelToken,
        on_event: &mut dyn FnMut(LearnEvent),
    ) -> Result<LearnOutcome> {
        let (events, heard) = channel();
        let (reply, answer) = channel();
        // A caller that has gone does not want to know.
        let tell = move |event| drop(events.send(event));
        let ticket = self.trainings.begin(settings, cancel, tell, move |outcome| drop(reply.send(outcome)))?;
        if self.queue.wait_for(ticket, cancel).is_err() {
            return Ok(LearnOutcome::Paused(PauseReason::Cancelled));
        }
        heard.into_iter().for_each(on_event);
        received(&answer)
    }

    /// Has a training under way write a checkpoint now and waits for it, as an app does that the system is about to suspend:
    /// a tenth of a second and the time of writing. The training goes on. Without one there is nothing to do.
    ///
    /// # Errors
    /// When the disk refuses the checkpoint; the training ends with the same error.
    pub fn save_progress(&self) -> Result<()> {
        self.trainings.save_call.make()
    }

    /// Attends to trainings from now on, on a thread of its own: one is begun, paused and gone on with as the rules have it,
    /// by what [`Engine::push_signals`] tells, the time of the day, the minutes trained today and the memory that is free.
    /// [`Engine::train`] stays: who attends waits meanwhile, and it is refused while a training is under way here. Attended already, it begins anew with these settings.
    ///
    /// `listener` is told of every change of [`Engine::attendance`] once, of all that happens in trainings that are begun
    /// here, and of their ends, on the attending thread: while it takes its time, nothing is begun or paused. It may call
    /// the engine; one that panics is not called again.
    ///
    /// # Errors
    /// [`ErrorKind::BadOption`] for a setting out of its range; [`ErrorKind::Closed`].
    pub fn attend(&self, settings: AttendSettings, listener: AttendListener) -> Result<()> {
        self.attending.begin(&self.trainings, settings, listener)
    }

    /// Tells what the device says of itself now; it holds until it is told anew, and is kept where nobody attends yet. A
    /// local minute that is told is advanced from then on; without one, the system's local time is taken. Free memory that
    /// is not told is asked of the system.
    pub fn push_signals(&self, signals: Signals) {
        self.trainings.clock.set(signals.local_minute);
        self.attending.push(signals);
    }

    /// Attends to trainings no more, once one that was begun here has paused. Called by the listener, it does not wait for
    /// that.
    pub fn stop_attending(&self) {
        self.attending.end();
    }

    /// How the attendance stands, and why a training waits.
    pub fn attendance(&self) -> Attendance {
        self.attending.state()
    }

    /// Begins a conversation, with the adapter that is in use at each of its turns. Several may go on side by side. Once the
    /// engine is closed or dropped, its calls end with [`ErrorKind::Closed`].
    ///
    /// # Errors
    /// [`ErrorKind::OverBudget`], saying what would fit, when its whole context does not fit the budget or, without one,
    /// what the machine has; [`ErrorKind::BadOption`] for a context beyond what the engine was opened for;
    /// [`ErrorKind::Unsupported`] when the model has no chat template, or one that takes no instructions; when the template
    /// refuses the turns, or the model cannot be opened.
    pub fn conversation(&self, options: ConversationOptions) -> Result<Conversation> {
        let (_, begun) = self.begin_answer(|serving| serving.begin_conversation(options))?;
        let (place, plan) = received(&begun)?;
        Ok(Conversation::new(Arc::clone(&self.queue), place, plan))
    }

    /// Gives the model's memory back; a training under way pauses, an answer ends. The next call opens the model again.
    ///
    /// # Errors
    /// When the engine is closed.
    pub fn unload(&self) -> Result<()> {
        self.queue.unload()?;
        self.attending.unloaded();
        Ok(())
    }

    /// Computes on another device from the next piece of work on, or tries the same one again: an app that comes to the
    /// foreground has its GPU back so. A training under way goes on there from where it is; an answer under way is given by
    /// the device that it began on.
    ///
    /// # Errors
    /// When the engine is closed.
    pub fn set_device(&self, choice: DeviceChoice) -> Result<()> {
        self.queue.set_device(choice)
    }

    /// The device in use, and why it was chosen.
    ///
    /// # Errors
    /// When the model cannot be opened, or the device cannot hold it.
    pub fn device(&self) -> Result<DeviceInfo> {
        let (_, device) = self.begin_answer(|serving| serving.device())?;
        received(&device)
    }

    /// Has the engine hold no lock and no database of the profile's, as iOS demands of an app that it suspends: it ends
    /// those that hold one in a container that is shared. A training under way writes a checkpoint and rests; an answer,
    /// a measurement or a merge under way ends; a change of the history that is under way is undone. Until
    /// [`Engine::resume`] calls are refused with [`ErrorKind::Suspended`], those of history and adapters too; the model
    /// stays open. It returns as soon as all is released, within two seconds unless a profile is being exported or
    /// imported or another process blocks the disk. What else of this process has the profile open is not its to close.
    ///
    /// # Errors
    /// When the engine is closed.
    pub fn suspend(&self) -> Result<()> {
        let _one_at_a_time = self.suspension.lock().unwrap_or_else(PoisonError::into_inner);
        self.queue.suspend()?;
        self.profile.suspend()
    }

    /// Goes on after [`Engine::suspend`]: the training that rests, too, unless another process trains on the profile
    /// meanwhile; it is paused then. Without a suspension there is nothing to do.
    ///
    /// # Errors
    /// When the engine is closed; when the history cannot be opened any more: it stays suspended then.
    pub fn resume(&self) -> Result<()> {
        let _one_at_a_time = self.suspension.lock().unwrap_or_else(PoisonError::into_inner);
        self.profile.resume()?;
        self.queue.resume()
    }

    /// Ends all work, waits for it and frees the model. A training under way leaves a checkpoint. Later calls that need
    /// the model fail; history and adapters need none, and stay usable.
    pub fn close(&self) {
        self.queue.close();
        // Locked until the worker has ended: whoever else closes waits for that too.
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = worker.take() {
            // A worker that panicked has nothing left to free.
            drop(thread.join());
        }
        drop(worker);
        self.attending.end();
    }

    /// Closes the engine and erases the profile: key, history, checkpoints, adapters. Every later call on engine,
    /// history and adapters ends with [`ErrorKind::Closed`].
    ///
    /// # Errors
    /// As [`Profile::erase`]: [`ErrorKind::TrainingBusy`] while another process trains; the engine is closed then, and
    /// nothing erased.
    pub fn erase(&self) -> Result<EraseReport> {
        self.close();
        self.profile.erase()
    }

    /// Has an answer made as soon as may be.
    fn begin_answer<T: Send + 'static>(
        &self,
        make: impl FnOnce(&mut Serving) -> Result<T> + Send + 'static,
    ) -> Result<(Ticket, Receiver<Result<T>>)> {
        asking::begin_answer(&self.queue, make)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("state", &self.state()).finish_non_exhaustive()
    }
}
