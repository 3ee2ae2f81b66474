//! The app's call for a checkpoint now, as before the system suspends it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::Result;

/// A call that any thread may make and a training answers; clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct SaveCall(Arc<(Mutex<Calls>, Condvar)>);

#[derive(Debug, Default)]
struct Calls {
    /// Whether a training is under way that has something to save.
    heard: bool,
    made: u64,
    answered: u64,
    /// What became of the last one that was answered.
    answer: Option<Result<()>>,
}

impl SaveCall {
    /// Has the training under way write a checkpoint, and waits for it. Where none is under way, or it ends meanwhile,
    /// there is nothing to wait for: what ends has saved itself.
    ///
    /// # Errors
    /// When the checkpoint could not be written.
    pub fn make(&self) -> Result<()> {
        let mut calls = self.lock();
        calls.made += 1;
        let call = calls.made;
        while calls.heard && calls.answered < call {
            calls = self.0.1.wait(calls).unwrap_or_else(PoisonError::into_inner);
        }
        match &calls.answer {
            Some(answer) if calls.answered >= call => answer.clone(),
            _ => Ok(()),
        }
    }

    /// Whether one waits for its answer.
    pub fn is_waiting(&self) -> bool {
        let calls = self.lock();
        calls.heard && calls.answered < calls.made
    }

    /// Answers all calls that wait.
    pub fn answer(&self, saved: &Result<()>) {
        let mut calls = self.lock();
        calls.answered = calls.made;
        calls.answer = Some(saved.clone());
        self.0.1.notify_all();
    }

    /// From now on until what this gives is dropped, calls wait for an answer.
    pub fn listen(&self) -> Listening {
        let mut calls = self.lock();
        *calls = Calls { heard: true, made: calls.made, answered: calls.made, answer: None };
        Listening(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A training that answers calls.
pub(crate) struct Listening(SaveCall);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.lock().heard = false;
        self.0.0.1.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::error::{Error, ErrorKind};

    #[test]
    fn calls_wait_for_an_answer_and_for_nothing_else() {
        let call = SaveCall::default();
        call.make().unwrap();
        let full = Err(Error::new(ErrorKind::Io, "the disk is full"));
        // How the calls are answered; an end answers as well.
        for answer in [Some(Ok(())), Some(full), None] {
            let listening = call.listen();
            assert!(!call.is_waiting());
            let made = thread::scope(|scope| {
                let waiting = [(); 2].map(|()| scope.spawn(|| call.make()));
                let unanswered = || {
                    let calls = call.lock();
                    calls.made - calls.answered
                };
                while unanswered() < 2 {
                    thread::yield_now();
                }
                assert!(call.is_waiting() && waiting.iter().all(|call| !call.is_finished()));
                if let Some(answer) = &answer {
                    call.answer(answer);
                }
                drop(listening);
                waiting.map(|call| call.join().unwrap())
            });
            let expected = answer.unwrap_or(Ok(()));
            assert_eq!(made, [expected.clone(), expected]);
        }
        call.make().unwrap();
    }
}
