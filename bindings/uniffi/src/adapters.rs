//! What was learned: numbered versions, the one in use, how strongly it is used.

use std::path::Path;
use std::sync::Arc;

use idiolect::{personalize, registry};

use crate::cancel::CancelToken;
use crate::error::Result;
use crate::listeners::MergeListener;
use crate::merge::{MergeOptions, MergeReport};
use crate::mirror::mirror;
use crate::report::LearnReport;

/// The adapters of an engine's profile: usable until that is erased. What needs the model ends when the engine is shut
/// down.
#[derive(uniffi::Object)]
pub struct Adapters {
    engine: Arc<idiolect::Engine>,
}

impl Adapters {
    pub(crate) fn of(engine: Arc<idiolect::Engine>) -> Arc<Self> {
        Arc::new(Self { engine })
    }
}

#[uniffi::export]
impl Adapters {
    /// Every version, and the one in use.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn list(&self) -> Result<AdapterList> {
        Ok(self.engine.adapters().state()?.into())
    }

    /// Puts a version to use; none is the base alone.
    ///
    /// # Errors
    /// When there is no such version, or the disk refuses.
    pub fn activate(&self, version: Option<u32>) -> Result<()> {
        Ok(self.engine.adapters().activate(version)?)
    }

    /// Goes back to what was in use before, and says what that is.
    ///
    /// # Errors
    /// When nothing was, or the disk refuses.
    pub fn rollback(&self) -> Result<Option<u32>> {
        Ok(self.engine.adapters().rollback()?)
    }

    /// Sets the share of its effect that a version has, from 0 (the base's own bits) to 1.
    ///
    /// # Errors
    /// When there is no such version, `strength` is out of range, or the disk refuses.
    pub fn set_strength(&self, version: u32, strength: f32) -> Result<()> {
        Ok(self.engine.adapters().set_strength(version, strength)?)
    }

    /// Writes a version unsealed: a folder that PEFT loads, or one file of it where `destination` ends in `.tar`. It does
    /// elsewhere what the version does here, at its strength.
    ///
    /// # Errors
    /// When there is no such version, something else lies at `destination`, or the model cannot be opened.
    pub fn export_to(&self, version: u32, destination: String) -> Result<()> {
        let model = self.engine.model()?;
        Ok(self.engine.adapters().export(version, &model, Path::new(&destination))?)
    }

    /// Takes in an adapter's folder, or a `.tar` file of one, as a new version; its number. It is not in use yet. One that
    /// was exported here has its strength again.
    ///
    /// # Errors
    /// When it is damaged, does not fit the model, or an archive holds anything but an adapter's files.
    pub fn import_from(&self, source: String) -> Result<u32> {
        let model = self.engine.model()?;
        Ok(self.engine.adapters().import(Path::new(&source), &model)?)
    }

    /// Writes the base with a version at its strength merged in as a model folder, unsealed: it needs no adapter, here or
    /// in mlx-lm. It appears whole or not at all.
    ///
    /// # Errors
    /// When there is no such version, rounding would swallow too much of it, something lies at `destination`, or the disk
    /// refuses; `Cancelled` when it was cancelled; `Listener` when the listener failed.
    pub fn merge(
        &self,
        version: u32,
        destination: String,
        options: MergeOptions,
        cancel: Arc<CancelToken>,
        listener: Arc<dyn MergeListener>,
    ) -> Result<MergeReport> {
        let mut heard = Ok(());
        let destination = Path::new(&destination);
        let merged = self.engine.merge(version, destination, options.into(), &cancel.inner, &mut |stage, done, all| {
            if heard.is_ok() {
                heard = listener.on_progress(stage.into(), done, all).inspect_err(|_| cancel.cancel());
            }
        });
        heard?;
        Ok(merged?.into())
    }

    /// Deletes a version, and what the history's ledger has of it; where it was in use, the base alone is.
    ///
    /// # Errors
    /// When there is no such version, or the disk refuses.
    pub fn delete(&self, version: u32) -> Result<()> {
        Ok(self.engine.delete_adapter(version)?)
    }
}

/// Every version, and the one in use.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct AdapterList {
    /// All versions, oldest first.
    pub versions: Vec<AdapterVersion>,
    /// The one in use; none is the base alone.
    pub active: Option<u32>,
}

impl From<registry::RegistryState> for AdapterList {
    fn from(state: registry::RegistryState) -> Self {
        Self { active: state.active, versions: state.versions.into_iter().map(Into::into).collect() }
    }
}

mirror! {
    /// Where a version came from.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
    pub enum AdapterOrigin from registry::Origin {
        /// A training of this profile.
        Trained,
        /// A file from elsewhere.
        Imported,
    }
}

/// One adapter.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct AdapterVersion {
    /// Its number; numbers are never given twice.
    pub version: u32,
    /// Seconds since 1970.
    pub created: i64,
    /// The base that it was made for: it works with no other.
    pub base_fingerprint: String,
    /// SHA-256 of its parameters.
    pub sha256: String,
    /// The version in use when it was made.
    pub parent: Option<u32>,
    /// Where it came from.
    pub origin: AdapterOrigin,
    /// The share of its effect that it has when it is used, 0 to 1.
    pub strength: f32,
    /// It learned from samples that were removed since: train again.
    pub learned_from_removed: bool,
    /// What its training reported; none for one from elsewhere.
    pub report: Option<LearnReport>,
}

impl From<registry::Version> for AdapterVersion {
    fn from(version: registry::Version) -> Self {
        Self {
            report: personalize::LearnReport::of(&version).map(Into::into),
            version: version.version,
            created: version.created,
            base_fingerprint: version.base_fingerprint,
            sha256: version.sha256,
            parent: version.parent,
            origin: version.origin.into(),
            strength: version.strength,
            learned_from_removed: version.learned_from_removed,
        }
    }
}
