//! Whether a result can be written where it is to go, found out before the work that makes it.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::disk::staged::parent_of;
use crate::error::{Error, ErrorKind, Result};

/// Checks that a folder can appear at `destination`, the folders above it made where they are missing: by making them.
/// Nothing is left behind.
///
/// # Errors
/// When it cannot, naming `destination`.
pub(crate) fn check_folder(destination: &Path) -> Result<()> {
    let parent = parent_of(destination)?;
    let missing: Vec<&Path> = parent.ancestors().take_while(|&folder| !is_there(folder)).collect();
    let tried = fs::create_dir_all(parent).and_then(|()| try_beside(parent));
    for folder in missing {
        // One that was not made, or that somebody else put something into meanwhile, is left as it is.
        let _ = fs::remove_dir(folder);
    }
    tried.map_err(|cause| refused(destination, &cause))
}

/// Checks that a file can appear at `destination`, in place of one that lies there. Nothing is left behind.
///
/// # Errors
/// When it cannot, naming `destination`.
pub(crate) fn check_file(destination: &Path) -> Result<()> {
    let parent = parent_of(destination)?;
    let tried = match destination.is_dir() {
        true => Err(io::ErrorKind::IsADirectory.into()),
        false => try_beside(parent),
    };
    tried.map_err(|cause| refused(destination, &cause))
}

/// The folder that is there and that a destination will lie in or below.
pub(crate) fn nearest_folder(destination: &Path) -> Result<&Path> {
    let parent = parent_of(destination)?;
    Ok(parent.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new(".")))
}

/// Whether something is at `path`; the path of a name alone ends in an empty one, which stands for where we are.
fn is_there(path: &Path) -> bool {
    path.as_os_str().is_empty() || path.symlink_metadata().is_ok()
}

/// Makes and removes something in `folder`, as every result is made beside its place first.
fn try_beside(folder: &Path) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!(".idiolect-try-{}-{number}", std::process::id()));
    fs::create_dir(&path)?;
    fs::remove_dir(&path)
}

fn refused(destination: &Path, cause: &io::Error) -> Error {
    let message = format!("{}: cannot be written: {cause}", destination.display());
    Error::new(ErrorKind::Io, message).with_hint("choose a place that you may write to")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_written_leaves_nothing_and_what_cannot_is_named() {
        let home = tempfile::tempdir().unwrap();
        let at = |path: &str| home.path().join(path);
        fs::create_dir(at("there")).unwrap();
        fs::write(at("file"), "mine").unwrap();
        type Check = fn(&Path) -> Result<()>;
        for (check, path, possible) in [
            (check_folder as Check, at("new"), true),
            (check_folder, at("deep/er/new"), true),
            (check_folder, at("there/new"), true),
            (check_folder, at("there"), true),
            (check_folder, at("file/new"), false),
            (check_folder, "/proc/new".into(), !cfg!(target_os = "linux")),
            (check_folder, "/proc/deep/new".into(), !cfg!(target_os = "linux")),
            (check_file, at("new"), true),
            (check_file, at("file"), true),
            (check_file, at("there"), false),
            (check_file, at("deep/new"), false),
        ] {
            if !possible || path.starts_with(home.path()) {
                let checked = check(&path);
                assert_eq!(checked.is_ok(), possible, "{}: {checked:?}", path.display());
                if let Err(error) = checked {
                    let named = format!("{}: cannot be written", path.display());
                    assert!(error.message().starts_with(&named) && error.hint().is_some(), "{error}");
                }
            }
        }
        let mut names: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["file", "there"]);
        assert_eq!(fs::read_dir(at("there")).unwrap().count(), 0);
    }
}
