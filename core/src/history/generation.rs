//! Generations: how it is noticed that a record was put back, or a whole database.
//!
//! Every change of the records, a new one or one that goes, has a number of its own, the *generation*, which never comes
//! twice. A record is sealed with that of its making, and lies in the table `generations` as long as it is there. The sum of
//! keyed hashes over that table, and the generation that the database is at, are authenticated in its settings: each
//! transaction checks them when it begins and writes them anew. Whoever has no key can put a removed record back with all
//! the rows that were about it, and the sum is another; or the settings as well, and the generation is an earlier one. That
//! is told by the *anchor*, a sealed file beside the database: its generation is never above the database's.
//!
//! The anchor is raised when a history is opened and after each removal, behind the transaction and under SQLite's write
//! lock, so that several processes raise it in turn. A kill in between leaves it low, and the next opening raises it. So
//! an older database is noticed, unless all that it lacks was added since the last opening. A whole folder that is put back
//! is not noticed, for nothing here is outside of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

use super::database::Fault;
use super::{Secrets, settings};
use crate::disk::staged::{parent_of, remove_unfinished};
use crate::error::{Error, ErrorKind, Result};
use crate::seal::{Key, Purpose, read_sealed, write_sealed};

/// The name that is authenticated with an anchor.
const NAME: &str = "history";

/// The generation of a change now, in which `record` is entered.
pub(super) fn enter(connection: &Connection, secrets: &Secrets, record: i64) -> Result<i64, Fault> {
    let generation = advance(connection, |generation| secrets.element(record, generation))?;
    connection
        .prepare_cached("INSERT INTO generations (record, generation) VALUES (?1, ?2)")?
        .execute([record, generation])?;
    Ok(generation)
}

/// Takes a record out.
pub(super) fn leave(connection: &Connection, secrets: &Secrets, record: i64) -> Result<(), Fault> {
    let generation: Option<i64> = connection
        .prepare_cached("DELETE FROM generations WHERE record = ?1 RETURNING generation")?
        .query_row([record], |row| row.get(0))
        .optional()?;
    let element = secrets.element(record, generation.ok_or(Fault::Record(record))?);
    advance(connection, |_| element.wrapping_neg()).map(drop)
}

/// Counts all records anew, after a change of many.
pub(super) fn recount(connection: &Connection, secrets: &Secrets) -> Result<(), Fault> {
    settings::set(connection, settings::SUM, sum(connection, secrets)?)?;
    advance(connection, |_| 0).map(drop)
}

/// Goes on to the next generation, with what it adds to the sum.
fn advance(connection: &Connection, element: impl FnOnce(i64) -> i64) -> Result<i64, Fault> {
    let generation = settings::number(connection, settings::GENERATION)?.unwrap_or(0) + 1;
    settings::set(connection, settings::GENERATION, generation)?;
    let sum = settings::number(connection, settings::SUM)?.unwrap_or(0);
    settings::set(connection, settings::SUM, sum.wrapping_add(element(generation)))?;
    Ok(generation)
}

fn sum(connection: &Connection, secrets: &Secrets) -> Result<i64, Fault> {
    let mut statement = connection.prepare_cached("SELECT record, generation FROM generations")?;
    let mut rows = statement.query([])?;
    let mut sum = 0_i64;
    while let Some(row) = rows.next()? {
        sum = sum.wrapping_add(secrets.element(row.get(0)?, row.get(1)?));
    }
    Ok(sum)
}

impl Secrets {
    /// What a record adds to the sum.
    fn element(&self, record: i64, generation: i64) -> i64 {
        self.hash.number("generation", &[&record.to_le_bytes(), &generation.to_le_bytes()]).cast_signed()
    }

    /// What authenticates the settings that are meant here.
    fn standing(&self, connection: &Connection) -> rusqlite::Result<[u8; 16]> {
        let number = |name| settings::number(connection, name).map(|number| number.unwrap_or(0).to_le_bytes());
        let (generation, sum) = (number(settings::GENERATION)?, number(settings::SUM)?);
        Ok(self.hash.short("standing", &[&generation, &sum, &number(settings::ANCHORED)?]))
    }
}

