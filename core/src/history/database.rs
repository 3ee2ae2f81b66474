//! The connection to SQLite: how it is opened, and what its errors mean.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::disk::door::suspended;
use crate::disk::staged::private_file;
use crate::error::{Error, ErrorKind};

/// How long a call waits for another process to finish its writing.
pub(super) const BUSY: Duration = Duration::from_secs(10);

/// What can go wrong inside a transaction; [`Fault::at`] names the file.
#[derive(Debug)]
pub(super) enum Fault {
    Sql(rusqlite::Error),
    /// A record that does not open, or is not what it should be.
    Record(i64),
    /// Records, or the whole database, are not as this library left them.
    PutBack,
    Other(Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Sql(cause)
    }
}

impl From<Error> for Fault {
    fn from(cause: Error) -> Self {
        Self::Other(cause)
    }
}

impl Fault {
    /// The public error. SQLite's own messages name tables and columns, never values.
    pub fn at(self, path: &Path) -> Error {
        let name = path.display();
        let cause = match self {
            Self::Other(error) => return error,
            Self::Record(id) => {
                return Error::bad_file(path, &format!("record {id}"), "damaged, or put there from another place");
            }
            Self::PutBack => {
                let message = format!("{name}: older than it was, or records were put back or taken away");
                return Error::new(ErrorKind::PutBack, message).with_hint(
                    "if you put a backup back, accept it as it is; else something else changes the profile",
                );
            }
            Self::Sql(cause) => cause,
        };
        let io = |what: &str| Error::new(ErrorKind::Io, format!("{name}: {what}"));
        match cause.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => {
                io("no room is left on the disk").with_hint("free some space; nothing was lost, and nothing changed")
            }
            Some(ErrorCode::ReadOnly) => io("the file or its folder is read-only"),
            Some(ErrorCode::CannotOpen) => {
                io("cannot be opened for writing").with_hint("check that its folder exists and may be written")
            }
            Some(ErrorCode::PermissionDenied) => io("access is denied"),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                io("another process has been writing to it for too long").with_hint("try again")
            }
            Some(ErrorCode::OperationInterrupted) => suspended(),
            Some(ErrorCode::SystemIoFailure) => io(&format!("reading or writing failed ({cause})")),
            Some(ErrorCode::NotADatabase) => Error::bad_file(path, "header", "not a database"),
            Some(ErrorCode::DatabaseCorrupt) => Error::bad_file(path, "content", "damaged"),
            Some(_) => Error::new(ErrorKind::Io, format!("{name}: {cause}")),
            // A value of another type than the schema's, or none where one must be.
            None => Error::bad_file(path, "content", format!("unexpected ({cause})")),
        }
    }
}

/// What tells a file from another of its name.
pub(super) type FileIdentity = (u64, u64);

/// The identity of the file that has the name now.
#[cfg(unix)]
pub(super) fn identity(path: &Path) -> io::Result<FileIdentity> {
    use std::os::unix::fs::MetadataExt;

    path.metadata().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// The identity of the file that has the name now: elsewhere an open file keeps its name.
#[cfg(not(unix))]
pub(super) fn identity(path: &Path) -> io::Result<FileIdentity> {
    path.metadata().map(|_| (0, 0))
}

/// Opens a database file, made if there is none, readable by its owner only.
pub(super) fn connect(path: &Path) -> Result<Connection, Fault> {
    match private_file(path) {
        Ok(_) => {}
        // An existing file is left to SQLite alone: closing any other handle on it would drop this process's locks.
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
        Err(cause) => return Err(Error::io(path, &cause).into()),
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(48);
    Ok(connection)
}

/// Settings of every connection. Acknowledged transactions survive a power loss (`FULL`, and `fullfsync` where fsync alone
/// does not reach the disk), deleted content is overwritten, and memory stays small.
pub(super) fn configure(connection: &Connection, path: &Path) -> Result<(), Fault> {
    let journal = write_ahead(connection)?;
    if journal != "wal" {
        let message =
            format!("{}: its file system has no shared memory, which a write-ahead log needs", path.display());
        return Err(Error::new(ErrorKind::Unsupported, message).into());
    }
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA fullfsync = ON;
         PRAGMA checkpoint_fullfsync = ON;
         PRAGMA secure_delete = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -4000;
         PRAGMA trusted_schema = OFF;",
    )?;
    Ok(())
}

/// Turns the write-ahead log on; the mode that it is in then. Of several processes that open a new database at once,
/// SQLite lets one do so and sends the others away without waiting, lest they wait for each other.
fn write_ahead(connection: &Connection) -> Result<String, Fault> {
    let begun = Instant::now();
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)) {
            Err(cause) if cause.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && begun.elapsed() < BUSY => {
                std::thread::sleep(Duration::from_millis(10));
            }
            journal => return Ok(journal?),
        }
    }
}
