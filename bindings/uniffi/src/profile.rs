//! A profile without an engine: erasing it, and taking one in.

use std::path::Path;
use std::sync::Arc;

use idiolect::profile::Profile;

use crate::error::Result;
use crate::key_store::{KeyStore, key_source};
use crate::mirror::mirror;

mirror! {
    /// Files that went, and their bytes.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
    pub struct Erased from idiolect::profile::Erased {
        /// How many.
        pub files: u64,
        /// How many bytes they had.
        pub bytes: u64,
    }
}

/// What an erasure took.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct EraseReport {
    /// The profile's key, overwritten before it went.
    pub keys: Erased,
    /// What the person wrote.
    pub history: Erased,
    /// What was learned.
    pub adapters: Erased,
    /// Unfinished trainings.
    pub checkpoints: Erased,
    /// What could be computed again.
    pub caches: Erased,
    /// Files in the making and locks.
    pub temporary: Erased,
    /// All of it together.
    pub total: Erased,
    /// What lies in the folder and is not the profile's: untouched. Without any, the folder went too.
    pub left: Vec<String>,
}

impl From<idiolect::profile::EraseReport> for EraseReport {
    fn from(report: idiolect::profile::EraseReport) -> Self {
        Self {
            total: report.total().into(),
            keys: report.keys.into(),
            history: report.history.into(),
            adapters: report.adapters.into(),
            checkpoints: report.checkpoints.into(),
            caches: report.caches.into(),
            temporary: report.temporary.into(),
            left: report.left.iter().map(|path| path.to_string_lossy().into_owned()).collect(),
        }
    }
}

/// Erases the profile in a folder that no engine of this process has open: key, history, checkpoints, adapters. It needs
/// neither key nor model, and takes damaged profiles.
///
/// # Errors
/// `Io` when there is no profile or something cannot be removed; `TrainingBusy` while a training runs.
#[uniffi::export]
pub fn erase_profile(folder: String) -> Result<EraseReport> {
    Ok(idiolect::profile::erase(Path::new(&folder))?.into())
}

/// Takes a profile's history, which was put back from a backup, as it is: from then on the engine opens. Ask the person
/// before: what they removed since then is there again.
///
/// # Errors
/// As opening an engine on the profile, but for `PutBack`.
#[uniffi::export(default(key = None, key_store = None))]
pub fn accept_history(folder: String, key: Option<Vec<u8>>, key_store: Option<Arc<dyn KeyStore>>) -> Result<()> {
    Profile::open_put_back(Path::new(&folder), &key_source(key, key_store)?)?;
    Ok(())
}

mirror! {
    /// What an archive holds.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
    pub struct ArchivedProfile from idiolect::profile::Archived {
        /// Files, the history's included.
        pub files: u64,
        /// Their bytes.
        pub bytes: u64,
    }
}

/// Makes a profile in a folder that is not there yet of an archive, under a key or a key store of this device's (as
/// `Engine.open` takes them). It appears whole or not at all.
///
/// # Errors
/// `WrongKey` for a wrong passphrase; `BadFile` when the archive is damaged or names a place outside a profile;
/// `KeyStore` when the key store refuses; `Unsupported` when a newer version wrote it; `Io` when the folder holds
/// something or cannot be written.
#[uniffi::export(default(key = None, key_store = None))]
pub fn import_profile(
    archive: String,
    passphrase: String,
    folder: String,
    key: Option<Vec<u8>>,
    key_store: Option<Arc<dyn KeyStore>>,
) -> Result<()> {
    Profile::import(Path::new(&archive), &passphrase, Path::new(&folder), &key_source(key, key_store)?)?;
    Ok(())
}
