//! Who is at work in a profile's folder, so that an erasure or a suspension waits for them and lets nobody in after.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// How often those inside are hurried.
const HURRY: Duration = Duration::from_millis(2);

/// The way into a profile's folder for all parts of one process that have it open; clones are the same door.
#[derive(Debug, Clone, Default)]
pub(crate) struct Door(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How often each thread has entered.
    inside: HashMap<ThreadId, usize>,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Standing {
    #[default]
    Open,
    /// For the time being.
    Closed,
    /// For good.
    Shut,
}

/// Somebody at work; until it is dropped, nothing is erased. One who is inside may enter again.
pub(crate) struct Inside<'a> {
    door: &'a Door,
    thread: ThreadId,
}

impl Door {
    /// Enters for a piece of work that reads or writes below the folder.
    ///
    /// # Errors
    /// `Closed` once the door is shut; `Suspended` while it is closed, unless this thread is inside already.
    pub fn enter(&self) -> Result<Inside<'_>> {
        let (mut state, thread) = (self.lock(), thread::current().id());
        match state.standing {
            Standing::Shut => return Err(erased()),
            Standing::Closed if !state.inside.contains_key(&thread) => return Err(suspended()),
            _ => {}
        }
        *state.inside.entry(thread).or_default() += 1;
        Ok(Inside { door: self, thread })
    }

    /// Lets nobody in until it is opened again, and waits for those who are inside. While they take their time, `hurry` is
    /// called again and again.
    ///
    /// # Errors
    /// `Closed` when it is shut.
    pub fn close(&self, hurry: impl Fn()) -> Result<()> {
        self.let_nobody_in(Standing::Closed, || {
            hurry();
            Some(HURRY)
        })
    }

    /// Lets people in again after [`Door::close`].
    ///
    /// # Errors
    /// `Closed` when it is shut.
    pub fn open(&self) -> Result<()> {
        let mut state = self.lock();
        if state.standing == Standing::Shut {
            return Err(erased());
        }
        state.standing = Standing::Open;
        Ok(())
    }

    /// Lets nobody in any more, and waits for those who are inside.
    ///
    /// # Errors
    /// `Closed` when it is shut already.
    pub fn shut(&self) -> Result<()> {
        self.let_nobody_in(Standing::Shut, || None)
    }

    fn let_nobody_in(&self, standing: Standing, wait: impl Fn() -> Option<Duration>) -> Result<()> {
        let mut state = self.lock();
        if state.standing == Standing::Shut {
            return Err(erased());
        }
        state.standing = standing;
        while !state.inside.is_empty() {
            state = match wait() {
                Some(patience) => self.0.left.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0,
                None => self.0.left.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let mut state = self.door.lock();
        if let Entry::Occupied(mut entered) = state.inside.entry(self.thread) {
            *entered.get_mut() -= 1;
            if *entered.get() == 0 {
                entered.remove();
            }
        }
        drop(state);
        self.door.0.left.notify_all();
    }
}

/// What every call on an erased profile ends with.
pub(crate) fn erased() -> Error {
    Error::new(ErrorKind::Closed, "the profile was erased").with_hint("open the profile anew to begin another")
}

/// What calls on a suspended profile end with.
pub(crate) fn suspended() -> Error {
    Error::new(ErrorKind::Suspended, "the profile is suspended").with_hint("resume it first")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn shutting_waits_for_those_inside_and_refuses_the_rest() {
        let door = Door::default();
        let inside = door.enter().unwrap();
        let again = door.clone();
        let shutting = thread::spawn(move || again.shut());
        while door.enter().is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(!shutting.is_finished(), "somebody is inside");
        drop(inside);
        shutting.join().unwrap().unwrap();
        assert_eq!(door.enter().err().map(|error| error.kind()), Some(ErrorKind::Closed));
        assert_eq!(door.shut().unwrap_err().kind(), ErrorKind::Closed);
    }

    #[test]
    fn a_closed_door_lets_in_who_is_inside_and_opens_again() {
        let door = Door::default();
        let inside = door.enter().unwrap();
        thread::scope(|scope| {
            let closing = scope.spawn(|| {
                let hurried = Cell::new(0);
                door.close(|| hurried.set(hurried.get() + 1)).unwrap();
                hurried.get()
            });
            let refused = || scope.spawn(|| door.enter().err().map(|error| error.kind())).join().unwrap();
            while refused() != Some(ErrorKind::Suspended) {
                thread::sleep(Duration::from_millis(1));
            }
            let again = door.enter().expect("this thread is inside");
            thread::sleep(2 * HURRY);
            drop(inside);
            assert!(!closing.is_finished(), "it is inside still");
            drop(again);
            assert!(closing.join().unwrap() > 0, "nobody was hurried");
            assert_eq!(refused(), Some(ErrorKind::Suspended));
        });
        // Closing it twice is closing it once.
        door.close(|| panic!("nobody is inside")).unwrap();
        door.open().unwrap();
        drop(door.enter().unwrap());
        door.shut().unwrap();
        for refused in [door.open(), door.close(|| ())] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Closed);
        }
    }
}
