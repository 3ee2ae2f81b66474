//! Removing: rows go, their records are overwritten, and the write-ahead log is cut.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Params, Transaction};

use super::database::Fault;
use super::sample::SampleId;
use super::{History, Secrets, add, generation, ledger, origin, records, settings};
use crate::error::Result;
use crate::trace::{self, Event};

/// What to remove. Of a text that was written several times, only the times that are meant go.
#[derive(Clone, PartialEq, Eq)]
pub enum Selection {
    /// Samples by their numbers, with all their repeats.
    Samples(Vec<SampleId>),
    /// Messages by the app's own ids.
    AppIds(Vec<String>),
    /// What was written in an app or field.
    Source(String),
    /// What was written to somebody.
    Contact(String),
    /// What was written from `start` until before `end`, in seconds since 1970 (UTC).
    Time(Range<i64>),
}

/// Never the names or ids.
impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Samples(ids) => f.debug_tuple("Samples").field(ids).finish(),
            Self::AppIds(ids) => write!(f, "AppIds({} of them)", ids.len()),
            Self::Source(_) => f.write_str("Source(…)"),
            Self::Contact(_) => f.write_str("Contact(…)"),
            Self::Time(range) => f.debug_tuple("Time").field(range).finish(),
        }
    }
}

/// What a removal did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removed {
    /// Messages, repeats included.
    pub messages: u64,
    /// Texts of which no message is left.
    pub samples: u64,
    /// Adapter versions that learned from a text that has gone.
    pub marked: Vec<u32>,
    /// Whether traces remain in the write-ahead log, because another process was reading or the disk refused. It is cut with the next call
    /// that adds or removes, the next opening, or [`History::finish_removal`].
    pub pending: bool,
    /// Whether a training under way lost its checkpoint, because it may know what was removed: the next one begins anew.
    /// Only the removals of [`personalize`](crate::personalize) know of trainings.
    pub checkpoint_dropped: bool,
}

/// How many rows are taken at a time: memory stays flat.
const CHUNK: usize = 1000;

/// How long a removal waits for readers before it reports the log as pending.
const PATIENCE: Duration = Duration::from_millis(500);

/// Why texts go: the ledger keeps them apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// Somebody asked.
    Request,
    /// The retention cap.
    Retention,
    /// The person wrote another text in its place.
    Edit,
}

impl History {
    /// Removes what is selected, for good.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is removed then.
    pub fn remove(&self, selection: &Selection) -> Result<Removed> {
        let removed = self.write(|transaction| {
            let mut removal = Removal::new(transaction, &self.secrets, Reason::Request);
            removal.select(selection, self)?;
            removal.finish()
        })?;
        Ok(self.finish(removed))
    }

    /// Removes all samples. Exclusions, the retention cap and the ledger stay.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is removed then.
    pub fn clear(&self) -> Result<Removed> {
        let removed = self.write(|transaction| {
            let count = |table: &str| -> rusqlite::Result<i64> {
                transaction.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
            };
            let (messages, samples) = (count("occurrences")?, count("samples")?);
            if messages == 0 {
                return Ok(Removed::default());
            }
            let marked = ledger::mark_all(transaction)?;
            transaction.execute_batch(
                "DELETE FROM occurrences; DELETE FROM samples; DELETE FROM clusters; DELETE FROM sources;
                 DELETE FROM origins; DELETE FROM replaced;",
            )?;
            transaction.execute_batch(
                "DELETE FROM generations WHERE record NOT IN
                     (SELECT record FROM exclusions UNION SELECT value FROM settings WHERE name = 'key check')",
            )?;
            generation::recount(transaction, &self.secrets)?;
            records::rewrite(transaction)?;
            changed(transaction)?;
            settings::add(transaction, settings::REMOVALS, 1)?;
            let (messages, samples) = (messages.cast_unsigned(), samples.cast_unsigned());
            Ok(Removed { messages, samples, marked, ..Removed::default() })
        })?;
        if removed.messages > 0 {
            // Gives the file's room back; where a reader forbids it, the room is used again later.
            let _ = self.read(|connection| Ok(connection.execute_batch("VACUUM")?));
        }
        Ok(self.finish(removed))
    }

    /// Cuts the write-ahead log after a removal; whether it is done. A removal tries by itself: this is for one that
    /// reported [`Removed::pending`].
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn finish_removal(&self) -> Result<bool> {
        self.truncate(Duration::ZERO)
    }

    fn finish(&self, mut removed: Removed) -> Removed {
        if removed.messages > 0 {
            removed.pending = !self.truncate(PATIENCE).unwrap_or(false);
            trace::tell(Event::HistoryRemoved { messages: removed.messages, texts: removed.samples });
        }
        removed
    }

    /// Cuts the write-ahead log after a commit, or leaves it pending where somebody reads or the disk refuses: what was
    /// committed stays so, and is no failure.
    pub(super) fn truncate_log(&self) {
        let _ = self.truncate(Duration::ZERO);
    }

