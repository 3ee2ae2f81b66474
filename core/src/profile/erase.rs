//! Erasing a profile: the key first, so that whatever survives of the rest cannot be read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::key_file::overwrite;
use super::{ADAPTERS, ANCHOR, CHECKPOINTS, HISTORY, KEY, MARK, Profile, TRAINING_LOCK, is_profile};
use crate::disk::lock::{self, FileLock};
use crate::disk::staged::{in_the_making_of, parent_of, sync_folder};
use crate::error::{Error, ErrorKind, Result};
use crate::format::known_weights::KNOWN_WEIGHTS;
use crate::trace::{self, Event};

/// A folder that earlier releases made for what can be computed again.
const OLD_CACHE: &str = "cache";

/// Files that went, and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Erased {
    /// How many.
    pub files: u64,
    /// How many bytes they had.
    pub bytes: u64,
}

/// What an erasure took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
    /// What lies in the folder and is not the profile's: untouched. Without any, the folder went too.
    pub left: Vec<PathBuf>,
}

impl EraseReport {
    /// All of it together.
    pub fn total(&self) -> Erased {
        [self.keys, self.history, self.adapters, self.checkpoints, self.caches, self.temporary].iter().fold(
            Erased::default(),
            |sum, part| Erased { files: sum.files + part.files, bytes: sum.bytes + part.bytes },
        )
    }
}

/// Erases the profile in `folder`. It needs neither key nor model, and takes damaged profiles and what an interrupted
/// erasure left. The key is overwritten and removed first: from then on nothing of the profile opens, not even with the
/// app's own key. (On flash memory the system may keep the old copy of an overwritten block; where the app's key is in
/// a key store, destroy that too.) A profile that is open in this process is erased by [`Profile::erase`] instead.
///
/// # Errors
/// `Io` when there is no profile or something cannot be removed (everything else is, and the message names it);
/// `TrainingBusy` while a training runs.
pub fn erase(folder: &Path) -> Result<EraseReport> {
    if !is_profile(folder) {
        let message = format!("{}: no profile is here", folder.display());
        return Err(Error::new(ErrorKind::Io, message).with_hint("check the path; nothing was erased"));
    }
    Locks::take(folder)?.erase(folder)
}

impl Profile {
    /// Erases the profile as [`erase`] does. It waits for the calls under way on other threads, of the history and the
    /// registry too; all later ones are refused, and no file comes back.
    ///
    /// # Errors
    /// `TrainingBusy` while a training runs: nothing has happened then. `Closed` when it was erased already. `Io` when
    /// something cannot be removed: the profile is closed all the same, and [`erase`] takes what is left.
    pub fn erase(&self) -> Result<EraseReport> {
        let locks = {
            let _inside = self.enter()?;
            Locks::take(&self.folder)?
        };
        self.door.shut()?;
        self.history.close();
        locks.erase(&self.folder)
    }
}

/// What keeps other processes from making or training the profile meanwhile. A lock that cannot be taken for another
/// reason than that it is held stops no erasure.
struct Locks {
    mark: Result<Option<FileLock>>,
    training: Result<Option<FileLock>>,
}

impl Locks {
    fn take(folder: &Path) -> Result<Self> {
        // Made where it is missing: it stays to the last, so that an interrupted erasure can be repeated.
        let mark = lock::take(&folder.join(MARK), Duration::ZERO);
        let training = lock::take(&folder.join(TRAINING_LOCK), lock::LOOKS);
        if matches!(training, Ok(None)) {
            let message = format!("{}: a training is running on this profile", folder.display());
            return Err(Error::new(ErrorKind::TrainingBusy, message).with_hint("cancel it first"));
        }
        Ok(Self { mark, training })
    }

