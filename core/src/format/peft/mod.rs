//! LoRA adapters in PEFT's folder layout: `adapter_config.json` and `adapter_model.safetensors`, with our own
//! `idiolect.json` beside them. MLX's adapters are read as well.

mod config;
mod files;
mod modules;

pub use config::LoraConfig;
pub(in crate::format) use files::Factor;
pub use files::{AdapterFiles, AdapterRecord, Factors, Scaling, write_factors};
pub use modules::Modules;

/// PEFT's configuration.
pub(crate) const CONFIG: &str = "adapter_config.json";
/// PEFT's tensors.
pub(crate) const TENSORS: &str = "adapter_model.safetensors";
/// The files of an adapter of ours.
pub(crate) const FILES: [&str; 3] = [CONFIG, TENSORS, RECORD];
/// Our own file beside an adapter.
const RECORD: &str = "idiolect.json";
