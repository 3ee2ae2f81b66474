//! What processes that were killed left of a profile: files in the making.
//!
//! A process number says little of whether its process is alive: numbers are given again, and other containers have
//! their own. So each kind of file is made under one lock only, and who keeps others from that lock knows that what is in
//! the making has no maker any more: copies of the history and what lies among the checkpoints, under the training lock;
//! the key, under that of the profile's mark; what lies among the adapters, under the registry's, and the history's anchor,
//! under the database's (which clear up there).

use std::path::Path;

use super::{CHECKPOINTS, HISTORY, KEY, TRAINING_LOCK, lock};
use crate::error::Result;
use crate::format::staged::{remove_unfinished, unfinished};

/// Removes what trainings and exports left, unless there is one that may still be at it.
pub(super) fn clear(folder: &Path) -> Result<()> {
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

/// Removes keys in the making, for one who holds the mark.
pub(super) fn clear_of_keys(folder: &Path) -> Result<()> {
    remove_unfinished(folder, |name| name == KEY)
}

fn is_copy(name: &str) -> bool {
    name == HISTORY
}
