//! The user's clock: the system's, or as the app says that it stands.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::policy::clock_ahead;
use crate::time;

/// The user's local time; clones are the same clock.
#[derive(Debug, Clone, Default)]
pub(super) struct UserClock {
    /// Seconds before the system's local time.
    ahead: Arc<AtomicI64>,
}

impl UserClock {
    /// Seconds since 1970 as the user's calendar has them.
    pub fn now(&self) -> i64 {
        time::local_now().saturating_add(self.ahead.load(Ordering::Relaxed))
    }

    /// Sets it by the app's minute of the day, or to the system's time where the app tells none.
    pub fn set(&self, minute: Option<u16>) {
        let ahead = minute.map_or(0, |minute| clock_ahead(time::local_now(), minute));
        self.ahead.store(ahead, Ordering::Relaxed);
    }
}
