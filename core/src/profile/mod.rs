//! A profile: one person's folder, with everything that was learned from them and about them.
//!
//! ```text
//! key             the profile's own key: sealed under the app's, or as it is, readable by its owner only
//! history.db      what the person wrote (with -wal and -shm beside it while it is open; how far it is, in -anchor)
//! adapters/       what was learned
//! checkpoints/    trainings that go on later
//! cache/          what can be computed again
//! idiolect.lock   marks the folder as a profile; held while the key is made
//! training.lock   held while one process trains
//! ```
//!
//! What was written and learned is sealed under the profile's key; times, counts and equal hashes of the history lie in
//! plain view ([`history`](crate::history)). An app keeps its own key in the system's key store and
//! gives it when it opens the profile ([`KeySource::App`]): then nothing in the folder opens without it. Without such a
//! key ([`KeySource::Beside`]) the profile's key lies in the folder: that protects a backup that leaves the key out, and
//! makes erasure certain, but **not against somebody who holds the folder**.

mod archive;
mod door;
mod erase;
mod key_file;
mod leftovers;
pub(crate) mod lock;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

pub use archive::Archived;
pub(crate) use door::{Door, Inside, erased};
pub use erase::{EraseReport, Erased, erase};
pub use key_file::KeySource;
pub use lock::TrainingLock;

use crate::error::{Error, ErrorKind, Result};
use crate::format::staged::{refuse_occupied, remove_if_there};
use crate::history::History;
use crate::registry::Registry;
use crate::seal::Key;

const KEY: &str = "key";
const HISTORY: &str = "history.db";
const ANCHOR: &str = "history.db-anchor";
const ADAPTERS: &str = "adapters";
const CHECKPOINTS: &str = "checkpoints";
const CACHE: &str = "cache";
const MARK: &str = "idiolect.lock";
const TRAINING_LOCK: &str = "training.lock";

/// An open profile. Any number of threads and processes may have one open. Once [`Profile::erase`] began, every call on
/// it, its history and its registry ends with [`ErrorKind::Closed`].
#[derive(Debug)]
pub struct Profile {
    folder: PathBuf,
    key: Key,
    history: History,
    door: Door,
}

impl Profile {
    /// Opens the profile in `folder`.
    ///
    /// # Errors
    /// `Io` when there is none or it cannot be written; `WrongKey` when the key is not the one it was made with, or it
    /// was made with a key of the app's and none is given (or the reverse); `BadFile` when its key or history is damaged;
    /// `PutBack` when its history is older than it was.
    pub fn open(folder: &Path, source: &KeySource) -> Result<Self> {
        Self::open_as(folder, source, History::open)
    }

    /// Opens a profile whose history was put back from a backup: it is taken as it is from now on. Ask the person before:
    /// what they removed since then is there again.
    ///
    /// # Errors
    /// As [`Profile::open`], but for `PutBack`.
    pub fn open_put_back(folder: &Path, source: &KeySource) -> Result<Self> {
        Self::open_as(folder, source, History::open_put_back)
    }

    fn open_as(folder: &Path, source: &KeySource, history: fn(&Path, &Key) -> Result<History>) -> Result<Self> {
        if !is_profile(folder) {
            let message = format!("{}: no profile is here", folder.display());
            return Err(Error::new(ErrorKind::Io, message).with_hint("create it, or check the path"));
        }
        let key = key_file::read(&folder.join(KEY), source)?.ok_or_else(|| {
            Error::bad_file(&folder.join(KEY), "key", "missing").with_hint("what it sealed cannot be read without it")
        })?;
        let history = history(&folder.join(HISTORY), &key)?;
        leftovers::clear(folder)?;
        Ok(Self { folder: folder.to_owned(), key, history, door: Door::default() })
    }

