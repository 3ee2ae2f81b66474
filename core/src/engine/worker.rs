//! The one thread that owns device and model.
//!
//! Two queues: answers, which people wait for, and long work. An answer goes before long work, and is served within it,
//! between two of its pieces.

use std::collections::VecDeque;
use std::mem;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;

use super::EngineOptions;
use super::cancel::CancelToken;
use super::device_use::DeviceUse;
use super::faults::Faults;
use super::serving::Serving;
use crate::device::{DeviceChoice, DeviceKind};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Model;
use crate::policy::DutyCycle;
use crate::profile::Profile;
use crate::registry::Registry;
use crate::session::Session;

/// Rest between two looks at what waits.
const NAP: Duration = Duration::from_millis(20);

/// A piece of work that people wait for.
pub(super) type Answer = Box<dyn FnOnce(Result<&mut Serving>) + Send>;

/// Any other work.
pub(super) type Task = Box<dyn FnOnce(&mut Worker) + Send>;

/// What callers and worker share.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// Whether work whose device was lost goes on on the CPU.
    pub cpu_fallback: bool,
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
    /// The device that shall be used from the next work on.
    device: Option<DeviceChoice>,
    /// All work rests.
    suspended: bool,
    /// The worker has taken work up, and does not rest.
    at_work: bool,
}

impl Waiting {
    /// What to do next, unless all work rests.
    fn next(&mut self) -> Option<Next> {
        if self.suspended {
            return None;
        }
        self.answers.pop().map(Next::Answer).or_else(|| self.tasks.pop().map(Next::Task))
    }
}