    fn erase(self, folder: &Path) -> Result<EraseReport> {
        let mut erasure = Erasure { report: EraseReport::default(), failed: None };
        let unfinished = unfinished_imports(folder)?;
        for home in unfinished.iter().map(PathBuf::as_path).chain([folder]) {
            erasure.key(&home.join(KEY));
        }
        for home in &unfinished {
            erasure.remove(home, |report| &mut report.temporary);
        }
        erasure.content(folder)?;
        drop(self.training);
        erasure.remove(&folder.join(TRAINING_LOCK), |report| &mut report.temporary);
        let Erasure { mut report, failed } = erasure;
        if let Some(error) = failed {
            return Err(error);
        }
        drop(self.mark);
        let mut last = Erasure { report: EraseReport::default(), failed: None };
        last.remove(&folder.join(MARK), |report| &mut report.temporary);
        report.temporary.files += last.report.temporary.files;
        if let Some(error) = last.failed {
            return Err(error);
        }
        if report.left.is_empty() {
            fs::remove_dir(folder).map_err(|cause| Error::io(folder, &cause))?;
            sync_folder(parent_of(folder)?)?;
        } else {
            sync_folder(folder)?;
        }
        let Erased { files, bytes } = report.total();
        trace::tell(Event::ProfileErased { files, bytes });
        Ok(report)
    }
}

/// An erasure goes on after a failure and tells the first in the end.
struct Erasure {
    report: EraseReport,
    failed: Option<Error>,
}

impl Erasure {
    /// Overwrites a key file, then removes it.
    fn key(&mut self, path: &Path) {
        if let Err(cause) = overwrite(path)
            && cause.kind() != io::ErrorKind::NotFound
        {
            self.failed.get_or_insert(Error::io(path, &cause));
        }
        self.remove(path, |report| &mut report.keys);
        if let Some(folder) = path.parent().filter(|folder| folder.is_dir())
            && let Err(error) = sync_folder(folder)
        {
            self.failed.get_or_insert(error);
        }
    }

    /// Removes what is the profile's in its folder, but for the locks.
    fn content(&mut self, folder: &Path) -> Result<()> {
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        for entry in entries.map_err(|cause| Error::io(folder, &cause))? {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let path = entry.path();
            match name.as_ref() {
                MARK | TRAINING_LOCK => {}
                ADAPTERS => self.remove(&path, |report| &mut report.adapters),
                CHECKPOINTS => self.remove(&path, |report| &mut report.checkpoints),
                OLD_CACHE | KNOWN_WEIGHTS => self.remove(&path, |report| &mut report.caches),
                // With its write-ahead log, shared memory, journal and anchor.
                name if name.strip_prefix(HISTORY).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) => {
                    self.remove(&path, |report| &mut report.history);
                }
                name if is_temporary(name) => {
                    if in_the_making_of(name) == Some(KEY) {
                        self.key(&path);
                    } else {
                        self.remove(&path, |report| &mut report.temporary);
                    }
                }
                _ => self.report.left.push(path),
            }
        }
        self.report.left.sort();
        Ok(())
    }

    /// Removes a file or a folder with all that is in it; links are removed, not followed.
    fn remove(&mut self, path: &Path, part: impl Fn(&mut EraseReport) -> &mut Erased) {
        let Ok(metadata) = fs::symlink_metadata(path) else { return };
        let mut counted = Erased::default();
        let removed = if metadata.is_dir() {
            count(path, &mut counted).and_then(|()| fs::remove_dir_all(path))
        } else {
            counted = Erased { files: 1, bytes: metadata.len() };
            fs::remove_file(path)
        };
        match removed {
            Ok(()) => {
                let part = part(&mut self.report);
                part.files += counted.files;
                part.bytes += counted.bytes;
            }
            Err(cause) => {
                self.failed.get_or_insert(Error::io(path, &cause));
            }
        }
    }
}

/// A file in the making of this profile, left by a process that was killed.
fn is_temporary(name: &str) -> bool {
    in_the_making_of(name).is_some_and(|of| [KEY, HISTORY, ANCHOR, ADAPTERS, CHECKPOINTS, KNOWN_WEIGHTS].contains(&of))
}

/// What imports into this folder left beside it when they were killed.
fn unfinished_imports(folder: &Path) -> Result<Vec<PathBuf>> {
    let parent = parent_of(folder)?;
    let prefix = format!(".{}.partial-", folder.file_name().unwrap_or_default().to_string_lossy());
    let entries = fs::read_dir(parent).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(|cause| Error::io(parent, &cause))?;
    let unfinished = entries.into_iter().filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
    Ok(unfinished.map(|entry| entry.path()).filter(|path| is_profile(path)).collect())
}

/// Adds up the files below a folder.
fn count(folder: &Path, counted: &mut Erased) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            count(&entry.path(), counted)?;
        } else {
            counted.files += 1;
            counted.bytes += metadata.len();
        }
    }
    Ok(())
}
