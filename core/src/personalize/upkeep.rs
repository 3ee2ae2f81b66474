//! What is asked of a profile's trainings without training.

use super::checkpoint::Checkpoints;
use super::course::forget_progress;
use super::records::Records;
use super::report::LearnReport;
use crate::error::Result;
use crate::history::{Removed, Selection};
use crate::profile::Profile;
use crate::registry::Registry;

/// Removes from the history, and with it all that a training under way has kept of it; adapter versions that learned from
/// what was removed are marked.
///
/// # Errors
/// When the disk refuses.
pub fn remove_from_history(profile: &Profile, selection: &Selection) -> Result<Removed> {
    let removed = profile.history().remove(selection)?;
    forget_progress(&profile.checkpoints()?, profile.key())?;
    let touched = profile.history().versions_touched_by_removed()?;
    let versions: Vec<u32> = touched.iter().filter_map(|learned| learned.version.parse().ok()).collect();
    Registry::open(&profile.adapters()?, profile.key())?.mark_learned_from_removed(&versions)?;
    Ok(removed)
}

/// The report of the last training that came to its end.
///
/// # Errors
/// When it cannot be read.
pub fn last_report(profile: &Profile) -> Result<Option<LearnReport>> {
    Ok(Records::open(&profile.checkpoints()?, profile.key())?.last()?.map(|last| last.report))
}

/// Whether a training left a checkpoint to go on from.
///
/// # Errors
/// When the folder cannot be read.
pub fn is_paused(profile: &Profile) -> Result<bool> {
    Ok(Checkpoints::open(&profile.checkpoints()?, profile.key())?.exist())
}
