//! A profile: one person's folder, with everything that was learned from them and about them.
//!
//! ```text
//! key             the profile's own key: sealed under the app's or by its key store, or as it is
//! history.db      what the person wrote (with -wal and -shm beside it while it is open; how far it is, in -anchor)
//! adapters/       what was learned
//! checkpoints/    trainings that go on later, what the last one came to, how long was trained today
//! known-weights   hashes of models, so that each is read whole once
//! idiolect.lock   marks the folder as a profile; held while the key is made, or what is known of models
//! training.lock   held while one process trains
//! ```
//!
//! What was written and learned is sealed under the profile's key; times, counts and equal hashes of the history lie in
//! plain view ([`history`](crate::history)). An app keeps its own key in the system's key store and
//! gives it when it opens the profile ([`KeySource::App`]), or has a store whose keys nobody can read seal and open the
//! profile's key ([`KeySource::Store`]): then nothing in the folder opens without it. Without such a
//! key ([`KeySource::Beside`]) the profile's key lies in the folder: that protects a backup that leaves the key out, and
//! makes erasure certain, but **not against somebody who holds the folder**.

mod archive;
mod erase;
mod key_file;
mod leftovers;
#[cfg(test)]
mod tests;
mod training_lock;

use std::fs;
use std::path::{Path, PathBuf};

pub use archive::Archived;
pub use erase::{EraseReport, Erased, erase};
pub use key_file::KeySource;
pub use training_lock::TrainingLock;

use crate::disk::door::{Door, Inside};
use crate::disk::lock;
use crate::disk::staged::{refuse_occupied, remove_if_there};
use crate::error::{Error, ErrorKind, Result};
use crate::format::known_weights::KnownWeights;
use crate::history::History;
use crate::model::{Model, ModelSource};
use crate::registry::Registry;
use crate::seal::Key;

