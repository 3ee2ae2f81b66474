//! Devices that fail when a test wants them to.

/// What fails of an engine's device, once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// The GPU is lost after so many submissions of the first long work.
    pub long_work_after: Option<u32>,
    /// The GPU is lost after so many submissions of the first answers.
    pub answers_after: Option<u32>,
}
