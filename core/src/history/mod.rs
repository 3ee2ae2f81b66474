//! What the person wrote: a sealed store that several processes share.
//!
//! It is one SQLite database in write-ahead mode. A *sample* is a distinct text (with what it answered), an *occurrence*
//! each time that it was written: exact repeats are counted, not stored again. Texts, contexts, contacts, conversations,
//! names of sources and the app's ids are sealed record by record ([`crate::seal`]); everything is looked up by keyed
//! hashes. In plain view lie times, counts, and which hashes are equal. A message is known again by the app's id, or by
//! what it says, where and when: what a file or a chat holds counts once, however often it is added.
//!
//! What was removed is gone from every file of the store once the write-ahead log is cut, which happens at once unless
//! another process is reading ([`Removed::pending`]).

mod add;
mod database;
mod exclusions;
mod file;
mod identity;
mod learnable;
mod ledger;
mod near;
mod read;
mod records;
mod remove;
mod retention;
mod row;
mod sample;
mod schema;
mod settings;
mod split;
#[cfg(test)]
mod tests;
mod unit;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use exclusions::Exclusion;
pub use file::{Rows, Skipped, SkippedRow, read_every_line, read_jsonl, read_lines};
pub use learnable::Learnable;
pub use ledger::LearnedVersion;
pub use read::{SourceTally, Stats, Tally};
pub use remove::{Removed, Selection};
pub use retention::Retention;
pub use sample::{Added, ClusterId, LearnableSample, NewSample, Origin, SampleId, Split, StoredSample};

use crate::error::{Error, ErrorKind, Result};
use crate::format::staged::private_file;
use crate::profile::erased;
use crate::seal::{Key, KeyedHash, Purpose, RecordCipher};
use database::{Fault, FileIdentity};
use near::Shingler;

/// The history of one person. Any number of threads may share one, and any number of processes may open the same file.
pub struct History {
    path: PathBuf,
    file: FileIdentity,
    /// None once the profile is erased.
    connection: Mutex<Option<Connection>>,
    secrets: Secrets,
    /// Whether this process left the write-ahead log uncut after a removal.
    pending: AtomicBool,
}

/// What the key is turned into.
#[derive(Clone)]
struct Secrets {
    cipher: RecordCipher,
    hash: KeyedHash,
    shingler: Shingler,
}

impl Secrets {
    fn new(key: &Key) -> Result<Self> {
        let hash = KeyedHash::new(key, Purpose::HistoryHashes)?;
        let cipher = RecordCipher::new(key, Purpose::HistoryRecords);
        Ok(Self { cipher, shingler: Shingler::new(hash.clone()), hash })
    }
}

impl History {
    /// Opens the history in the file `path`, or makes an empty one under `key`. A database of an earlier version is
    /// brought up to date.
    ///
    /// # Errors
    /// `WrongKey` when it was made under another key; `BadFile` when the file is no history or is damaged; `Unsupported`
    /// when a newer version of this library wrote it; `Io` when it cannot be read or written, or its folder is missing.
    pub fn open(path: &Path, key: &Key) -> Result<Self> {
        let secrets = Secrets::new(key)?;
        let mut connection = database::connect(path).map_err(|fault| fault.at(path))?;
        prepare(&mut connection, path, &secrets).map_err(|fault| fault.at(path))?;
        let pending = settings::number(&connection, settings::TRUNCATION_PENDING);
        let pending = pending.map_err(|cause| Fault::from(cause).at(path))?.unwrap_or(0) != 0;
        let history = Self {
            path: path.to_owned(),
            file: database::identity(path).map_err(|cause| Error::io(path, &cause))?,
            connection: Mutex::new(Some(connection)),
            secrets,
            pending: AtomicBool::new(pending),
        };
        history.retry_truncation();
        Ok(history)
    }

