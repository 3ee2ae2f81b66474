//! The thread that attends to trainings: it feeds the policy's machine and does what that says.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::CancelToken;
use super::asking::gone;
use super::learning::{LearnOutcome, PauseReason};
use super::trainings::Trainings;
use super::user_clock::UserClock;
use super::worker::{Ticket, Worker, closed};
use crate::available_memory::available_memory;
use crate::error::{Error, ErrorKind, Result};
use crate::personalize::{self, LearnEvent, LearnSettings, NextTraining, Timesheet};
use crate::policy::{
    Act, Attendance, Attendant, End, Happening, Moment, Order, PolicySettings, Prospect, RuleName, Signals,
};
use crate::time;

/// Time between two looks at what there is to learn, where nothing else is waited for.
const LOOK: Duration = Duration::from_secs(60);

/// The same at the memory that is left beside a training, where the app does not tell it.
const MEMORY_LOOK: Duration = Duration::from_secs(10);

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
    shared: Arc<Mutex<Shared>>,
    thread: Mutex<Option<(Sender<Note>, JoinHandle<()>)>>,
}

/// What callers and the attending thread share.
struct Shared {
    signals: Signals,
    state: Attendance,
}

impl Default for Shared {
    fn default() -> Self {
        Self { signals: Signals::default(), state: Attendance::Off }
    }
}

/// What the attending thread is told.
enum Note {
    Signals,
    Unloaded,
    Learn(LearnEvent),
    Ended(Errand, Result<LearnOutcome>),
    Prepared(Errand, Result<Outlook>),
    Stop,
}

/// The number of something that the worker was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Errand(u64);

/// What the model says of a training.
struct Outlook {
    /// What it takes beside what is held already.
    bytes: u64,
    /// Whose fingerprint an adapter has to have.
    fingerprint: String,
}

impl Attending {
    /// Attends by these settings from now on, and by no others.
    pub fn begin(&self, trainings: &Trainings, settings: AttendSettings, listener: AttendListener) -> Result<()> {
        settings.policy.check()?;
        settings.learn.check()?;
        let mut thread = lock(&self.thread);
        while thread.is_some() {
            // Unlocked: the one before may be calling from its listener.
            drop(thread);
            self.end();
            thread = lock(&self.thread);
        }
        if trainings.queue.is_closing() {
            return Err(closed());
        }
        let (notes, told) = channel();
        let attendant = AttendingThread {
            attendant: Attendant::new(settings.policy),
            settings,
            listener: Some(listener),
            trainings: trainings.clone(),
            shared: Arc::clone(&self.shared),
            notes: notes.clone(),
            began: Instant::now(),
            errand: Errand::default(),
            training: None,
            seen: None,
            fingerprint: None,
            next: None,
            told: Attendance::Off,
        };
        let spawned = thread::Builder::new().name("idiolect-attends".into()).spawn(move || attendant.run(&told));
        let spawned = spawned.map_err(|cause| Error::new(ErrorKind::Io, format!("no thread to attend: {cause}")))?;
        *thread = Some((notes, spawned));
        Ok(())
    }

    pub fn push(&self, clock: &UserClock, signals: Signals) {
        clock.set(signals.local_minute);
        lock(&self.shared).signals = signals;
        self.note(Note::Signals);
    }

    /// The model was dropped.
    pub fn unloaded(&self) {
        self.note(Note::Unloaded);
    }

    fn note(&self, note: Note) {
        if let Some((notes, _)) = &*lock(&self.thread) {
            // A thread that has ended attends to nothing any more.
            let _ = notes.send(note);
        }
    }

    /// Ends the thread and waits for it, unless it is the one that calls.
    pub fn end(&self) {
        let Some((notes, thread)) = lock(&self.thread).take() else { return };
        let _ = notes.send(Note::Stop);
        if thread.thread().id() != thread::current().id() {
            // One that panicked has nothing left to pause.
            drop(thread.join());
        }
    }

