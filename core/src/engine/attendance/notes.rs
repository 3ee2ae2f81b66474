//! What the attending thread is told.

use std::sync::mpsc::Sender;

use super::super::LearnOutcome;
use super::super::asking::gone;
use crate::error::Result;
use crate::personalize::LearnEvent;

/// Something to heed.
pub(super) enum Note {
    /// There are other signals.
    Signals,
    /// The model was dropped.
    Unloaded,
    /// Something happened in the training.
    Learn(LearnEvent),
    /// The training ended.
    Ended(Errand, Result<LearnOutcome>),
    /// The model was asked.
    Prepared(Errand, Result<Outlook>),
    /// Nobody shall attend any more.
    Stop,
}

/// The number of something that the worker was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Errand(u64);

impl Errand {
    /// The next one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// What the model says of a training.
pub(super) struct Outlook {
    /// What it takes beside what is held already.
    pub bytes: u64,
    /// What tells the model from others.
    pub fingerprint: String,
}

/// An answer of the worker's, which comes whatever becomes of the task that owes it.
pub(super) struct Answer<T> {
    notes: Sender<Note>,
    errand: Errand,
    note: fn(Errand, Result<T>) -> Note,
    given: Option<Result<T>>,
}

impl<T> Answer<T> {
    pub fn new(notes: Sender<Note>, errand: Errand, note: fn(Errand, Result<T>) -> Note) -> Self {
        Self { notes, errand, note, given: None }
    }

    pub fn give(mut self, answer: Result<T>) {
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
