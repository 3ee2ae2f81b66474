//! What the person wrote: a sealed store that several processes share.
//!
//! It is one SQLite database in write-ahead mode. A *sample* is a distinct text (with what it answered), an *occurrence*
//! each time that it was written: exact repeats are counted, not stored again. Texts, contexts, contacts, conversations,
//! names of sources and the app's ids are sealed record by record ([`crate::seal`]); everything is looked up by keyed
//! hashes. In plain view lie times, counts, which hashes are equal, and what else ARCHITECTURE.md lists. A message is known
//! again by the app's id, or by what it says, where and when: what a file or a chat holds counts once, however often it is
//! added. Another text under the app's id replaces the old one.
//!
//! What was removed is gone from every file of the store once the write-ahead log is cut, which happens at once unless
//! another process is reading ([`Removed::pending`]).

mod add;
mod database;
mod edit;
mod exclusions;
mod file;
mod generation;
mod identity;
mod learnable;
mod ledger;
mod near;
mod origin;
mod read;
mod records;
mod remove;
mod reseal;
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
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use rusqlite::{Connection, InterruptHandle, Transaction, TransactionBehavior};

pub use exclusions::Exclusion;
pub use file::{Rows, Skipped, SkippedRow, read_every_line, read_jsonl, read_lines};
pub(crate) use generation::anchor_anew;
pub use learnable::Learnable;
pub use ledger::LearnedVersion;
pub use origin::Origin;
pub use read::{SourceTally, Stats, Tally};
pub use remove::{Removed, Selection};
pub use retention::Retention;
pub use sample::{Added, ClusterId, LearnableSample, NewSample, SampleId, Split, StoredSample};

use crate::disk::door::{erased, suspended};
use crate::disk::staged::private_file;
use crate::error::{Error, ErrorKind, Result};
use crate::seal::{Key, KeyedHash, Purpose, RecordCipher};
use database::{Fault, FileIdentity};
use generation::Anchor;
use near::Shingler;
use records::Place;

/// The history of one person. Any number of threads may share one, and any number of processes may open the same file.
pub struct History {
    path: PathBuf,
    file: FileIdentity,
    link: Mutex<Link>,
    /// Ends what the connection is doing.
    interrupt: Mutex<InterruptHandle>,
    secrets: Secrets,
    key: Key,
    /// The generation that the anchor is at, as far as this process knows.
    anchored: AtomicI64,
    /// Whether the records were looked at as a whole.
    verified: AtomicBool,
    /// Whether this process left the write-ahead log uncut after a removal.
    pending: AtomicBool,
}

/// The way to the database.
enum Link {
    Open(Connection),
    /// Closed until [`History::resume`].
    Suspended,
    /// The profile is erased.
    Closed,
}

impl Link {
    fn connection(&mut self) -> Result<&mut Connection> {
        match self {
            Self::Open(connection) => Ok(connection),
            Self::Suspended => Err(suspended()),
            Self::Closed => Err(erased()),
        }
    }
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
    /// brought up to date, and what the retention cap does not let stay goes.
    ///
    /// # Errors
    /// `WrongKey` when it was made under another key; `PutBack` when it is older than it was when it was last opened or
    /// something was last removed; `BadFile` when the file is no history or is damaged; `Unsupported` when a newer version
    /// of this library wrote it; `Io` when it cannot be read or written, or its folder is missing.
    pub fn open(path: &Path, key: &Key) -> Result<Self> {
        Self::open_as(path, key, false)
    }

    /// Opens a history that was put back from a backup: it is taken as it is, with all that is in it.
    ///
    /// # Errors
    /// As [`History::open`], but for `PutBack`.
    pub fn open_put_back(path: &Path, key: &Key) -> Result<Self> {
        Self::open_as(path, key, true)
    }

