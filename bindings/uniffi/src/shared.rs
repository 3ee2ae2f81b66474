//! The engine that several objects share, until it is erased.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use idiolect::Engine;
use idiolect::profile::EraseReport;

use crate::error::{EngineError, Result};

/// How long an erasure waits for calls that a closed engine ends.
const PATIENCE: Duration = Duration::from_secs(2);

/// The engine; none once it is erased. Every call takes its own reference, so that none waits for another.
pub(crate) struct Shared(Mutex<Option<Arc<Engine>>>);

impl Shared {
    pub fn new(engine: Engine) -> Self {
        Self(Mutex::new(Some(Arc::new(engine))))
    }

    pub fn engine(&self) -> Result<Arc<Engine>> {
        self.slot().clone().ok_or_else(EngineError::erased)
    }

    /// Closes the engine, waits for the calls that this ends, and erases.
    pub fn erase(&self) -> Result<EraseReport> {
        let mut engine = self.slot().take().ok_or_else(EngineError::erased)?;
        engine.close();
        let begin = Instant::now();
        loop {
            match Arc::try_unwrap(engine) {
                Ok(engine) => return Ok(engine.erase()?),
                Err(used) if begin.elapsed() > PATIENCE => {
                    *self.slot() = Some(used);
                    return Err(EngineError::in_use());
                }
                Err(used) => engine = used,
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<Engine>>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
