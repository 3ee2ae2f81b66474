//! The right to train on a profile.

use std::fmt;
use std::path::Path;

use super::{TRAINING_LOCK, leftovers};
use crate::disk::lock::{self, FileLock};
use crate::error::{Error, ErrorKind, Result};

/// The right to train on a profile. It ends when this is dropped, or with the process, however that ends.
pub struct TrainingLock {
    _lock: FileLock,
}

impl TrainingLock {
    pub(super) fn take(folder: &Path) -> Result<Self> {
        match lock::take(&folder.join(TRAINING_LOCK), lock::LOOKS)? {
            Some(lock) => {
                leftovers::clear_of_trainings(folder)?;
                Ok(Self { _lock: lock })
            }
            None => {
                let message = format!("{}: a training is running on this profile", folder.display());
                Err(Error::new(ErrorKind::TrainingBusy, message).with_hint("wait for it, or cancel it"))
            }
        }
    }
}

impl fmt::Debug for TrainingLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrainingLock")
    }
}