    fn open_as(path: &Path, key: &Key, accepted: bool) -> Result<Self> {
        let secrets = Secrets::new(key)?;
        let (connection, anchor) = connected(path, key, &secrets, accepted)?;
        let pending = settings::number(&connection, settings::TRUNCATION_PENDING);
        let pending = pending.map_err(|cause| Fault::from(cause).at(path))?.unwrap_or(0) != 0;
        let history = Self {
            path: path.to_owned(),
            file: database::identity(path).map_err(|cause| Error::io(path, &cause))?,
            interrupt: Mutex::new(connection.get_interrupt_handle()),
            link: Mutex::new(Link::Open(connection)),
            secrets,
            key: key.clone(),
            anchored: AtomicI64::new(if let (Anchor::At(at), false) = (anchor, accepted) { at } else { -1 }),
            verified: AtomicBool::new(false),
            pending: AtomicBool::new(pending),
        };
        match history.raise_anchor() {
            // The disk refuses: it lags behind until the next opening or removal.
            Err(error) if error.kind() != ErrorKind::Io => return Err(error),
            _ => {}
        }
        history.retry_truncation();
        // What the disk refuses now goes with the next batch or training: a full one keeps nobody from looking.
        let _ = history.apply_retention();
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

    /// How many of [`History::removals`] all that a training keeps follows from: fewer, where a process was killed between
    /// a removal and what has to follow.
    pub(crate) fn followed_removals(&self) -> Result<u64> {
        let followed = |connection: &_| {
            Ok(settings::number(connection, settings::FOLLOWED_REMOVALS)?.unwrap_or(0).cast_unsigned())
        };
        self.read(followed)
    }

    /// Notes that all follows from so many removals.
    pub(crate) fn note_followed(&self, removals: u64) -> Result<()> {
        self.write(|transaction| Ok(settings::set(transaction, settings::FOLLOWED_REMOVALS, removals.cast_signed())?))
    }

    /// Writes a copy without the write-ahead log to a new file, readable by its owner only: what a backup takes. It is
    /// sealed like the original, and opens by [`History::open_put_back`].
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
        *self.lock() = Link::Closed;
    }

    /// Ends what a call under way on another thread asks of the database: the call fails, and has changed nothing.
    pub(crate) fn hurry(&self) {
        self.interrupt.lock().unwrap_or_else(PoisonError::into_inner).interrupt();
    }

