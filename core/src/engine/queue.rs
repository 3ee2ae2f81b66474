//! What waits for the worker, and what it is ordered.
//!
//! Two queues: answers, which people wait for, and long work. An answer goes before long work, and is served within it,
//! between two of its pieces.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cancel::CancelToken;
use super::serving::Serving;
use super::worker::Worker;
use crate::device::DeviceChoice;
use crate::disk::door::suspended;
use crate::error::{Error, ErrorKind, Result};

/// Rest between two looks at what waits.
pub(super) const NAP: Duration = Duration::from_millis(20);

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

    /// What the worker has to do next; it rests until there is something.
    pub fn next(&self) -> Next {
        let mut waiting = self.lock();
        waiting.at_work = false;
        self.changed.notify_all();
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
                self.changed.notify_all();
                return next;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The model was dropped.
    pub fn note_unloaded(&self) {
        self.lock().unload = false;
    }

    /// The device that shall be used, where that has changed.
    pub fn take_device(&self) -> Option<DeviceChoice> {
        self.lock().device.take()
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

    /// Has another device used from the next work on: a training under way goes on there, other work under way stays on the
    /// one that it began on.
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

    pub fn next_answer(&self) -> Option<Answer> {
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

/// What the worker does.
pub(super) enum Next {
    Answer(Answer),
    Task(Task),
    Unload,
    Device(DeviceChoice),
    Close,
}
