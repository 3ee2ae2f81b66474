//! What processes that were killed left of a profile: files in the making, and checkpoints that may know what was removed.
//!
//! A process number says little of whether its process is alive: numbers are given again, and other containers have
//! their own. So each kind of file is made under one lock only, and who keeps others from that lock knows that what is in
//! the making has no maker any more: copies of the history and what lies among the checkpoints, under the training lock;
//! the key and what is known of models, under that of the profile's mark; what lies among the adapters, under the registry's, and the history's anchor,
//! under the database's (which clear up there).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{CHECKPOINTS, HISTORY, KEY, LAST_TRAINING, MARK, SELECTION, TIMESHEET, TRAINING_LOCK, key_file};
use crate::disk::lock;
use crate::disk::staged::{in_the_making_of, remove_if_there, unfinished};
use crate::error::{Error, Result};
use crate::format::known_weights::KNOWN_WEIGHTS;
use crate::history::History;
use crate::trace::{self, Event};

/// Drops what a training under way has come to where somebody asked for a removal and was killed before it was dropped:
/// as the removal would have done, whoever trains.
pub(super) fn follow_removals(folder: &Path, history: &History) -> Result<()> {
    let removals = history.removals()?;
    if history.followed_removals()? != removals {
        remove(&progress(folder)?)?;
        history.note_followed(removals)?;
    }
    Ok(())
}

/// Removes what trainings, exports and changes of the key left, unless there is one that may still be at it.
pub(super) fn clear(folder: &Path) -> Result<()> {
    if !unfinished(folder, is_under_mark)?.is_empty()
        && let Some(_nobody_makes_one) = lock::look(&folder.join(MARK))?
    {
        clear_under_mark(folder)?;
    }
    let there = !unfinished(folder, is_copy)?.is_empty()
        || !unfinished(&folder.join(CHECKPOINTS), |_| true)?.is_empty()
        || !useless(folder)?.is_empty();
    if there && let Some(_nobody_trains) = lock::look(&folder.join(TRAINING_LOCK))? {
        clear_of_trainings(folder)?;
        remove(&useless(folder)?)?;
    }
    Ok(())
}

/// The same for one who keeps others from the training lock.
pub(super) fn clear_of_trainings(folder: &Path) -> Result<()> {
    remove(&unfinished(folder, is_copy)?)?;
    remove(&unfinished(&folder.join(CHECKPOINTS), |_| true)?)
}

/// Removes what is in the making under the mark, for one who keeps others from it.
pub(super) fn clear_under_mark(folder: &Path) -> Result<()> {
    let found = unfinished(folder, is_under_mark)?;
    for path in &found {
        // It may be a key in plain; that it cannot be overwritten keeps nobody from removing it.
        let _ = key_file::overwrite(path);
    }
    remove(&found)
}

fn remove(found: &[PathBuf]) -> Result<()> {
    found.iter().try_for_each(|path| remove_if_there(path))?;
    if !found.is_empty() {
        trace::tell(Event::LeftoversCleared { files: found.len() });
    }
    Ok(())
}

fn is_under_mark(name: &str) -> bool {
    [KEY, KNOWN_WEIGHTS].contains(&name)
}

/// Checkpoints without a selection: of a training that was killed after a removal had taken both, and it had gone on.
fn useless(folder: &Path) -> Result<Vec<PathBuf>> {
    let progress = progress(folder)?;
    let of_use = progress.iter().any(|path| path.ends_with(SELECTION));
    Ok(if of_use { Vec::new() } else { progress })
}

/// What a training under way has come to: all that lies whole among the checkpoints, but for what the last one came to and
/// the timesheet.
fn progress(folder: &Path) -> Result<Vec<PathBuf>> {
    let folder = folder.join(CHECKPOINTS);
    let entries = match fs::read_dir(&folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.and_then(Iterator::collect::<io::Result<Vec<_>>>),
    };
    let entries = entries.map_err(|cause| Error::io(&folder, &cause))?;
    let is_progress = |name: &str| ![LAST_TRAINING, TIMESHEET].contains(&name) && in_the_making_of(name).is_none();
    let found = entries.into_iter().filter(|entry| is_progress(&entry.file_name().to_string_lossy()));
    Ok(found.map(|entry| entry.path()).collect())
}

fn is_copy(name: &str) -> bool {
    name == HISTORY
}
