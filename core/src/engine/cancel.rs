//! Ending work from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A switch that ends the work it was given to, within a tenth of a second, and work that still waits at once; clones are
/// the same switch. A training beside which an answer is given right then ends when the answer does.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// One that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the work; it stays set.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was set.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