    /// Closes the database until [`History::resume`], so that no lock is held; a call under way is ended first. Later ones
    /// are refused.
    pub(crate) fn suspend(&self) {
        while let Err(TryLockError::WouldBlock) = self.link.try_lock() {
            // A statement that begins after it is not ended by it.
            self.hurry();
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut link = self.lock();
        if matches!(*link, Link::Open(_)) {
            *link = Link::Suspended;
        }
    }

    /// Opens the database again after [`History::suspend`].
    ///
    /// # Errors
    /// As [`History::open`]: another process may have changed it meanwhile. `Closed` where it was erased.
    pub(crate) fn resume(&self) -> Result<()> {
        let mut link = self.lock();
        if matches!(*link, Link::Suspended) {
            self.check_in_place()?;
            let (connection, _) = connected(&self.path, &self.key, &self.secrets, false)?;
            *self.interrupt.lock().unwrap_or_else(PoisonError::into_inner) = connection.get_interrupt_handle();
            *link = Link::Open(connection);
            self.verified.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Link> {
        // A panic elsewhere leaves no transaction behind: they roll back when dropped.
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T> {
        let mut held = self.lock();
        let connection = held.connection()?;
        self.check_in_place()?;
        work(connection).map_err(|fault| fault.at(&self.path))
    }

    /// As [`Self::read`], in one transaction, of records that were found to be those that this library wrote.
    fn read_verified<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T> {
        self.read(|connection| {
            let transaction = connection.unchecked_transaction()?;
            if !self.verified.load(Ordering::Relaxed) {
                generation::verify(&transaction, &self.secrets)?;
                self.verified.store(true, Ordering::Relaxed);
            }
            work(&transaction)
        })
    }

    /// Raises the anchor to where the database is.
    fn raise_anchor(&self) -> Result<()> {
        let reached = self.read(|connection| Ok(settings::number(connection, settings::GENERATION)?.unwrap_or(0)))?;
        if reached > self.anchored.load(Ordering::Relaxed) {
            let at = self.write(|transaction| {
                self.check_in_place()?;
                generation::raise_anchor(transaction, &self.path, &self.key)
            })?;
            self.anchored.store(at, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Runs `work` in a transaction that no other process writes beside; all of it is durable on return, or nothing.
    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Result<T> {
        let mut held = self.lock();
        let done = write(held.connection()?, &self.secrets, work).map_err(|fault| fault.at(&self.path))?;
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

/// A connection to the database, made and brought up to date where it is not, and where the anchor was before.
fn connected(path: &Path, key: &Key, secrets: &Secrets, accepted: bool) -> Result<(Connection, Anchor)> {
    // Before the database is looked at: another process may take both further meanwhile.
    let anchor = Anchor::read(path, key)?;
    let mut connection = database::connect(path).map_err(|fault| fault.at(path))?;
    prepare(&mut connection, path, secrets, &anchor, accepted).map_err(|fault| fault.at(path))?;
    let stands = |anchor: &Anchor| anchor.allows(&connection).map_err(|fault| fault.at(path));
    // Where there was none a moment ago, another process may have begun with the history meanwhile.
    if !accepted && !stands(&anchor)? && !stands(&Anchor::read(path, key)?)? {
        return Err(Fault::PutBack.at(path));
    }
    Ok((connection, anchor))
}

/// Runs `work` in a transaction that begins and ends with records that this library wrote.
fn write<T>(
    connection: &mut Connection,
    secrets: &Secrets,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    generation::check(&transaction, secrets)?;
    let result = work(&transaction)?;
    generation::write(&transaction, secrets)?;
    transaction.commit()?;
    Ok(result)
}

/// The schema's version, read in one transaction: another process may be making the tables.
/// The version of the histories that this library writes. An older one is brought up to it when it is opened; a newer one is
/// refused.
pub const FORMAT_VERSION: u32 = schema::VERSION as u32;

fn version(connection: &Connection, path: &Path) -> Result<usize, Fault> {
    schema::version(&*connection.unchecked_transaction()?, path)
}

/// Brings tables and records up to date, and holds the key against the database's.
fn prepare(
    connection: &mut Connection,
    path: &Path,
    secrets: &Secrets,
    anchor: &Anchor,
    accepted: bool,
) -> Result<(), Fault> {
    // A foreign or newer database is refused before anything in it changes.
    version(connection, path)?;
    database::configure(connection, path)?;
    if version(connection, path)? < schema::VERSION {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been faster.
        let version = schema::version(&transaction, path)?;
        if version < schema::VERSION {
            if version > 0 && !reseal::is_key_of(&transaction, secrets, "records", path)? {
                return Err(wrong_key(path));
            }
            if !accepted && !anchor.allows_first() {
                return Err(Fault::PutBack);
            }
            schema::migrate(&transaction, version, schema::VERSION)?;
            generation::write(&transaction, secrets)?;
        }
        transaction.commit()?;
    }
    check_key(connection, path, secrets)?;
    reseal::all(connection, secrets)?;
    if accepted {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        generation::accept(&transaction, secrets, anchor)?;
        generation::write(&transaction, secrets)?;
        transaction.commit()?;
    }
    generation::check(&*connection.unchecked_transaction()?, secrets)
}

fn check_key(connection: &Connection, path: &Path, secrets: &Secrets) -> Result<(), Fault> {
    let transaction = connection.unchecked_transaction()?;
    let check = settings::number(&transaction, settings::KEY_CHECK)?;
    let is_key = if reseal::is_due(&transaction)? {
        // A new database has none yet.
        check.is_none() || reseal::is_key_of(&transaction, secrets, "earlier_records", path)?
    } else {
        let check = check.ok_or_else(|| Error::bad_file(path, settings::KEY_CHECK, "missing"))?;
        match records::open::<String>(&transaction, &secrets.cipher, Place::KEY_CHECK, check) {
            Err(Fault::Record(_)) => false,
            opened => opened.map(|_| true)?,
        }
    };
    if is_key { Ok(()) } else { Err(wrong_key(path)) }
}

fn wrong_key(path: &Path) -> Fault {
    let message = format!("{}: this is not the key that the history was made with", path.display());
    Error::new(ErrorKind::WrongKey, message).with_hint("open it with the key that it was made with").into()
}
