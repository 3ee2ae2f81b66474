//! On-device personalization: a frozen, quantized language model and a small LoRA adapter that learns
//! one person's way of writing.

pub mod error;
pub mod generate;
pub mod text;

pub use error::{Error, ErrorKind, Result};