    /// The file that it lies in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A number that rises with every change of the samples.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn revision(&self) -> Result<u64> {
        self.read(|connection| Ok(settings::number(connection, settings::REVISION)?.unwrap_or(0).cast_unsigned()))
    }

    /// A number that rises with every removal that somebody asked for, and not with what the retention cap takes.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn removals(&self) -> Result<u64> {
        self.read(|connection| Ok(settings::number(connection, settings::REMOVALS)?.unwrap_or(0).cast_unsigned()))
    }

    /// Writes a copy without the write-ahead log to a new file, readable by its owner only: what a backup takes. It is
    /// sealed like the original.
    ///
    /// # Errors
    /// When `path` exists or cannot be written.
    pub fn copy_to(&self, path: &Path) -> Result<()> {
        let name = path.to_str().ok_or_else(|| Error::bad_file(path, "path", "not valid Unicode"))?;
        self.read(|connection| {
            // SQLite takes an empty file as it is, with its permissions.
            private_file(path).map_err(|cause| Error::io(path, &cause))?;
            connection.execute("VACUUM INTO ?1", [name]).inspect_err(|_| {
                // It was made here; what stays after all is sealed.
                let _ = fs::remove_file(path);
            })?;
            Ok(())
        })
    }

    /// Closes the database, once a call under way on another thread has ended; later ones are refused.
    pub(crate) fn close(&self) {
        drop(self.lock().take());
    }

    fn lock(&self) -> MutexGuard<'_, Option<Connection>> {
        // A panic elsewhere leaves no transaction behind: they roll back when dropped.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T> {
        let held = self.lock();
        let connection = held.as_ref().ok_or_else(erased)?;
        self.check_in_place()?;
        work(connection).map_err(|fault| fault.at(&self.path))
    }

    /// Runs `work` in a transaction that no other process writes beside; all of it is durable on return, or nothing.
    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Result<T> {
        let mut held = self.lock();
        let done = write(held.as_mut().ok_or_else(erased)?, work).map_err(|fault| fault.at(&self.path))?;
        // After the commit: what is acknowledged was in the file while it had its name.
        self.check_in_place()?;
        Ok(done)
    }

    /// Refuses a file that another process has erased: it is open here still, and in nobody's reach.
    fn check_in_place(&self) -> Result<()> {
        if database::identity(&self.path).is_ok_and(|found| found == self.file) { Ok(()) } else { Err(erased()) }
    }

    /// Cuts the write-ahead log if an earlier removal could not.
    fn retry_truncation(&self) {
        if self.pending.load(Ordering::Relaxed) {
            self.truncate_log();
        }
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").field("path", &self.path).finish_non_exhaustive()
    }
}

fn write<T>(connection: &mut Connection, work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let result = work(&transaction)?;
    transaction.commit()?;
    Ok(result)
}

/// The schema's version, read in one transaction: another process may be making the tables.
fn version(connection: &Connection, path: &Path) -> Result<usize, Fault> {
    schema::version(&*connection.unchecked_transaction()?, path)
}

/// Brings the tables up to date and holds the key against the database's.
fn prepare(connection: &mut Connection, path: &Path, secrets: &Secrets) -> Result<(), Fault> {
    // A foreign or newer database is refused before anything in it changes.
    version(connection, path)?;
    database::configure(connection, path)?;
    if version(connection, path)? < schema::VERSION {
        write(connection, |transaction| {
            // Another process may have been faster.
            let version = schema::version(transaction, path)?;
            schema::migrate(transaction, version, schema::VERSION)?;
            if settings::number(transaction, settings::KEY_CHECK)?.is_none() {
                let record = records::append(transaction, &secrets.cipher, &settings::KEY_CHECK)?;
                settings::set(transaction, settings::KEY_CHECK, record)?;
            }
            Ok(())
        })?;
    }
    let check = settings::number(connection, settings::KEY_CHECK)?
        .ok_or_else(|| Error::bad_file(path, settings::KEY_CHECK, "missing"))?;
    match records::open::<String>(connection, &secrets.cipher, check) {
        Err(Fault::Record(_)) => {
            let message = format!("{}: this is not the key that the history was made with", path.display());
            Err(Error::new(ErrorKind::WrongKey, message).with_hint("open it with the key that it was made with").into())
        }
        checked => checked.map(drop),
    }
}
