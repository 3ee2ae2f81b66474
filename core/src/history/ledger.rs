//! Which adapter version learned from which samples.
//!
//! The link from a version to a sample goes when the sample goes; that a version learned from something that has gone
//! stays. Its adapter still holds what it learned: where somebody asked for the removal, such versions are marked, and
//! training again without it is offered. What expired or was edited is counted, each by itself.

use rusqlite::{Connection, OptionalExtension, params};

use super::database::Fault;
use super::remove::Reason;
use super::sample::SampleId;
use super::{History, settings};
use crate::error::{Error, ErrorKind, Result};

/// A version's number, which its column keeps as text.
const NUMBER: &str = "CAST(name AS INTEGER)";

/// An adapter version and what became of the samples that it learned from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearnedVersion {
    /// Its number in the registry.
    pub version: u32,
    /// How many samples it learned from.
    pub samples: u64,
    /// How many of them were removed since, because somebody asked: above zero, the version is marked.
    pub removed: u64,
    /// How many of them the retention cap took since.
    pub expired: u64,
    /// How many of them the person has edited since, so that another text is in their place.
    pub replaced: u64,
}

impl History {
    /// Records that an adapter version learned from samples, and says what became of them. `removals` is what
    /// [`History::removals`] said when they were read: a sample that is gone by now and was not edited counts as removed if
    /// somebody has asked for a removal since, else as expired. Recording a version again replaces what was recorded.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn record_learning(
        &self,
        version: u32,
        samples: impl IntoIterator<Item = SampleId>,
        removals: u64,
    ) -> Result<LearnedVersion> {
        self.write(|transaction| {
            forget(transaction, version)?;
            let sql = "INSERT INTO versions (name, samples, removed, expired) VALUES (?1, 0, 0, 0)";
            transaction.execute(sql, [version])?;
            let id = transaction.last_insert_rowid();
            let (mut recorded, mut replaced, mut gone) = (0_i64, 0_i64, 0_i64);
            let mut insert = transaction.prepare_cached(
                "INSERT OR IGNORE INTO learned (sample, version) SELECT id, ?2 FROM samples WHERE id = ?1",
            )?;
            let mut there = transaction.prepare_cached("SELECT 1 FROM samples WHERE id = ?1")?;
            let mut edited = transaction.prepare_cached("SELECT 1 FROM replaced WHERE sample = ?1")?;
            for sample in samples {
                if insert.execute([sample.0, id])? == 1 {
                    recorded += 1;
                } else if edited.exists([sample.0])? {
                    replaced += 1;
                } else if !there.exists([sample.0])? {
                    gone += 1;
                }
            }
            let asked = settings::number(transaction, settings::REMOVALS)?.unwrap_or(0).cast_unsigned() != removals;
            let (removed, expired) = if asked { (gone, 0) } else { (0, gone) };
            let samples = recorded + replaced + gone;
            let sql = "UPDATE versions SET samples = ?2, removed = ?3, expired = ?4, replaced = ?5 WHERE id = ?1";
            transaction.execute(sql, [id, samples, removed, expired, replaced])?;
            Ok(LearnedVersion {
                version,
                samples: samples.cast_unsigned(),
                removed: removed.cast_unsigned(),
                expired: expired.cast_unsigned(),
                replaced: replaced.cast_unsigned(),
            })
        })
    }

    /// Forgets a version whose adapter was deleted; whether it was known.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn forget_version(&self, version: u32) -> Result<bool> {
        self.write(|transaction| forget(transaction, version))
    }

    /// The samples, still there, that a version learned from, in order.
    ///
    /// # Errors
    /// `BadOption` for a version that was never recorded.
    pub fn learned_from(&self, version: u32) -> Result<Vec<SampleId>> {
        self.read(|connection| {
            let id = id(connection, version)?.ok_or_else(|| {
                Error::new(ErrorKind::BadOption, format!("the ledger knows no adapter version {version}"))
            })?;
            let mut statement =
                connection.prepare_cached("SELECT sample FROM learned WHERE version = ?1 ORDER BY sample")?;
            let samples = statement.query_map([id], |row| row.get(0).map(SampleId))?.collect::<Result<_, _>>()?;
            Ok(samples)
        })
    }

    /// All recorded versions, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn versions(&self) -> Result<Vec<LearnedVersion>> {
        self.read(|connection| versions(connection, "1"))
    }

    /// The marked versions: those that learned from something that was removed since.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn versions_touched_by_removed(&self) -> Result<Vec<LearnedVersion>> {
        self.read(|connection| versions(connection, "removed > 0"))
    }
}

fn versions(connection: &Connection, condition: &str) -> Result<Vec<LearnedVersion>, Fault> {
    let sql =
        format!("SELECT {NUMBER}, samples, removed, expired, replaced FROM versions WHERE {condition} ORDER BY id");
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map([], |row| {
        let count = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        Ok(LearnedVersion {
            version: row.get(0)?,
            samples: count(1)?,
            removed: count(2)?,
            expired: count(3)?,
            replaced: count(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn id(connection: &Connection, version: u32) -> Result<Option<i64>, Fault> {
    let mut statement = connection.prepare_cached("SELECT id FROM versions WHERE name = ?1")?;
    Ok(statement.query_row([version], |row| row.get(0)).optional()?)
}

fn forget(connection: &Connection, version: u32) -> Result<bool, Fault> {
    let Some(id) = id(connection, version)? else { return Ok(false) };
    connection.execute("DELETE FROM learned WHERE version = ?1", [id])?;
    connection.execute("DELETE FROM versions WHERE id = ?1", [id])?;
    Ok(true)
}

/// Takes a sample that goes out of the ledger; the versions that learned from it, where somebody asked for its removal.
pub(super) fn mark(connection: &Connection, sample: i64, reason: Reason) -> Result<Vec<u32>, Fault> {
    let mut statement = connection.prepare_cached("DELETE FROM learned WHERE sample = ?1 RETURNING version")?;
    let versions: Vec<i64> = statement.query_map([sample], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let column = match reason {
        Reason::Request => "removed",
        Reason::Retention => "expired",
        Reason::Edit => {
            connection.prepare_cached("INSERT INTO replaced VALUES (?1)")?.execute([sample])?;
            "replaced"
        }
    };
    let sql = format!("UPDATE versions SET {column} = {column} + 1 WHERE id = ?1 RETURNING {NUMBER}");
    let mut update = connection.prepare_cached(&sql)?;
    let numbers = versions.iter().map(|version| update.query_row([version], |row| row.get(0)));
    let numbers = numbers.collect::<Result<Vec<u32>, _>>()?;
    Ok(if reason == Reason::Request { numbers } else { Vec::new() })
}

/// The same for all samples at once.
pub(super) fn mark_all(connection: &Connection) -> Result<Vec<u32>, Fault> {
    connection.execute_batch(
        "UPDATE versions SET removed = removed + (SELECT count(*) FROM learned WHERE version = versions.id);
         DELETE FROM learned;",
    )?;
    let sql = format!("SELECT {NUMBER} AS number FROM versions WHERE removed > 0 ORDER BY number");
    let mut statement = connection.prepare(&sql)?;
    let numbers = statement.query_map(params![], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(numbers)
}