    /// Makes a profile in `folder` and opens it. Several processes may do so at once: they end up with the same one.
    ///
    /// # Errors
    /// `Io` when the folder holds something else or cannot be written; for a profile that is there already, as
    /// [`Profile::open`].
    pub fn create(folder: &Path, source: &KeySource) -> Result<Self> {
        if !is_profile(folder) {
            // What made it occupied may be another process that just created the profile.
            refuse_occupied(folder).or_else(|error| if is_profile(folder) { Ok(()) } else { Err(error) })?;
            make_private_folder(folder)?;
        }
        let making = lock::wait(&folder.join(MARK))?;
        leftovers::clear_of_keys(folder)?;
        let key_path = folder.join(KEY);
        if key_file::read(&key_path, source)?.is_none() && !folder.join(HISTORY).exists() {
            // Of a profile that was not erased to the end: this one begins anew.
            remove_if_there(&folder.join(ANCHOR))?;
            key_file::write(&key_path, &Key::random()?, source)?;
        }
        drop(making);
        Self::open(folder, source)
    }

    /// The folder that it lies in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The profile's own key, which seals everything in it.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// What the person wrote.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The adapters, brought in line with the history where a process was killed between changing the one and the other.
    ///
    /// # Errors
    /// When their folder cannot be made, their index is damaged, or the disk refuses.
    pub fn registry(&self) -> Result<Registry> {
        let _inside = self.door.enter()?;
        let registry = Registry::behind(self.door.clone(), &self.adapters()?, &self.key)?;
        registry.mark_learned_from_removed(&self.history.versions_touched_by_removed()?)?;
        registry.forget_unknown(&self.history)?;
        Ok(registry)
    }

    /// The folder of the adapters, made if it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn adapters(&self) -> Result<PathBuf> {
        self.subfolder(ADAPTERS)
    }

    /// The folder of the checkpoints, made if it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn checkpoints(&self) -> Result<PathBuf> {
        self.subfolder(CHECKPOINTS)
    }

    /// The folder for what can be computed again, made if it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn cache(&self) -> Result<PathBuf> {
        self.subfolder(CACHE)
    }

    /// Whether this or another process trains on this profile, or exports it, just now.
    ///
    /// # Errors
    /// When the lock cannot be read.
    pub fn is_training(&self) -> Result<bool> {
        let _inside = self.door.enter()?;
        Ok(lock::look(&self.folder.join(TRAINING_LOCK))?.is_none())
    }

    /// Removes what trainings and exports left that were killed, unless one is under way.
    pub(crate) fn clear_leftovers(&self) -> Result<()> {
        leftovers::clear(&self.folder)
    }

    /// Takes the right to train on this profile, until the lock is dropped or the process ends.
    ///
    /// # Errors
    /// `TrainingBusy` when another process, or another part of this one, holds it.
    pub fn lock_training(&self) -> Result<TrainingLock> {
        let _inside = self.door.enter()?;
        TrainingLock::take(&self.folder)
    }

    /// For a piece of work in the folder: nothing is erased before it ends.
    pub(crate) fn enter(&self) -> Result<Inside<'_>> {
        self.door.enter()
    }

    fn subfolder(&self, name: &str) -> Result<PathBuf> {
        let _inside = self.door.enter()?;
        let path = self.folder.join(name);
        // Not the profile's own folder: where another process erased that, it stays away.
        match private_folders().create(&path) {
            Err(cause) if !path.is_dir() => Err(Error::io(&path, &cause)),
            _ => Ok(path),
        }
    }
}

/// Whether a profile was made here.
fn is_profile(folder: &Path) -> bool {
    folder.join(MARK).is_file() || key_file::is_key_file(&folder.join(KEY))
}

/// Lets nobody but its owner into a folder.
fn make_private(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(folder, permissions).map_err(|cause| Error::io(folder, &cause))?;
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// A folder, with those above it, that only its owner can enter.
fn make_private_folder(path: &Path) -> Result<()> {
    private_folders().recursive(true).create(path).map_err(|cause| Error::io(path, &cause))
}

fn private_folders() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}
