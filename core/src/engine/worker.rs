//! The one thread that owns device and model.
//!
//! Two queues: answers, which people wait for, and long work. An answer goes before long work, and is served within it,
//! between two of its pieces.

use std::collections::VecDeque;
use std::mem;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;

use super::EngineOptions;
use super::cancel::CancelToken;
use super::faults::Faults;
use super::serving::Serving;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Model;
use crate::policy::DutyCycle;
use crate::registry::Registry;
use crate::session::Session;

/// Rest between two looks at what waits.
const NAP: Duration = Duration::from_millis(20);

/// A piece of work that people wait for.
pub(super) type Answer = Box<dyn FnOnce(Result<&mut Serving>) + Send>;

/// Any other work.
pub(super) type Task = Box<dyn FnOnce(&mut Worker) + Send>;

/// What callers and worker share.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

/// The number that a piece of work waits under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ticket(u64);

#[derive(Default)]
struct Waiting {
    answers: Line<Answer>,
    tasks: Line<Task>,
    last: Ticket,
    closing: bool,
    /// The model shall be dropped as soon as may be.
    unload: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it is held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, add: impl FnOnce(&mut Waiting, Ticket)) -> Result<Ticket> {
        let mut waiting = self.lock();
        if waiting.closing {
            return Err(closed());
        }
        let ticket = Ticket(waiting.last.0 + 1);
        waiting.last = ticket;
        add(&mut waiting, ticket);
        self.changed.notify_all();
        Ok(ticket)
    }

    pub fn add_answer(&self, answer: Answer) -> Result<Ticket> {
        self.add(|waiting, ticket| waiting.answers.push(ticket, answer))
    }

    pub fn add_task(&self, task: Task) -> Result<Ticket> {
        self.add(|waiting, ticket| waiting.tasks.push(ticket, task))
    }

    /// Waits until work is taken up, or refused by a closing. Cancelled before that, it is withdrawn, and never done.
    ///
    /// # Errors
    /// `Cancelled` where it was withdrawn.
    pub fn wait_for(&self, ticket: Ticket, cancel: &CancelToken) -> Result<()> {
        let mut waiting = self.lock();
        while waiting.answers.holds(ticket) || waiting.tasks.holds(ticket) {
            if cancel.is_cancelled() {
                let withdrawn = (waiting.answers.withdraw(ticket), waiting.tasks.withdraw(ticket));
                // Unlocked: its own drop may take its time.
                drop(waiting);
                drop(withdrawn);
                return Err(idiolect_kernels::Error::Interrupted.into());
            }
            (waiting, _) = self.changed.wait_timeout(waiting, NAP).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Has the model dropped: long work under way pauses, an answer under way ends.
    pub fn unload(&self) -> Result<()> {
        self.add(|waiting, _| waiting.unload = true).map(drop)
    }

    /// Ends all work; what still waits is refused.
    pub fn close(&self) {
        let mut waiting = self.lock();
        waiting.closing = true;
        // Dropped unlocked: a task's own drop may take its time. Whoever waits for one hears that it is gone.
        let refused = (mem::take(&mut waiting.answers), mem::take(&mut waiting.tasks));
        self.changed.notify_all();
        drop(waiting);
        drop(refused);
    }

    pub fn is_closing(&self) -> bool {
        self.lock().closing
    }

    /// Whether all work under way has to end: the engine closes, or memory is asked back.
    pub fn ends_work(&self) -> bool {
        let waiting = self.lock();
        waiting.closing || waiting.unload
    }

    fn next_answer(&self) -> Option<Answer> {
        let answer = self.lock().answers.pop()?;
        self.changed.notify_all();
        Some(answer)
    }
}

/// Work of one kind, first come, first served.
struct Line<W>(VecDeque<(Ticket, W)>);

impl<W> Default for Line<W> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<W> Line<W> {
    fn push(&mut self, ticket: Ticket, work: W) {
        self.0.push_back((ticket, work));
    }

    fn pop(&mut self) -> Option<W> {
        self.0.pop_front().map(|(_, work)| work)
    }

    fn holds(&self, ticket: Ticket) -> bool {
        self.0.iter().any(|(held, _)| *held == ticket)
    }

    fn withdraw(&mut self, ticket: Ticket) -> Option<W> {
        let at = self.0.iter().position(|(held, _)| *held == ticket)?;
        self.0.remove(at).map(|(_, work)| work)
    }
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the engine is closed")
}

enum Next {
    Answer(Answer),
    Task(Task),
    Unload,
    Close,
}

/// Runs on its own thread until it is closed.
pub(super) struct Worker {
    options: EngineOptions,
    faults: Faults,
    duty: Option<Arc<Mutex<DutyCycle>>>,
    registry: Registry,
    pub queue: Arc<Queue>,
    loaded: Option<Loaded>,
}

/// The model on its device, twice: for long work and for answers.
struct Loaded {
    session: Session,
    serving: Arc<Mutex<Serving>>,
}

impl Worker {
    pub fn new(
        options: EngineOptions,
        faults: Faults,
        duty: Option<DutyCycle>,
        registry: Registry,
        queue: Arc<Queue>,
    ) -> Self {
        Self { options, faults, duty: duty.map(|duty| Arc::new(Mutex::new(duty))), registry, queue, loaded: None }
    }

    /// Works until the queue is closed.
    pub fn run(mut self) {
        loop {
            match self.next() {
                Next::Close => return,
                Next::Unload => {
                    self.loaded = None;
                    self.queue.lock().unload = false;
                }
                // A panic is a defect of ours; the caller gets an error, and the next call a new model.
                Next::Answer(answer) => {
                    if catch_unwind(AssertUnwindSafe(|| self.answer(answer))).is_err() {
                        self.loaded = None;
                    }
                }
                Next::Task(task) => {
                    if catch_unwind(AssertUnwindSafe(|| task(&mut self))).is_err() {
                        self.loaded = None;
                    }
                }
            }
        }
    }

    fn next(&self) -> Next {
        let mut waiting = self.queue.lock();
        loop {
            if waiting.closing {
                return Next::Close;
            }
            if waiting.unload {
                return Next::Unload;
            }
            if let Some(answer) = waiting.answers.pop() {
                self.queue.changed.notify_all();
                return Next::Answer(answer);
            }
            if let Some(task) = waiting.tasks.pop() {
                self.queue.changed.notify_all();
                return Next::Task(task);
            }
            waiting = self.queue.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn answer(&mut self, answer: Answer) {
        match self.load() {
            Ok(loaded) => {
                let serving = Arc::clone(&loaded.serving);
                serve(&serving, answer);
                if lock(&serving).has_failed() {
                    self.loaded = None;
                }
            }
            Err(error) => answer(Err(error)),
        }
    }

    fn load(&mut self) -> Result<&mut Loaded> {
        if self.loaded.is_none() {
            let model = Arc::new(Model::open(&self.options.model)?);
            let session = Session::with_threads(model, self.options.device, self.options.threads)?;
            let mut answering = session.sibling()?;
            if let Some(submissions) = self.faults.answers_after.take() {
                answering.lose_device_after(submissions);
            }
            let serving = Serving::new(answering, self.registry.clone(), Arc::clone(&self.queue));
            self.loaded = Some(Loaded { session, serving: Arc::new(Mutex::new(serving)) });
        }
        self.loaded.as_mut().ok_or_else(closed)
    }

    /// The model, opened where it is not.
    pub fn model(&mut self) -> Result<Arc<Model>> {
        Ok(Arc::clone(self.load()?.session.model()))
    }

    /// Drops the model: what its device holds is not known any more.
    pub fn drop_model(&mut self) {
        self.loaded = None;
    }

    /// Does long work on the session. Answers are served meanwhile; `ends` says when it has to end.
    pub fn long_work<T>(
        &mut self,
        ends: impl Fn() -> bool + Send + Sync + 'static,
        work: impl FnOnce(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let (queue, duty) = (Arc::clone(&self.queue), self.duty.clone());
        let losing = self.faults.long_work_after.take();
        let loaded = self.load()?;
        let serving = Arc::clone(&loaded.serving);
        let between = move || {
            loop {
                // Between any two answers as well: however many wait, work that has to end does.
                if ends() || queue.ends_work() {
                    return ControlFlow::Break(());
                }
                if let Some(answer) = queue.next_answer() {
                    serve(&serving, answer);
                    continue;
                }
                let rest = duty.as_ref().map_or(Duration::ZERO, |duty| owed_rest(duty));
                if rest.is_zero() {
                    return ControlFlow::Continue(());
                }
                std::thread::sleep(rest.min(NAP));
            }
        };
        loaded.session.set_between(Some(Arc::new(between)));
        if let Some(submissions) = losing {
            loaded.session.lose_device_after(submissions);
        }
        let done = work(&mut loaded.session);
        loaded.session.set_between(None);
        if done.as_ref().is_err_and(|error| error.kind() == ErrorKind::Device) {
            self.loaded = None;
        }
        done
    }
}

/// How long the duty cycle wants a rest now.
fn owed_rest(duty: &Mutex<DutyCycle>) -> Duration {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let now = BEGAN.get_or_init(Instant::now).elapsed();
    duty.lock().unwrap_or_else(PoisonError::into_inner).rest(now, ProcessTime::now().as_duration())
}

fn lock(serving: &Mutex<Serving>) -> MutexGuard<'_, Serving> {
    serving.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(serving: &Mutex<Serving>, answer: Answer) {
    answer(Ok(&mut lock(serving)));
}
