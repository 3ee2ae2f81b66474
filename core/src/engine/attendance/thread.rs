//! The thread that attends to trainings: it feeds the policy's machine and does what that says.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::super::CancelToken;
use super::super::learning::{LearnOutcome, PauseReason};
use super::super::queue::Ticket;
use super::super::trainings::Trainings;
use super::super::worker::Worker;
use super::notes::{Answer, Errand, Note, Outlook};
use super::prospects::Prospects;
use super::{AttendEvent, AttendListener, AttendSettings, lock};
use crate::available_memory::available_memory;
use crate::error::{Error, ErrorKind, Result};
use crate::personalize::LearnSettings;
use crate::policy::{Act, Attendance, Attendant, End, Happening, Moment, Order, RuleName, Signals};

/// Time between two looks at what there is to learn, where nothing else is waited for.
const LOOK: Duration = Duration::from_secs(60);

/// The same at the memory that is left beside a training, where the app does not tell it.
const MEMORY_LOOK: Duration = Duration::from_secs(10);

/// What the thread works with.
pub(super) struct AttendingThread {
    attendant: Attendant,
    trainings: Trainings,
    learn: LearnSettings,
    prospects: Prospects,
    /// None once it panicked.
    listener: Option<AttendListener>,
    /// What the app told last.
    signals: Arc<Mutex<Signals>>,
    /// How it stands, for whoever asks.
    state: Arc<Mutex<Attendance>>,
    /// The state that the listener was told last.
    told: Attendance,
    /// Its own, for the worker to write to.
    notes: Sender<Note>,
    began: Instant,
    /// Whether the policy has a rule on memory.
    heeds_memory: bool,
    /// The last one: answers to others are not waited for any more.
    errand: Errand,
    training: Option<Begun>,
    /// When to look again.
    next: Option<Instant>,
}

/// A training that was begun here.
struct Begun {
    cancel: CancelToken,
    ticket: Ticket,
}

impl AttendingThread {
    pub fn new(
        trainings: Trainings,
        settings: AttendSettings,
        listener: AttendListener,
        signals: Arc<Mutex<Signals>>,
        state: Arc<Mutex<Attendance>>,
        notes: Sender<Note>,
    ) -> Self {
        let AttendSettings { policy, learn, rest } = settings;
        Self {
            attendant: Attendant::new(policy),
            prospects: Prospects::new(Arc::clone(&trainings.profile), learn.gate, rest),
            trainings,
            learn,
            listener: Some(listener),
            signals,
            state,
            told: Attendance::Off,
            notes,
            began: Instant::now(),
            heeds_memory: policy.memory_reserve.is_some() || policy.memory_needed.is_some(),
            errand: Errand::default(),
            training: None,
            next: None,
        }
    }

    /// Attends until it is told to stop, or the engine closes.
    pub fn run(mut self, notes: &Receiver<Note>) {
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
                Note::Prepared(_, Ok(Outlook { bytes, fingerprint })) => {
                    self.prospects.know(fingerprint);
                    Happening::Prepared(bytes)
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
            while notes.recv().is_ok_and(|note| !matches!(note, Note::Ended(errand, _) if errand == self.errand)) {}
        }
        *lock(&self.state) = Attendance::Off;
    }

    /// How the training that was begun here has ended.
    fn end(&mut self, outcome: Result<LearnOutcome>) -> End {
        let told_to = self.training.take().is_some_and(|training| training.cancel.is_cancelled());
        self.prospects.forget();
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

    fn hear_signals(&mut self) {
        let (now, signals) = (self.moment(), *lock(&self.signals));
        // Before the app's own count, which is held against it. Where it cannot be read, the turn will tell.
        if self.attendant.is_free(now)
            && let Ok(sheet) = self.prospects.timesheet()
        {
            self.attendant.hear(now, Happening::Trained(sheet.today));
        }
        self.take_turn(Happening::Signals(signals));
    }

    /// Feeds the machine with what happened, and does what it says.
    fn take_turn(&mut self, happening: Happening) {
        let mut happening = Some(happening);
        // What cannot be done is a happening as well, after which it rests.
        while let Some(heard) = happening.take() {
            let now = self.moment();
            self.attendant.hear(now, heard);
            let done = self.look(now).and_then(|()| {
                let order = self.attendant.order(now);
                self.obey(order.act).map(|()| order)
            });
            match done {
                Ok(order) => self.stand(order),
                // It is told to stop soon.
                Err(error) if error.kind() == ErrorKind::Closed => self.next = None,
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

    /// Looks at what there is to learn, where that may start something.
    fn look(&mut self, now: Moment) -> Result<()> {
        if self.attendant.is_free(now) {
            let (sheet, prospect) = self.prospects.look()?;
            self.attendant.hear(now, Happening::Trained(sheet.today));
            self.attendant.hear(now, Happening::Prospect(prospect));
        }
        Ok(())
    }

    fn obey(&mut self, act: Act) -> Result<()> {
        match act {
            Act::Nothing => Ok(()),
            Act::Prepare => self.prepare(),
            Act::Start => self.start(),
            Act::Pause => {
                self.pause();
                Ok(())
            }
        }
    }

    /// Has the worker ask the model.
    fn prepare(&mut self) -> Result<()> {
        let (settings, answer) = (self.learn.clone(), self.answer(Note::Prepared));
        let task = Box::new(move |worker: &mut Worker| answer.give(outlook(worker, &settings)));
        self.trainings.queue.add_task(task).inspect_err(|_| self.forget_errand()).map(drop)
    }

    /// Has the worker train.
    fn start(&mut self) -> Result<()> {
        let (cancel, notes, answer) = (CancelToken::new(), self.notes.clone(), self.answer(Note::Ended));
        // An attendance that has ended does not want to know.
        let on_event = move |event| drop(notes.send(Note::Learn(event)));
        let begun = self.trainings.begin(&self.learn, &cancel, on_event, |outcome| answer.give(outcome));
        let ticket = begun.inspect_err(|_| self.forget_errand())?;
        self.training = Some(Begun { cancel, ticket });
        Ok(())
    }

    /// An answer to an errand of its own.
    fn answer<T>(&mut self, note: fn(Errand, Result<T>) -> Note) -> Answer<T> {
        self.errand = self.errand.next();
        Answer::new(self.notes.clone(), self.errand, note)
    }

    /// What could not be asked for answers too, as it is dropped: that is not heeded.
    fn forget_errand(&mut self) {
        self.errand = self.errand.next();
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
        let asks_memory = self.heeds_memory && lock(&self.signals).free_memory.is_none();
        let waits_for_memory = state.reasons().iter().any(|reason| reason.rule == RuleName::Memory);
        let look = match &state {
            Attendance::Training => asks_memory.then_some(MEMORY_LOOK),
            Attendance::NothingToLearn { .. } | Attendance::Busy => Some(LOOK),
            Attendance::Waiting { .. } if waits_for_memory && asks_memory => Some(LOOK),
            // It takes a signal, or what the machine asked to be woken for.
            _ => None,
        };
        self.next = look.into_iter().chain(look_again).min().and_then(|wait| Instant::now().checked_add(wait));
        *lock(&self.state) = state.clone();
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
