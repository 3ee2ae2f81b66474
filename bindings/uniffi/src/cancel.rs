//! Ending work from another thread.

/// A switch that ends the work it was given to, within a tenth of a second, and work that still waits at once; it stays
/// set, so each piece of work takes a fresh one. A training beside which an answer is given right then ends when the answer
/// does.
#[derive(Debug, Default, uniffi::Object)]
pub struct CancelToken {
    pub(crate) inner: idiolect::engine::CancelToken,
}

#[uniffi::export]
impl CancelToken {
    /// One that is not set.
    #[uniffi::constructor]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the work.
    pub fn cancel(&self) {
        self.inner.cancel();
    }

    /// Whether it was set.
    pub fn is_cancelled(&self) -> bool {
        self.inner.is_cancelled()
    }
}
