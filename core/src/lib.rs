//! On-device personalization: a frozen, quantized language model and a small LoRA adapter that learns one person's
//! way of writing.

pub mod adapter;
mod available_memory;
pub mod chat_export;
mod device;
mod disk;
pub mod engine;
mod error;
pub mod eval;
pub mod format;
pub mod gate;
pub mod generate;
pub mod history;
pub mod merge;
pub mod model;
mod passes;
pub mod personalize;
pub mod policy;
pub mod privacy;
pub mod profile;
mod random;
pub mod registry;
pub mod samples;
pub mod seal;
mod session;
mod shape;
pub mod text;
pub mod time;
mod trace;
pub mod train;

pub use adapter::Adapter;
pub use device::{DeviceChoice, DeviceInfo, DeviceKind};
pub use engine::Engine;
pub use error::{Error, ErrorKind, Result};
pub use idiolect_kernels::Between;
pub use model::{Model, ModelSource};
pub use session::Session;

/// The README's example, compiled with the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
