//! Files and folders that appear whole or not at all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, ErrorKind, Result};

/// A folder in the making, beside its destination; removed again unless it is published.
#[derive(Debug)]
pub(crate) struct StagedFolder {
    staging: PathBuf,
    destination: PathBuf,
}

impl StagedFolder {
    /// Begins a folder that will appear at `destination`, and that only its owner can enter.
    pub fn begin(destination: &Path) -> Result<Self> {
        let parent = parent_of(destination)?;
        fs::create_dir_all(parent).map_err(|cause| Error::io(parent, &cause))?;
        finish_replacing(destination)?;
        let staging = beside(destination, PARTIAL);
        private_folder(&staging).map_err(|cause| Error::io(&staging, &cause))?;
        Ok(Self { staging, destination: destination.to_owned() })
    }

    /// Where a file is written meanwhile.
    pub fn file(&self, name: &str) -> PathBuf {
        self.staging.join(name)
    }

    /// The folder meanwhile.
    pub fn path(&self) -> &Path {
        &self.staging
    }

    /// Writes a whole file.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.file(name);
        fs::write(&path, bytes).map_err(|cause| Error::io(&path, &cause))
    }

    /// Copies a whole file.
    pub fn copy(&self, source: &Path, name: &str) -> Result<()> {
        // Byte by byte, not with the permissions of a source that may be read-only.
        let mut from = File::open(source).map_err(|cause| Error::io(source, &cause))?;
        let path = self.file(name);
        let copied = File::create_new(&path).and_then(|mut to| io::copy(&mut from, &mut to));
        copied.map(drop).map_err(|cause| Error::io(&path, &cause))
    }

    /// Moves a whole file in.
    pub fn take(&self, source: &Path, name: &str) -> Result<()> {
        take_file(source, &self.file(name))
    }

    /// Makes every file durable and the folder appear. An empty folder in its place goes; so does one that holds `replaceable`, a file that
    /// marks what may be replaced.
    pub fn publish(self, replaceable: Option<&str>) -> Result<()> {
        for entry in fs::read_dir(&self.staging).map_err(|cause| Error::io(&self.staging, &cause))? {
            let path = entry.map_err(|cause| Error::io(&self.staging, &cause))?.path();
            File::open(&path).and_then(|file| file.sync_all()).map_err(|cause| Error::io(&path, &cause))?;
        }
        sync_folder(&self.staging)?;
        let destination = &self.destination;
        let io = |cause| Error::io(destination, &cause);
        let old = match replaceable {
            Some(mark) if destination.join(mark).is_file() => {
                // From here on, whoever looks at the destination may do the rest: see `finish_replacing`.
                let aside = counterpart(&self.staging, PARTIAL, OLD);
                fs::rename(destination, &aside).map_err(io)?;
                Some(aside)
            }
            _ => {
                refuse_occupied(destination)?;
                None
            }
        };
        if let Err(cause) = put(&self.staging, destination) {
            if let Some(aside) = old {
                // The old folder back in its place; the first error is the one to tell.
                let _ = fs::rename(aside, destination);
            }
            return Err(io(cause));
        }
        sync_folder(parent_of(destination)?)?;
        old.map_or(Ok(()), |aside| remove_if_there(&aside))
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        // Gone already once it was published; nothing can be done about another failure.
        let _ = fs::remove_dir_all(&self.staging);
    }
}

/// Finishes what a process began that was killed while it replaced a folder: where the old one is set aside, the new one
/// is whole, and takes its place; without it, the old one comes back. For all who look at `destination`.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn finish_replacing(destination: &Path) -> Result<()> {
    let io = |cause| Error::io(destination, &cause);
    let parent = parent_of(destination)?;
    // What cannot be listed is left as it is: who misses something there says so.
    let Ok(entries) = fs::read_dir(parent) else { return Ok(()) };
    let name = destination.file_name().unwrap_or_default().to_string_lossy();
    for entry in entries {
        let entry = entry.map_err(io)?;
        if parts(&entry.file_name().to_string_lossy()) != Some((&name, OLD)) {
            continue;
        }
        let aside = entry.path();
        let new = counterpart(&aside, OLD, PARTIAL);
        if !is_there(destination) {
            match put(if is_there(&new) { &new } else { &aside }, destination) {
                Err(cause) if !is_there(destination) => return Err(io(cause)),
                _ => sync_folder(parent)?,
            }
        }
        remove_if_there(&aside)?;
    }
    Ok(())
}

