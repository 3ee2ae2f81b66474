//! On-device personalization: a frozen, quantized language model and a small LoRA adapter that learns
//! one person's way of writing.

pub mod error;
pub mod format;
// The rest of the module joins with the tokenizer.
pub mod model {
    //! The shape of a model.
    pub mod config;
    pub use config::{Family, Linear, ModelConfig, RopeParameters, RopeScaling};
}

pub use error::{Error, ErrorKind, Result};
