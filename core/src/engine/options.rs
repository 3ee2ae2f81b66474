//! What an engine is opened with.

use std::fmt;
use std::path::PathBuf;

use crate::device::DeviceChoice;
use crate::model::ModelSource;
use crate::profile::KeySource;

/// What an engine is opened with.
#[derive(Clone)]
pub struct EngineOptions {
    /// The folder of the profile; made where it is missing.
    pub profile: PathBuf,
    /// The base model: a folder or a GGUF file, or one within another file, where nobody but the app writes
    /// ([`Model::open`](crate::Model::open) says why).
    pub model: ModelSource,
    /// What opens the profile's key.
    pub key: KeySource,
    /// Where to compute.
    pub device: DeviceChoice,
    /// Threads of the CPU; 0 means one a core.
    pub threads: usize,
    /// Positions that the model is opened for: what an answer's prompt and its text may have. `None` for 2,048; as many as
    /// the model was made for where that is fewer, and 131,072 at most.
    pub context: Option<usize>,
    /// The share of one core that long work takes at most, over any minute: systems end background work that takes more.
    /// `None` for all there is.
    pub cpu_share: Option<f32>,
    /// Whether the CPU goes on with work whose GPU was lost twice or refused, as systems do in the background. Else a
    /// training pauses, and an answer fails.
    pub cpu_fallback: bool,
}

impl EngineOptions {
    /// A profile and a model, all else by default.
    pub fn new(profile: impl Into<PathBuf>, model: impl Into<ModelSource>) -> Self {
        Self {
            profile: profile.into(),
            model: model.into(),
            key: KeySource::Beside,
            device: DeviceChoice::default(),
            threads: 0,
            context: None,
            cpu_share: None,
            cpu_fallback: true,
        }
    }
}

impl fmt::Debug for EngineOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineOptions")
            .field("profile", &self.profile)
            .field("model", &self.model)
            .field("device", &self.device)
            .field("threads", &self.threads)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}