const KEY: &str = "key";
const HISTORY: &str = "history.db";
const ANCHOR: &str = "history.db-anchor";
const ADAPTERS: &str = "adapters";
const CHECKPOINTS: &str = "checkpoints";
/// Among the checkpoints: the rows that the training under way reads. Without it, its checkpoints are of no use.
pub(crate) const SELECTION: &str = "selection";
/// Among the checkpoints: what the training that ended last came to. It outlives every checkpoint.
pub(crate) const LAST_TRAINING: &str = "last-training";
/// Among the checkpoints: how long was trained today. It outlives every checkpoint as well.
pub(crate) const TIMESHEET: &str = "timesheet";
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
    /// Opens the profile in `folder`. What killed processes left undone is done first: nothing is served from a checkpoint
    /// that may know what was removed from the history.
    ///
    /// # Errors
    /// `Io` when there is none or it cannot be written; `WrongKey` when the key is not the one it was made with, or it
    /// was made with a key of the app's and none is given (or the reverse); `KeyStore` when the app's key store refuses;
    /// `BadFile` when its key or history is damaged; `PutBack` when its history is older than
    /// it was.
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
        match key_file::read(&folder.join(KEY), source)? {
            Some(key) => Self::open_by(folder, key, history),
            None => Err(missing_key(folder)),
        }
    }

    fn open_by(folder: &Path, key: Key, history: fn(&Path, &Key) -> Result<History>) -> Result<Self> {
        close_to_others(folder);
        let history = history(&folder.join(HISTORY), &key)?;
        leftovers::follow_removals(folder, &history)?;
        leftovers::clear(folder)?;
        Ok(Self { folder: folder.to_owned(), key, history, door: Door::default() })
    }

    /// Makes a profile in `folder` and opens it. Several processes may do so at once: they end up with the same one.
    ///
    /// # Errors
    /// `Io` when the folder holds something else or cannot be written; for a profile that is there already, as
    /// [`Profile::open`].
    pub fn create(folder: &Path, source: &KeySource) -> Result<Self> {
        let key_path = folder.join(KEY);
        if key_file::is_key_file(&key_path) {
            return Self::open(folder, source);
        }
        if !is_profile(folder) {
            // What made it occupied may be another process that just created the profile.
            refuse_occupied(folder).or_else(|error| if is_profile(folder) { Ok(()) } else { Err(error) })?;
            make_private_folder(folder)?;
        }
        let making = lock::wait(&folder.join(MARK))?;
        leftovers::clear_under_mark(folder)?;
        let key = match key_file::read(&key_path, source)? {
            Some(key) => key,
            None if folder.join(HISTORY).exists() => return Err(missing_key(folder)),
            None => {
                // Of a profile that was not erased to the end: this one begins anew.
                remove_if_there(&folder.join(ANCHOR))?;
                let key = Key::random()?;
                key_file::write(&key_path, &key_file::sealed(&key, source)?)?;
                key
            }
        };
        drop(making);
        Self::open_by(folder, key, History::open)
    }

    /// The folder that it lies in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The profile's own key, which seals everything in it.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Keeps the profile's key in another way: under another key of the app's, by its key store, or beside. In place, and
    /// whole or not at all, wherever the process is killed; nothing is sealed again, and what held the key before is
    /// overwritten. Who has the profile open goes on; it opens by the new way only.
    ///
    /// # Errors
    /// `KeyStore` when the store refuses, or does not give back what it was given; `Io` when the disk refuses. Nothing has
    /// changed then.
    pub fn change_key(&self, to: &KeySource) -> Result<()> {
        // The store is the app's code, and may take its time: before any lock.
        let sealed = key_file::sealed(&self.key, to)?;
        let _inside = self.door.enter()?;
        let path = self.folder.join(KEY);
        // Before the lock is taken too: that would make its file.
        if !is_profile(&self.folder) {
            return Err(missing_key(&self.folder));
        }
        let _making = lock::wait(&self.folder.join(MARK))?;
        if !key_file::is_key_file(&path) {
            return Err(missing_key(&self.folder));
        }
        leftovers::clear_under_mark(&self.folder)?;
        key_file::replace(&path, &sealed)
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

    /// Opens a model as [`Model::open_source`] does, for work on this profile: what is hashed for [`Model::fingerprint`] is
    /// remembered here, and not read again for as long as the system says that the files are the same.
    ///
    /// # Errors
    /// As [`Model::open_source`]. That something cannot be remembered is none.
    pub fn open_model(&self, source: impl Into<ModelSource>) -> Result<Model> {
        Ok(Model::open_source(&source.into())?.with_known(KnownWeights::new(&self.folder, MARK, &self.key, &self.door)))
    }

    /// Closes what is open in the folder and lets nobody in until [`Profile::resume`]: calls under way are ended or waited
    /// for, later ones on the profile, its history and its registry refused with [`ErrorKind::Suspended`]. No lock is held
    /// then but those that were given out: a [`TrainingLock`], a [`Learnable`](crate::history::Learnable).
    ///
    /// # Errors
    /// `Closed` where it was erased.
    pub fn suspend(&self) -> Result<()> {
        self.door.close(|| self.history.hurry())?;
        self.history.suspend();
        Ok(())
    }

    /// Opens all again after [`Profile::suspend`]; what another process left undone meanwhile is done first.
    ///
    /// # Errors
    /// As [`Profile::open`], but for the key's: it stays suspended then.
    pub fn resume(&self) -> Result<()> {
        self.history.resume()?;
        leftovers::follow_removals(&self.folder, &self.history).inspect_err(|_| self.history.suspend())?;
        self.door.open()
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

fn missing_key(folder: &Path) -> Error {
    Error::bad_file(&folder.join(KEY), "key", "missing").with_hint("what it sealed cannot be read without it")
}

/// Whether a profile was made here.
fn is_profile(folder: &Path) -> bool {
    folder.join(MARK).is_file() || key_file::is_key_file(&folder.join(KEY))
}

/// Lets nobody but its owner into a folder that others can enter. Where the file system knows no owners, or the folder
/// is another's, it stays as it is.
#[cfg(unix)]
fn close_to_others(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0) {
        let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    }
}

#[cfg(not(unix))]
fn close_to_others(_: &Path) {}

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
