//! Locks between processes and within one, which end with the process that holds them.
//!
//! A lock is an exclusive transaction on an empty database file. SQLite's locks hold between processes and between two
//! parts of one process alike, on every system that it runs on; the standard library's do not exist on Android yet.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{TRAINING_LOCK, leftovers};
use crate::error::{Error, ErrorKind, Result};
use crate::format::staged::private_file;

/// How long the making of a profile waits for another process that makes it.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long who wants the training lock waits for those who only look: they are quick.
pub(super) const LOOKS: Duration = Duration::from_secs(1);

/// A lock that is held until it is dropped.
pub(crate) struct FileLock {
    _connection: Connection,
}

/// The lock on the file `path`, made if there is none; nothing when another holds it still after `patience`.
pub(super) fn take(path: &Path, patience: Duration) -> Result<Option<FileLock>> {
    begin(path, patience, "BEGIN EXCLUSIVE")
}

/// A look at whether somebody holds the lock on the file `path`: nothing where it is so. Nobody takes it before the look
/// is dropped; any number may look at once.
pub(super) fn look(path: &Path) -> Result<Option<FileLock>> {
    begin(path, Duration::ZERO, "BEGIN; SELECT count(*) FROM sqlite_schema")
}

fn begin(path: &Path, patience: Duration, transaction: &str) -> Result<Option<FileLock>> {
    match private_file(path) {
        Ok(_) => {}
        Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(cause) => return Err(Error::io(path, &cause)),
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let locked = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(patience)?;
        // Nothing is written, so nothing needs a journal, which would be a file beside it.
        connection.execute_batch(&format!("PRAGMA journal_mode = OFF; {transaction}"))?;
        Ok(connection)
    });
    match locked {
        Ok(connection) => Ok(Some(FileLock { _connection: connection })),
        Err(cause) if cause.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(None),
        Err(cause) => Err(Error::new(ErrorKind::Io, format!("{}: cannot be locked ({cause})", path.display()))),
    }
}

/// The lock on the file `path`, waited for.
pub(crate) fn wait(path: &Path) -> Result<FileLock> {
    take(path, PATIENCE)?.ok_or_else(|| {
        Error::new(ErrorKind::Io, format!("{}: another process holds it for too long", path.display()))
            .with_hint("try again")
    })
}

/// The right to train on a profile. It ends when this is dropped, or with the process, however that ends.
pub struct TrainingLock {
    _lock: FileLock,
}

impl TrainingLock {
    pub(super) fn take(folder: &Path) -> Result<Self> {
        match take(&folder.join(TRAINING_LOCK), LOOKS)? {
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
