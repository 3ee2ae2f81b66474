//! What processes that were killed left of a profile: files in the making.
//!
//! A process number says little of whether its process is alive: numbers are given again, and other containers have
//! their own. So each kind of file is made under one lock only, and who keeps others from that lock knows that what is in
//! the making has no maker any more: copies of the history and what lies among the checkpoints, under the training lock;
//! the key, under that of the profile's mark; what lies among the adapters, under the registry's (which clears up there).

use std::path::Path;

use super::{CHECKPOINTS, HISTORY, KEY, MARK, TRAINING_LOCK, key_file, lock};
use crate::error::Result;
use crate::format::staged::{remove_if_there, remove_unfinished, unfinished};

/// Removes what trainings, exports and changes of the key left, unless there is one that may still be at it.
pub(super) fn clear(folder: &Path) -> Result<()> {
    if !unfinished(folder, is_key)?.is_empty()
        && let Some(_nobody_makes_one) = lock::look(&folder.join(MARK))?
    {
        clear_of_keys(folder)?;
    }
    let there =
        !unfinished(folder, is_copy)?.is_empty() || !unfinished(&folder.join(CHECKPOINTS), |_| true)?.is_empty();
    if there && let Some(_nobody_trains) = lock::look(&folder.join(TRAINING_LOCK))? {
        clear_of_trainings(folder)?;
    }
    Ok(())
}

/// The same for one who keeps others from the training lock.
pub(super) fn clear_of_trainings(folder: &Path) -> Result<()> {
    remove_unfinished(folder, is_copy)?;
    remove_unfinished(&folder.join(CHECKPOINTS), |_| true)
}

/// Removes keys in the making, for one who keeps others from the mark.
pub(super) fn clear_of_keys(folder: &Path) -> Result<()> {
    for path in unfinished(folder, is_key)? {
        // It may be a key in plain; that it cannot be overwritten keeps nobody from removing it.
        let _ = key_file::overwrite(&path);
        remove_if_there(&path)?;
    }
    Ok(())
}

fn is_key(name: &str) -> bool {
    name == KEY
}

fn is_copy(name: &str) -> bool {
    name == HISTORY
}
