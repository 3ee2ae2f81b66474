//! The base model, as an app sees it.

use idiolect::Model;

/// An open base model.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ModelInfo {
    /// Where it was opened from.
    pub path: String,
    /// What distinguishes it from every other base; adapters fit only the base that they were made for.
    pub fingerprint: String,
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
            parameters: base.parameters() as u64,
            layers: base.config.layers as u64,
            vocab_size: base.config.vocab_size as u64,
            context: base.context as u64,
        }
    }
}
