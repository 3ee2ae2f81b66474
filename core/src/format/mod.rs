//! Everything that opens, checks, converts and writes model and adapter files. Files are untrusted: every length,
//! count and offset is checked against the file before it is used.

mod assembly;
pub(crate) mod blob;
mod config_json;
pub(crate) mod destination;
mod fingerprint;
mod gguf;
pub(crate) mod import;
pub(crate) mod known_weights;
mod mlx_adapter;
mod model_files;
pub mod peft;
mod safetensors;
mod safetensors_writer;
mod source;
mod tensor;
mod zero_points;

pub use gguf::{GgufArray, GgufFile, GgufValue, vocabulary};
pub use import::{ImportOptions, ImportReport, import};
pub use model_files::{ModelFiles, ModelLayout};
#[cfg(unix)]
pub use source::ModelDescriptor;
pub use source::ModelSource;
pub use tensor::{Storage, Tensor};
