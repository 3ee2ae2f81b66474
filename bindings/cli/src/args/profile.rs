//! A person's profile, and the engine over it.

use std::path::PathBuf;

use clap::Args;
use idiolect::engine::EngineOptions;
use idiolect::profile::{KeySource, Profile};
use idiolect::registry::Registry;
use idiolect::{Engine, Result};

use super::DeviceArgs;
use crate::output::Output;

/// The profile of a command; its key is kept beside the data.
#[derive(Debug, Args)]
pub struct ProfileArgs {
    /// The folder of the profile
    #[arg(value_name = "PROFILE")]
    pub profile: PathBuf,
}

impl ProfileArgs {
    /// Opens it; it must be there.
    pub fn open(&self) -> Result<Profile> {
        Profile::open(&self.profile, &KeySource::Beside)
    }

    /// Opens it, made where it is missing.
    pub fn create(&self) -> Result<Profile> {
        Profile::create(&self.profile, &KeySource::Beside)
    }

    /// Its adapters.
    pub fn adapters(&self) -> Result<Registry> {
        self.open()?.registry()
    }
}

/// A profile with its base model.
#[derive(Debug, Args)]
pub struct EngineArgs {
    #[command(flatten)]
    pub profile: ProfileArgs,

    /// The base model: a folder or a GGUF file
    #[arg(long)]
    pub model: PathBuf,

    /// Tokens that the model can see, answer included, up to what it was made for; a chat keeps to as many
    /// [default: 2048, or what it was made for]
    #[arg(long, value_name = "TOKENS")]
    pub context: Option<usize>,

    #[command(flatten)]
    pub device: DeviceArgs,
}

impl EngineArgs {
    /// The engine over them.
    pub fn open(&self) -> Result<Engine> {
        self.profile.open()?;
        Engine::open(EngineOptions {
            device: self.device.device,
            context: self.context,
            ..EngineOptions::new(&self.profile.profile, &self.model)
        })
    }

    /// The same for a command that answers; says where the adapter in use is of no use.
    pub fn open_to_answer(&self, output: &Output) -> Result<Engine> {
        let engine = self.open()?;
        if let Some(version) = engine.stale_version()? {
            output.note(&format!(
                "version {version} was made for another model: the model alone answers until you train again"
            ));
        }
        Ok(engine)
    }
}