    pub fn state(&self) -> Attendance {
        lock(&self.shared).state.clone()
    }
}

/// A training that was begun here.
struct Begun {
    cancel: CancelToken,
    ticket: Ticket,
}

/// What was found when somebody last looked at what there is to learn.
struct Seen {
    revision: u64,
    sheet: Timesheet,
    next: NextTraining,
    /// Whether the version in use may be another model's.
    may_be_stale: bool,
}

struct AttendingThread {
    attendant: Attendant,
    settings: AttendSettings,
    /// None once it panicked.
    listener: Option<AttendListener>,
    trainings: Trainings,
    shared: Arc<Mutex<Shared>>,
    /// Its own, for the worker to write to.
    notes: Sender<Note>,
    began: Instant,
    /// The last one: answers to others are not waited for any more.
    errand: Errand,
    training: Option<Begun>,
    seen: Option<Seen>,
    /// The model's, once it was asked.
    fingerprint: Option<String>,
    /// When to look again.
    next: Option<Instant>,
    /// The state that the listener was told last.
    told: Attendance,
}

impl AttendingThread {
    fn run(mut self, notes: &Receiver<Note>) {
        self.hear_signals();
        loop {
            let happening = match self.wait(notes) {
                Note::Stop => break,
                Note::Learn(event) => {
                    self.tell(AttendEvent::Learn(event));
                    continue;
                }
                Note::Signals => {
                    self.hear_signals();
                    continue;
                }
                Note::Unloaded => Happening::Unloaded,
                Note::Prepared(errand, _) | Note::Ended(errand, _) if errand != self.errand => continue,
                Note::Prepared(_, Ok(outlook)) => {
                    (self.fingerprint, self.seen) = (Some(outlook.fingerprint), None);
                    Happening::Prepared(outlook.bytes)
                }
                Note::Prepared(_, Err(error)) => Happening::Ended(end_of(&error)),
                Note::Ended(_, outcome) => Happening::Ended(self.end(outcome)),
            };
            if self.trainings.queue.is_closing() {
                break;
            }
            self.take_turn(happening);
        }
        self.stop(notes);
    }

    /// How the training that was begun here has ended.
    fn end(&mut self, outcome: Result<LearnOutcome>) -> End {
        let told_to = self.training.take().is_some_and(|training| training.cancel.is_cancelled());
        self.seen = None;
        match outcome {
            Ok(outcome) => {
                let end = end_as(&outcome);
                self.tell(AttendEvent::Ended(outcome));
                end
            }
            // It was withdrawn before it began.
            Err(error) if told_to && error.kind() == ErrorKind::Closed => End::Paused,
            Err(error) => end_of(&error),
        }
    }

    /// The next note. What is due meanwhile is done.
    fn wait(&mut self, notes: &Receiver<Note>) -> Note {
        loop {
            let left = self.next.map(|next| next.saturating_duration_since(Instant::now()));
            // Before what waits: a training tells much.
            if left == Some(Duration::ZERO) {
                self.take_turn(Happening::Time);
                continue;
            }
            let note = match left {
                None => notes.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(left) => notes.recv_timeout(left),
            };
            match note {
                Ok(note) => return note,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Note::Stop,
            }
        }
    }

    /// Pauses what was begun here, and waits until it has.
    fn stop(mut self, notes: &Receiver<Note>) {
        if self.training.is_some() {
            self.pause();
            while !matches!(notes.recv(), Ok(Note::Ended(errand, _)) if errand == self.errand) {}
        }
        lock(&self.shared).state = Attendance::Off;
    }

    fn hear_signals(&mut self) {
        let signals = lock(&self.shared).signals;
        self.take_turn(Happening::Signals(signals));
    }

