//! Devices that fail when a test wants them to.

use std::collections::VecDeque;

/// What fails of an engine's devices. Each time that a GPU is opened, the next number of each list counts for it.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The GPU is lost after so many submissions of long work.
    pub long_work_after: VecDeque<u32>,
    /// The GPU is lost after so many submissions of answers.
    pub answers_after: VecDeque<u32>,
}
