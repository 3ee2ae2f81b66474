//! What is asked of a profile's trainings without training.

use super::checkpoint::Checkpoints;
use super::course::forget_progress;
use super::records::Records;
use super::report::LearnReport;
use crate::error::Result;
use crate::history::{History, Removed, Selection};
use crate::profile::Profile;

/// Removes from the history, and with it all that a training under way has kept of it; adapter versions that learned from
/// what was removed are marked.
///
/// # Errors
/// When the disk refuses.
pub fn remove_from_history(profile: &Profile, selection: &Selection) -> Result<Removed> {
    forget_removed(profile, |history| history.remove(selection))
}

/// The same for the whole history. Exclusions, the retention cap and the ledger stay.
///
/// # Errors
/// When the disk refuses.
pub fn clear_history(profile: &Profile) -> Result<Removed> {
    forget_removed(profile, History::clear)
}

fn forget_removed(profile: &Profile, remove: impl FnOnce(&History) -> Result<Removed>) -> Result<Removed> {
    let _inside = profile.enter()?;
    let history = profile.history();
    let mut removed = remove(history)?;
    if removed.messages > 0 {
        // Before the checkpoints: of a removal that comes after this look, somebody else sees to what follows.
        let removals = history.removals()?;
        removed.checkpoint_dropped = forget_progress(&profile.checkpoints()?, profile.key())?;
        history.note_followed(removals)?;
        profile.clear_leftovers()?;
    }
    // Opened anew, it marks what learned from what was removed, by this removal or one that was killed.
    profile.registry()?;
    Ok(removed)
}

/// Deletes an adapter version, and with it what the history's ledger has of it; where it was in use, the base alone is.
///
/// # Errors
/// When there is no such version, or the disk refuses.
pub fn delete_adapter(profile: &Profile, version: u32) -> Result<()> {
    let _inside = profile.enter()?;
    profile.registry()?.delete(version)?;
    profile.history().forget_version(version).map(drop)
}

/// The report of the last training that came to its end.
///
/// # Errors
/// When it cannot be read.
pub fn last_report(profile: &Profile) -> Result<Option<LearnReport>> {
    let _inside = profile.enter()?;
    Ok(Records::open(&profile.checkpoints()?, profile.key())?.last()?.map(|last| last.report))
}

/// Whether a training left a checkpoint to go on from.
///
/// # Errors
/// When the folder cannot be read.
pub fn is_paused(profile: &Profile) -> Result<bool> {
    let _inside = profile.enter()?;
    Ok(Checkpoints::open(&profile.checkpoints()?, profile.key())?.exist())
}