    /// Feeds the machine with what happened, and does what it says.
    fn take_turn(&mut self, happening: Happening) {
        let mut happening = Some(happening);
        // What cannot be done is a happening as well, after which it rests.
        while let Some(heard) = happening.take() {
            let now = self.moment();
            self.attendant.hear(now, heard);
            if self.attendant.is_free(now) {
                match self.look() {
                    Ok((sheet, prospect)) => {
                        self.attendant.hear(now, Happening::Trained(sheet.today));
                        self.attendant.hear(now, Happening::Prospect(prospect));
                    }
                    Err(error) if error.kind() == ErrorKind::Closed => return self.next = None,
                    Err(error) => self.attendant.hear(now, Happening::Ended(end_of(&error))),
                }
            }
            let order = self.attendant.order(now);
            let done = match order.act {
                Act::Nothing => Ok(()),
                Act::Prepare => self.prepare(),
                Act::Start => self.start(),
                Act::Pause => {
                    self.pause();
                    Ok(())
                }
            };
            match done {
                Ok(()) => self.stand(order),
                // It is told to stop soon.
                Err(error) if error.kind() == ErrorKind::Closed => return self.next = None,
                Err(error) => happening = Some(Happening::Ended(end_of(&error))),
            }
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            elapsed: self.began.elapsed(),
            local: self.trainings.clock.now(),
            free_memory: available_memory().map(|bytes| bytes as u64),
        }
    }

    /// How long was trained, and whether a training would come to anything. It is looked up anew where the history or the
    /// timesheet has changed.
    fn look(&mut self) -> Result<(Timesheet, Prospect)> {
        let profile = &self.trainings.profile;
        let (revision, sheet) = (profile.history().revision()?, personalize::timesheet(profile)?);
        let seen = match self.seen.take() {
            Some(seen) if seen.revision == revision && seen.sheet == sheet && seen.next != NextTraining::UnderWay => {
                seen
            }
            _ => {
                let status = personalize::status(profile, &self.settings.learn.gate, self.fingerprint.as_deref())?;
                let may_be_stale = status.active.is_some() && status.stale.is_none();
                Seen { revision, sheet, next: status.next_training, may_be_stale }
            }
        };
        let prospect = self.prospect(&seen, time::now());
        self.seen = Some(seen);
        Ok((sheet, prospect))
    }

    fn prospect(&self, seen: &Seen, now: i64) -> Prospect {
        let rested = |ended: i64| now.saturating_sub(ended).unsigned_abs() >= self.settings.rest.as_secs();
        let words = match seen.next {
            NextTraining::UnderWay => return Prospect::UnderWay,
            NextTraining::NewTexts { .. } if !seen.sheet.ended.is_none_or(rested) => {
                let hours = self.settings.rest.as_secs().div_ceil(3600);
                format!("not yet: the last one came to its end less than {hours} hours ago")
            }
            next if next.is_worthwhile() => return Prospect::Worthwhile,
            next => next.to_string(),
        };
        // Only these would give way to another model's version.
        let waits = |next| !matches!(next, NextTraining::NothingToLearn | NextTraining::TooFewHeldOut { .. });
        if seen.may_be_stale && waits(seen.next) { Prospect::Unsure(words) } else { Prospect::NotYet(words) }
    }

    /// Has the worker ask the model.
    fn prepare(&mut self) -> Result<()> {
        let settings = self.settings.learn.clone();
        let answer = self.answer(Note::Prepared);
        let task = Box::new(move |worker: &mut Worker| answer.give(outlook(worker, &settings)));
        self.trainings.queue.add_task(task).inspect_err(|_| self.forget_errand()).map(drop)
    }

    /// Has the worker train.
    fn start(&mut self) -> Result<()> {
        let (cancel, notes) = (CancelToken::new(), self.notes.clone());
        let on_event = move |event| drop(notes.send(Note::Learn(event)));
        let answer = self.answer(Note::Ended);
        let begun = self.trainings.begin(&self.settings.learn, &cancel, on_event, |outcome| answer.give(outcome));
        let ticket = begun.inspect_err(|_| self.forget_errand())?;
        self.training = Some(Begun { cancel, ticket });
        Ok(())
    }

