//! The base model and the device that has it, as an app sees them.

use idiolect::Model;
use idiolect::format::ModelLayout;

use crate::mirror::mirror;

/// An open base model.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ModelInfo {
    /// Where it was opened from.
    pub path: String,
    /// What distinguishes it from every other base; adapters fit only the base that they were made for.
    pub fingerprint: String,
    /// The family that it belongs to, such as `llama`.
    pub family: String,
    /// How it lies on the disk: `folder` or `gguf`.
    pub format: String,
    /// Parameters, a tied head counted once.
    pub parameters: u64,
    /// Decoder blocks.
    pub layers: u64,
    /// Tokens that it knows.
    pub vocab_size: u64,
    /// The longest text in tokens that it is opened for, prompt and answer together.
    pub context: u64,
}

impl ModelInfo {
    pub(crate) fn of(model: &Model) -> Self {
        let base = model.base();
        Self {
            path: model.path().to_string_lossy().into_owned(),
            fingerprint: model.fingerprint().to_owned(),
            family: base.config.family.name.into(),
            format: match model.files().layout() {
                ModelLayout::Folder(_) => "folder".into(),
                ModelLayout::Gguf(_) => "gguf".into(),
            },
            parameters: base.parameters() as u64,
            layers: base.config.layers.len() as u64,
            vocab_size: base.config.vocab_size as u64,
            context: base.context as u64,
        }
    }
}

mirror! {
    /// What a device is.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
    pub enum DeviceKind from idiolect::DeviceKind {
        /// A GPU.
        Gpu,
        /// The CPU.
        Cpu,
    }
}

mirror! {
    /// The device in use.
    #[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
    pub struct DeviceInfo from idiolect::DeviceInfo {
        /// GPU or CPU.
        pub kind: DeviceKind,
        /// Its name, backend and driver, or its threads.
        pub name: String,
        /// Why it was chosen: that it was asked for, that no GPU is there, that the GPU was lost.
        pub reason: String,
    }
}
