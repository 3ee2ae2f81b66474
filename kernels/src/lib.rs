//! Every numeric operation of Idiolect: a pass over a model is a [`Program`] of compound operations over symbolic
//! buffers, planned once and run by WGSL compute shaders or by the CPU.

pub mod cpu;
pub mod error;
mod executor;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod matrix;
pub mod ops;
pub mod program;

pub use error::{Error, Result};
pub use executor::{Between, Executor, Job, JobBytes, ProgramId};
pub use matrix::Matrix;
pub use program::Program;
