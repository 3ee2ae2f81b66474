//! Every numeric operation of Idiolect: a pass over a model is a [`Program`] of compound operations over
//! symbolic buffers, planned once and run by WGSL compute shaders or by the CPU.

pub mod error;
pub mod matrix;

pub use error::{Error, Result};
