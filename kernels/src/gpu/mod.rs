//! The GPU executor: encodes programs for wgpu.
//!
//! Weights lie in buffers of their own, activations in an arena, state tensors beside it. A run launches every
//! operation into a list of dispatches, cuts the list into submissions by time, writes all their parameters at once,
//! each dispatch's in a slot of its own, and submits. Nothing is read back until it is asked for.

mod adapter;
mod device;
mod executor;
mod flow;
mod instance;
mod kernel;
mod memory;
mod pace;
pub(crate) mod params;
mod recorder;
#[cfg(test)]
mod translation;
pub(crate) mod weights;
pub(crate) mod wgsl;

pub use adapter::{Adapter, Backend, adapters, choose};
pub use executor::{GpuExecutor, Options};
pub use flow::Fault;
#[cfg(test)]
pub(crate) use kernel::Shader;
pub(crate) use kernel::{Constants, Kernel};
pub(crate) use memory::{Binding, Memory};
pub(crate) use params::{count, params};
pub(crate) use recorder::Launch;
pub use recorder::Recorder;
