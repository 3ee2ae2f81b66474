//! What can go wrong below the model: shapes, memory, the device.

/// An error of the kernels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Sizes that do not fit each other.
    #[error("shape: {0}")]
    Shape(String),
    /// No device of the kind that was asked for.
    #[error("{0}")]
    NoDevice(String),
    /// The device was lost, refused the work, or its guard chain broke.
    #[error("device: {0}")]
    DeviceLost(String),
    /// [`Between`](crate::Between) ended the run. What it wrote so far is of no use, all else is as it was.
    #[error("interrupted")]
    Interrupted,
    /// The device or the process cannot hold what the program needs.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
}

/// The result of fallible kernel calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;
