//! Places within a run where it may pause or end.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::executor::Between;

/// What a run asks at every place where it may end; once the answer was to end, it stays so.
pub(crate) struct Breaks {
    between: Option<Between>,
    ended: AtomicBool,
}

impl Breaks {
    pub fn new(between: Option<Between>) -> Self {
        Self { between, ended: AtomicBool::new(false) }
    }

    /// Lets other work in, and says whether the run ends here. Not for use in several threads at once.
    pub fn ends_run(&self) -> bool {
        if !self.ended() && self.between.as_ref().is_some_and(|between| between().is_break()) {
            self.ended.store(true, Ordering::Relaxed);
        }
        self.ended()
    }

    /// Whether it ended.
    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}