/// Checks what the last transaction wrote.
pub(super) fn check(connection: &Connection, secrets: &Secrets) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached("SELECT value FROM settings WHERE name = ?1")?;
    let written: Option<[u8; 16]> = statement.query_row([settings::STANDING], |row| row.get(0)).optional()?;
    if written == Some(secrets.standing(connection)?) { Ok(()) } else { Err(Fault::PutBack) }
}

/// Writes it at a transaction's end.
pub(super) fn write(connection: &Connection, secrets: &Secrets) -> Result<(), Fault> {
    let standing = secrets.standing(connection)?;
    connection
        .prepare_cached("INSERT INTO settings VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value")?
        .execute(params![settings::STANDING, standing])?;
    Ok(())
}

/// Checks that the records are those that this library wrote, in one transaction.
pub(super) fn verify(connection: &Connection, secrets: &Secrets) -> Result<(), Fault> {
    check(connection, secrets)?;
    let written = settings::number(connection, settings::SUM)?.unwrap_or(0);
    if written == sum(connection, secrets)? { Ok(()) } else { Err(Fault::PutBack) }
}

/// The anchor of a database.
pub(super) fn anchor_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-anchor");
    name.into()
}

/// What the anchor beside a database says.
pub(super) enum Anchor {
    Missing,
    /// Of another key, or damaged.
    Unreadable,
    At(i64),
}

impl Anchor {
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn read(path: &Path, key: &Key) -> Result<Self> {
        let path = anchor_of(path);
        match fs::metadata(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Self::Missing),
            Err(cause) => return Err(Error::io(&path, &cause)),
            Ok(_) => {}
        }
        match read_sealed(&path, key, Purpose::HistoryAnchor, NAME) {
            Ok(bytes) => Ok(bytes.try_into().map_or(Self::Unreadable, |bytes| Self::At(i64::from_le_bytes(bytes)))),
            Err(error) if error.kind() == ErrorKind::Io => Err(error),
            Err(_) => Ok(Self::Unreadable),
        }
    }

    /// Whether a database that has none of its own yet, made now or by an earlier release, may be beside it.
    pub fn allows_first(&self) -> bool {
        matches!(self, Self::Missing | Self::At(0))
    }

    /// Whether a database may be beside it.
    pub fn allows(&self, connection: &Connection) -> Result<bool, Fault> {
        let anchored = settings::number(connection, settings::ANCHORED)?.unwrap_or(0) != 0;
        let generation = settings::number(connection, settings::GENERATION)?.unwrap_or(0);
        Ok(match self {
            Self::Missing => !anchored,
            Self::Unreadable => false,
            Self::At(at) => *at <= generation,
        })
    }
}

/// Writes the anchor of a database that nothing is known of: it is taken as it is when it is opened.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn anchor_anew(path: &Path, key: &Key) -> Result<()> {
    write_anchor(path, key, 0)
}

/// Raises the anchor to where the database is, in a transaction that keeps others from writing.
pub(super) fn raise_anchor(connection: &Connection, path: &Path, key: &Key) -> Result<i64, Fault> {
    let generation = settings::number(connection, settings::GENERATION)?.unwrap_or(0);
    // Before the note that there is one: a kill in between leaves one that is not asked for. Whatever another left in the
    // making has no maker any more.
    let name = anchor_of(path);
    remove_unfinished(parent_of(path)?, |of| name.file_name().is_some_and(|name| name == of))?;
    write_anchor(path, key, generation)?;
    settings::set(connection, settings::ANCHORED, 1)?;
    Ok(generation)
}

fn write_anchor(path: &Path, key: &Key, generation: i64) -> Result<()> {
    write_sealed(&anchor_of(path), key, Purpose::HistoryAnchor, NAME, &generation.to_le_bytes())
}

/// Takes the records as they are, and the database as the latest, whatever the anchor says.
pub(super) fn accept(connection: &Connection, secrets: &Secrets, anchor: &Anchor) -> Result<(), Fault> {
    let own = settings::number(connection, settings::GENERATION)?.unwrap_or(0);
    // No generation of what was put away comes again. Where it is not known it is far below.
    let latest = match anchor {
        Anchor::At(at) => own.max(*at),
        Anchor::Missing | Anchor::Unreadable => own + (1 << 40),
    };
    settings::set(connection, settings::GENERATION, latest)?;
    recount(connection, secrets)
}