    /// An answer to an errand of its own.
    fn answer<T>(&mut self, note: fn(Errand, Result<T>) -> Note) -> Answer<T> {
        self.errand.0 += 1;
        Answer { notes: self.notes.clone(), errand: self.errand, note, given: None }
    }

    /// Nobody will answer, but for what was dropped.
    fn forget_errand(&mut self) {
        self.errand.0 += 1;
    }

    fn pause(&mut self) {
        if let Some(Begun { cancel, ticket }) = &self.training {
            cancel.cancel();
            // One that still waits for its turn is withdrawn at once, and its answer says so.
            let _ = self.trainings.queue.wait_for(*ticket, cancel);
        }
    }

    /// Notes how it stands, and when to look again; tells the listener where that is new.
    fn stand(&mut self, order: Order) {
        let Order { state, look_again, .. } = order;
        let heeds_memory = self.settings.policy.memory_reserve.is_some();
        let asks_memory = heeds_memory && lock(&self.shared).signals.free_memory.is_none();
        let waits_for_memory = state.reasons().iter().any(|reason| reason.rule == RuleName::Memory);
        let look = match &state {
            Attendance::Training => asks_memory.then_some(MEMORY_LOOK),
            Attendance::NothingToLearn { .. } | Attendance::Busy => Some(LOOK),
            Attendance::Waiting { .. } if waits_for_memory && asks_memory => Some(LOOK),
            // It takes a signal, or what the machine asked to be woken for.
            _ => None,
        };
        self.next = look.into_iter().chain(look_again).min().and_then(|wait| Instant::now().checked_add(wait));
        lock(&self.shared).state = state.clone();
        if !state.is_same(&self.told) {
            self.told = state.clone();
            self.tell(AttendEvent::State(state));
        }
    }

    fn tell(&mut self, event: AttendEvent) {
        let Some(listener) = &mut self.listener else { return };
        // A defect of the app's is not the attendance's end.
        if catch_unwind(AssertUnwindSafe(|| listener(event))).is_err() {
            self.listener = None;
        }
    }
}

/// An answer of the worker's, which comes whatever becomes of the task that owes it.
struct Answer<T> {
    notes: Sender<Note>,
    errand: Errand,
    note: fn(Errand, Result<T>) -> Note,
    given: Option<Result<T>>,
}

impl<T> Answer<T> {
    fn give(mut self, answer: Result<T>) {
        self.given = Some(answer);
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        let answer = self.given.take().unwrap_or_else(|| Err(gone()));
        // An attendance that has ended does not want to know.
        let _ = self.notes.send((self.note)(self.errand, answer));
    }
}

/// What a training by these settings takes of the worker's model.
fn outlook(worker: &mut Worker, settings: &LearnSettings) -> Result<Outlook> {
    worker.long_work(
        || false,
        |session| {
            let (shape, train) = (settings.lora.shape(session.model())?, &settings.train);
            let bytes = session.training_takes(&shape, train.seq_len, train.budget_bytes)? as u64;
            Ok(Outlook { bytes, fingerprint: session.model().fingerprint().to_owned() })
        },
    )
}

fn end_as(outcome: &LearnOutcome) -> End {
    match outcome {
        LearnOutcome::Finished(_) => End::Finished,
        LearnOutcome::Failed(report) => End::Failed(format!("the training failed: {}", report.verdict.reason)),
        LearnOutcome::Paused(PauseReason::Cancelled | PauseReason::Closing) => End::Paused,
        LearnOutcome::Paused(PauseReason::MemoryPressure) => End::MemoryPressure,
        // Another process trains since.
        LearnOutcome::Paused(PauseReason::Suspended) => End::Busy,
        LearnOutcome::Paused(PauseReason::DeviceLost) => End::Failed("the device was lost".into()),
    }
}

fn end_of(error: &Error) -> End {
    match error.kind() {
        // It is looked at again soon.
        ErrorKind::TrainingBusy | ErrorKind::Suspended => End::Busy,
        _ => End::Failed(error.to_string()),
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Attending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Attending").field(&self.state()).finish()
    }
}
