//! Who is at work in a profile's folder, so that an erasure waits for them and lets nobody in after.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind, Result};

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
    inside: usize,
    shut: bool,
}

/// Somebody at work; until it is dropped, nothing is erased. One who is inside may enter again.
pub(crate) struct Inside<'a>(&'a Door);

impl Door {
    /// Enters for a piece of work that reads or writes below the folder.
    ///
    /// # Errors
    /// `Closed` once the door is shut.
    pub fn enter(&self) -> Result<Inside<'_>> {
        let mut state = self.lock();
        if state.shut {
            return Err(erased());
        }
        state.inside += 1;
        Ok(Inside(self))
    }

    /// Lets nobody in any more, and waits for those who are inside.
    ///
    /// # Errors
    /// `Closed` when it is shut already.
    pub fn shut(&self) -> Result<()> {
        let mut state = self.lock();
        if state.shut {
            return Err(erased());
        }
        state.shut = true;
        while state.inside > 0 {
            state = self.0.left.wait(state).unwrap_or_else(PoisonError::into_inner);
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
        self.0.lock().inside -= 1;
        self.0.0.left.notify_all();
    }
}

/// What every call on an erased profile ends with.
pub(crate) fn erased() -> Error {
    Error::new(ErrorKind::Closed, "the profile was erased").with_hint("open the profile anew to begin another")
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

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
}