impl Queue {
    pub fn new(cpu_fallback: bool) -> Self {
        Self { waiting: Mutex::default(), changed: Condvar::new(), cpu_fallback }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it is held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, add: impl FnOnce(&mut Waiting, Ticket)) -> Result<Ticket> {
        let mut waiting = self.lock();
        if waiting.closing {
            return Err(closed());
        }
        if waiting.suspended {
            return Err(suspended());
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
        self.order(|waiting| waiting.unload = true)
    }

    /// Has another device used: a training under way goes on there, other work under way ends where it is.
    pub fn set_device(&self, choice: DeviceChoice) -> Result<()> {
        self.order(|waiting| waiting.device = Some(choice))
    }

    /// Has all work rest, and waits until it does: a training pauses, other work under way ends, what waits stays waiting,
    /// and what comes is refused.
    pub fn suspend(&self) -> Result<()> {
        self.order(|waiting| waiting.suspended = true)?;
        let mut waiting = self.lock();
        while waiting.at_work && !waiting.closing {
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Lets work go on.
    pub fn resume(&self) -> Result<()> {
        self.order(|waiting| waiting.suspended = false)
    }

    pub fn is_suspended(&self) -> bool {
        self.lock().suspended
    }

    /// For work that was suspended: rests until it may go on, or must end, for `ends` says so, the engine closes or memory
    /// is asked back.
    pub fn rest(&self, ends: impl Fn() -> bool) {
        let mut waiting = self.lock();
        waiting.at_work = false;
        self.changed.notify_all();
        while waiting.suspended && !waiting.closing && !waiting.unload && !ends() {
            (waiting, _) = self.changed.wait_timeout(waiting, NAP).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.at_work = true;
    }

    fn order(&self, order: impl FnOnce(&mut Waiting)) -> Result<()> {
        let mut waiting = self.lock();
        if waiting.closing {
            return Err(closed());
        }
        order(&mut waiting);
        self.changed.notify_all();
        Ok(())
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

    /// Whether all work under way has to end: the engine closes or is suspended, or memory is asked back.
    pub fn ends_work(&self) -> bool {
        let waiting = self.lock();
        waiting.closing || waiting.unload || waiting.suspended
    }

    /// Whether another device shall be used.
    pub fn changes_device(&self) -> bool {
        self.lock().device.is_some()
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

fn suspended() -> Error {
    Error::new(ErrorKind::Suspended, "the engine is suspended").with_hint("resume it first")
}

enum Next {
    Answer(Answer),
    Task(Task),
    Unload,
    Device(DeviceChoice),
    Close,
}

/// Runs on its own thread until it is closed.
pub(super) struct Worker {
    model: PathBuf,
    context: Option<usize>,
    pub device: DeviceUse,
    faults: Faults,
    duty: Option<Arc<Mutex<DutyCycle>>>,
    profile: Arc<Profile>,
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
        profile: Arc<Profile>,
        registry: Registry,
        queue: Arc<Queue>,
    ) -> Self {
        let device = DeviceUse::new(options.device, options.threads, queue.cpu_fallback);
        let duty = duty.map(|duty| Arc::new(Mutex::new(duty)));
        let EngineOptions { model, context, .. } = options;
        Self { model, context, device, faults, duty, profile, registry, queue, loaded: None }
    }

    /// Works until the queue is closed.
    pub fn run(mut self) {
        loop {
            match self.next() {
                Next::Close => return,
                Next::Unload => {
                    self.loaded = None;
                    self.device.forget_losses();
                    self.queue.lock().unload = false;
                }
                Next::Device(choice) => self.use_device(choice),
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
        waiting.at_work = false;
        self.queue.changed.notify_all();
        loop {
            if waiting.closing {
                return Next::Close;
            }
            if waiting.unload {
                return Next::Unload;
            }
            if let Some(choice) = waiting.device.take() {
                return Next::Device(choice);
            }
            if let Some(next) = waiting.next() {
                waiting.at_work = true;
                self.queue.changed.notify_all();
                return next;
            }
            waiting = self.queue.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn answer(&mut self, answer: Answer) {
        match self.load() {
            Ok(loaded) => {
                let serving = Arc::clone(&loaded.serving);
                let kind = loaded.session.device().kind;
                serve(&serving, answer);
                if lock(&serving).has_failed() {
                    self.device_lost();
                } else {
                    self.device.worked(kind);
                }
            }
            Err(error) => answer(Err(error)),
        }
    }

    fn load(&mut self) -> Result<&mut Loaded> {
        if self.loaded.is_none() {
            let model = self.profile.open_model(&self.model)?;
            let model = match self.context {
                Some(context) => model.with_context(context)?,
                None => model,
            };
            let mut session = self.device.open(Arc::new(model))?;
            let mut answering = session.sibling()?;
            if session.device().kind == DeviceKind::Gpu {
                for (session, losses) in
                    [(&mut session, &mut self.faults.long_work_after), (&mut answering, &mut self.faults.answers_after)]
                {
                    if let Some(submissions) = losses.pop_front() {
                        session.lose_device_after(submissions);
                    }
                }
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

    /// Uses another device from now on, or tries the same one again.
    fn use_device(&mut self, choice: DeviceChoice) {
        self.device.ask(choice);
        self.loaded = None;
    }

    /// Does what was ordered of devices while long work was under way.
    pub fn change_device(&mut self) {
        let ordered = self.queue.lock().device.take();
        if let Some(choice) = ordered {
            self.use_device(choice);
        }
    }

    /// Begins with the device that was asked for, whatever was lost in earlier work.
    pub fn retry_device(&mut self) {
        if self.device.is_given_up() {
            self.loaded = None;
        }
        self.device.forget_losses();
    }

    /// Drops the model: what its device holds is not known any more.
    fn device_lost(&mut self) {
        self.loaded = None;
        self.device.lost();
    }

    /// Does long work on the session. Answers are served meanwhile; `ends` says when it has to end.
    pub fn long_work<T>(
        &mut self,
        ends: impl Fn() -> bool + Send + Sync + 'static,
        work: impl FnOnce(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let (queue, duty) = (Arc::clone(&self.queue), self.duty.clone());
        let loaded = self.load()?;
        let kind = loaded.session.device().kind;
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
        let done = work(&mut loaded.session);
        loaded.session.set_between(None);
        match &done {
            Ok(_) => self.device.worked(kind),
            Err(error) if error.kind() == ErrorKind::Device => self.device_lost(),
            Err(_) => {}
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