    fn truncate(&self, patience: Duration) -> Result<bool> {
        // What the disk refuses now is raised by the next opening.
        let _ = self.raise_anchor();
        let begun = Instant::now();
        loop {
            let cut = self.read(|connection| {
                let cut = truncate(connection)?;
                if cut && settings::number(connection, settings::TRUNCATION_PENDING)?.unwrap_or(0) != 0 {
                    settings::set(connection, settings::TRUNCATION_PENDING, 0)?;
                }
                Ok(cut)
            });
            self.pending.store(!*cut.as_ref().unwrap_or(&false), Ordering::Relaxed);
            let cut = cut?;
            if cut || begun.elapsed() >= patience {
                return Ok(cut);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Moves the write-ahead log into the database and cuts it to nothing; false while another connection holds it.
fn truncate(connection: &Connection) -> Result<bool, Fault> {
    // Readers are waited for by the caller, who lets others at the connection meanwhile.
    connection.busy_timeout(Duration::ZERO)?;
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    connection.busy_timeout(super::database::BUSY)?;
    match busy {
        Ok(busy) => Ok(busy == 0),
        Err(cause) if cause.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(false),
        Err(cause) if cause.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseLocked) => Ok(false),
        Err(cause) => Err(cause.into()),
    }
}

/// Notes a change of the samples that left something in the write-ahead log.
pub(super) fn changed(connection: &Connection) -> rusqlite::Result<()> {
    settings::add(connection, settings::REVISION, 1)?;
    leaves_traces(connection)
}

/// Notes that something is left in the write-ahead log, until it is cut.
pub(super) fn leaves_traces(connection: &Connection) -> rusqlite::Result<()> {
    settings::set(connection, settings::TRUNCATION_PENDING, 1)
}

/// A removal under way.
pub(super) struct Removal<'a> {
    transaction: &'a Transaction<'a>,
    secrets: &'a Secrets,
    reason: Reason,
    removed: Removed,
}

impl<'a> Removal<'a> {
    pub fn new(transaction: &'a Transaction<'a>, secrets: &'a Secrets, reason: Reason) -> Self {
        Self { transaction, secrets, reason, removed: Removed::default() }
    }

    fn select(&mut self, selection: &Selection, history: &History) -> Result<(), Fault> {
        let secrets = &history.secrets;
        match selection {
            Selection::Samples(ids) => {
                for id in ids {
                    self.occurrences("sample = ?1", [id.0])?;
                }
            }
            Selection::AppIds(ids) => {
                for id in ids {
                    self.occurrences("app_id_hash = ?1", [secrets.app_id_hash(id)])?;
                }
            }
            Selection::Source(name) => {
                if let Some(source) = add::source_id(self.transaction, &secrets.source_hash(name))? {
                    self.occurrences("source = ?1", [source])?;
                }
            }
            Selection::Contact(name) => self.occurrences("contact_hash = ?1", [secrets.contact_hash(name)])?,
            Selection::Time(range) => self.occurrences("time >= ?1 AND time < ?2", [range.start, range.end])?,
        }
        Ok(())
    }

    /// Removes the occurrences that meet a condition.
    pub fn occurrences(&mut self, condition: &str, values: impl Params + Clone) -> Result<(), Fault> {
        let sql = format!("SELECT id FROM occurrences WHERE {condition} LIMIT {CHUNK}");
        loop {
            let ids: Vec<i64> = self
                .transaction
                .prepare_cached(&sql)?
                .query_map(values.clone(), |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            for &id in &ids {
                self.occurrence(id)?;
            }
            if ids.len() < CHUNK {
                return Ok(());
            }
        }
    }

    pub fn occurrence(&mut self, id: i64) -> Result<(), Fault> {
        let sql = "DELETE FROM occurrences WHERE id = ?1 RETURNING sample, source, record";
        let (sample, source, record): (i64, Option<i64>, Option<i64>) =
            self.transaction.prepare_cached(sql)?.query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        if let Some(record) = record {
            records::overwrite(self.transaction, self.secrets, record)?;
        }
        if let Some(source) = source {
            self.drop_unused_source(source)?;
        }
        self.removed.messages += 1;
        let sql = "UPDATE samples SET count = count - 1 WHERE id = ?1 RETURNING count, cluster";
        let (count, cluster): (i64, i64) =
            self.transaction.prepare_cached(sql)?.query_row([sample], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let sql = "UPDATE clusters SET size = size - 1 WHERE id = ?1 RETURNING size";
        let size: i64 = self.transaction.prepare_cached(sql)?.query_row([cluster], |row| row.get(0))?;
        if count == 0 {
            self.sample(sample)?;
        }
        if size == 0 {
            self.transaction.prepare_cached("DELETE FROM clusters WHERE id = ?1")?.execute([cluster])?;
        }
        Ok(())
    }

    /// Removes a text of which no occurrence is left.
    fn sample(&mut self, id: i64) -> Result<(), Fault> {
        let sql = "DELETE FROM samples WHERE id = ?1 RETURNING record";
        let record = self.transaction.prepare_cached(sql)?.query_row([id], |row| row.get(0))?;
        records::overwrite(self.transaction, self.secrets, record)?;
        for version in ledger::mark(self.transaction, id, self.reason)? {
            if !self.removed.marked.contains(&version) {
                self.removed.marked.push(version);
            }
        }
        self.removed.samples += 1;
        Ok(())
    }

    fn drop_unused_source(&self, source: i64) -> Result<(), Fault> {
        let mut used = self.transaction.prepare_cached("SELECT 1 FROM occurrences WHERE source = ?1 LIMIT 1")?;
        if !used.exists([source])? {
            let sql = "DELETE FROM sources WHERE id = ?1 RETURNING record";
            let record = self.transaction.prepare_cached(sql)?.query_row([source], |row| row.get(0))?;
            records::overwrite(self.transaction, self.secrets, record)?;
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<Removed, Fault> {
        if self.removed.messages > 0 {
            origin::drop_unused(self.transaction, self.secrets)?;
            records::reclaim(self.transaction)?;
            changed(self.transaction)?;
            if self.reason == Reason::Request {
                settings::add(self.transaction, settings::REMOVALS, 1)?;
            }
        }
        self.removed.marked.sort();
        Ok(self.removed)
    }
}