/// Puts what was made into its place, unless another process that looked has done so.
fn put(made: &Path, destination: &Path) -> io::Result<()> {
    match fs::rename(made, destination) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound && !is_there(made) => Ok(()),
        put => put,
    }
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// A file that appears whole or not at all, in place of one that lies there; `write` makes it at the path it is given.
/// Durable on return: fsync, rename, fsync of the folder.
pub(crate) fn whole_file(destination: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let parent = parent_of(destination)?;
    let staging = beside(destination, PARTIAL);
    let io = |cause| Error::io(destination, &cause);
    let written = write(&staging)
        // The content before the name: else a power loss could leave the new name with nothing behind it.
        .and_then(|()| File::open(&staging).and_then(|file| file.sync_all()).map_err(io))
        .and_then(|()| fs::rename(&staging, destination).map_err(io));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&staging);
    }
    written.and_then(|()| sync_folder(parent))
}

/// A new file that only its owner can read and write.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A new file for reading and writing that no name leads to: it is gone once it is closed.
#[cfg(unix)]
pub(crate) fn nameless_file(folder: &Path) -> io::Result<File> {
    let path = beside(&folder.join("nameless"), PARTIAL);
    let mut options = File::options();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// A new folder that only its owner can enter.
fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Moves a whole file to a new place, on another file system too.
pub(crate) fn take_file(source: &Path, place: &Path) -> Result<()> {
    let moved = match fs::rename(source, place) {
        Err(cause) if cause.kind() == io::ErrorKind::CrossesDevices => {
            let copied = File::open(source).and_then(|mut from| io::copy(&mut from, &mut private_file(place)?));
            copied.and_then(|_| fs::remove_file(source))
        }
        moved => moved,
    };
    moved.map_err(|cause| Error::io(place, &cause))
}

/// Refuses a destination that holds something.
pub(crate) fn refuse_occupied(destination: &Path) -> Result<()> {
    finish_replacing(destination)?;
    let occupied = match fs::read_dir(destination) {
        Ok(mut entries) => entries.next().is_some(),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => false,
        Err(_) => true,
    };
    if occupied {
        let message = format!("{}: already there, and not empty", destination.display());
        return Err(Error::new(ErrorKind::Io, message).with_hint("choose another place, or remove it first"));
    }
    Ok(())
}

/// The folder that `path` lies in.
pub(crate) fn parent_of(path: &Path) -> Result<&Path> {
    match path.parent() {
        _ if path.file_name().is_none() => Err(Error::bad_file(path, "path", "has no name of its own")),
        Some(parent) if parent != Path::new("") => Ok(parent),
        _ => Ok(Path::new(".")),
    }
}

/// In the hidden name of what is in the making.
const PARTIAL: &str = ".partial-";
/// In the hidden name of what was set aside for it; the rest of the name is the same.
const OLD: &str = ".old-";

/// The hidden name with another purpose.
fn counterpart(path: &Path, purpose: &str, other: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (of, number) = name.rsplit_once(purpose).unwrap_or((&name, ""));
    path.with_file_name(format!("{of}{other}{number}"))
}

/// A hidden name beside `path` that nothing else uses.
fn beside(path: &Path, purpose: &str) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}{purpose}{}-{time:x}-{number}", std::process::id()))
}

/// What a hidden name that [`StagedFolder`] or [`whole_file`] gave is in the making of.
pub(crate) fn in_the_making_of(name: &str) -> Option<&str> {
    parts(name).map(|(of, _)| of)
}

/// What a hidden name is in the making of, and its purpose.
fn parts(name: &str) -> Option<(&str, &'static str)> {
    let name = name.strip_prefix('.')?;
    let purposes = [PARTIAL, OLD].into_iter().filter_map(|purpose| Some((name.rfind(purpose)?, purpose)));
    purposes.max().map(|(at, purpose)| (&name[..at], purpose))
}

/// What lies in `folder` in the making of something whose name `of` accepts.
pub(crate) fn unfinished(folder: &Path, of: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.and_then(Iterator::collect::<io::Result<Vec<_>>>),
    };
    let entries = entries.map_err(|cause| Error::io(folder, &cause))?;
    let unfinished = |name: &str| in_the_making_of(name).is_some_and(&of);
    let entries = entries.into_iter().filter(|entry| unfinished(&entry.file_name().to_string_lossy()));
    Ok(entries.map(|entry| entry.path()).collect())
}

/// Removes what [`unfinished`] finds: only where nobody can be making any of it, under a lock that makers hold.
pub(crate) fn remove_unfinished(folder: &Path, of: impl Fn(&str) -> bool) -> Result<()> {
    unfinished(folder, of)?.iter().try_for_each(|path| remove_if_there(path))
}

/// Removes a file, or a folder with what is in it, unless another was faster.
pub(crate) fn remove_if_there(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(cause) => Err(cause),
    };
    match removed {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(Error::io(path, &cause)),
        _ => Ok(()),
    }
}

/// Makes renames within a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|cause| Error::io(folder, &cause))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
