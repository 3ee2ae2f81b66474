//! Locks between processes and within one, which end with the process that holds them.
//!
//! A lock is an exclusive transaction on an empty database file. SQLite's locks hold between processes and between two
//! parts of one process alike, on every system that it runs on; the standard library's do not exist on Android yet.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::staged::private_file;
use crate::error::{Error, ErrorKind, Result};

/// How long [`wait`] waits for another process.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long who wants a lock at once waits for those who only look: they are quick.
pub(crate) const LOOKS: Duration = Duration::from_secs(1);

/// A lock that is held until it is dropped.
pub(crate) struct FileLock {
    _connection: Connection,
}

/// The lock on the file `path`, made if there is none; nothing when another holds it still after `patience`.
pub(crate) fn take(path: &Path, patience: Duration) -> Result<Option<FileLock>> {
    begin(path, patience, "BEGIN EXCLUSIVE")
}

/// A look at whether somebody holds the lock on the file `path`: nothing where it is so. Nobody takes it before the look
/// is dropped; any number may look at once.
pub(crate) fn look(path: &Path) -> Result<Option<FileLock>> {
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
