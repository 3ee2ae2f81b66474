//! Looking at the history: figures, and pages of it.

use std::collections::BTreeSet;
use std::fmt;

use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;

use super::database::Fault;
use super::origin::{self, Origin};
use super::records::{Circumstances, Content, Table};
use super::sample::{ClusterId, SampleId, Split, StoredSample};
use super::{History, Secrets, records, settings, unit};
use crate::error::Result;
use crate::seal::RecordCipher;

/// A number of texts and how often they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Tally {
    /// Distinct texts.
    pub samples: u64,
    /// Messages, repeats included.
    pub messages: u64,
}

/// The messages of an app or field.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct SourceTally {
    /// Its name; `None` stands for the messages without one.
    pub source: Option<String>,
    /// How many there are, repeats included.
    pub messages: u64,
    /// The times of the first and the last, in seconds since 1970 (UTC).
    pub period: (i64, i64),
}

/// Never the name.
impl fmt::Debug for SourceTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceTally")
            .field("messages", &self.messages)
            .field("period", &self.period)
            .finish_non_exhaustive()
    }
}

/// Figures of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// All of it.
    pub total: Tally,
    /// By part in training, over texts that training may use.
    pub splits: Vec<(Split, Tally)>,
    /// By how the texts came to be: those that this library knows, then those that it has a name of alone.
    pub origins: Vec<(Origin, Tally)>,
    /// Independent units of held-out text that training may use, as the gate counts them: a conversation's texts of one
    /// day are one, near-duplicates are one.
    pub held_out_units: u64,
    /// By app or field, most messages first.
    pub sources: Vec<SourceTally>,
    /// Clusters of near-duplicates, single texts included.
    pub clusters: u64,
    /// Messages in the largest of them.
    pub largest_cluster: u64,
    /// The times of the first and the last message, in seconds since 1970 (UTC).
    pub period: Option<(i64, i64)>,
    /// As [`History::revision`].
    pub revision: u64,
    /// Whether removed rows may still lie in the write-ahead log.
    pub removal_pending: bool,
}

impl History {
    /// Figures of the whole history.
    ///
    /// # Errors
    /// When the database cannot be read or is damaged.
    pub fn stats(&self) -> Result<Stats> {
        // One transaction, so that the figures belong together.
        self.read_verified(|connection| stats(connection, &self.secrets))
    }

    /// How many texts that training learns from were added after a sample; all of them without one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn new_texts(&self, after: Option<SampleId>) -> Result<u64> {
        self.read(|connection| {
            let learned = origin::learned();
            let sql = format!("SELECT count(*) FROM samples WHERE id > ?1 AND split = ?2 AND origin IN {learned}");
            let values = [after.map_or(0, |sample| sample.0), Split::Training.code()];
            Ok(connection.query_row(&sql, values, |row| row.get::<_, i64>(0))?.cast_unsigned())
        })
    }

    /// Up to `limit` samples, latest added first; `before` is the last of the page before, none for the first page.
    ///
    /// # Errors
    /// When the database cannot be read or is damaged.
    pub fn list(&self, before: Option<SampleId>, limit: usize) -> Result<Vec<StoredSample>> {
        self.read_verified(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT r.id, g.generation, r.sealed, s.id, s.origin, s.count, s.split, s.cluster,
                        o.time, o.id, o.record, p.id, p.record
                 FROM samples s
                 JOIN records r ON r.id = s.record
                 JOIN generations g ON g.record = r.id
                 JOIN occurrences o ON o.id =
                      (SELECT id FROM occurrences WHERE sample = s.id ORDER BY time DESC, id DESC LIMIT 1)
                 LEFT JOIN sources p ON p.id = o.source
                 WHERE s.id < ?1 ORDER BY s.id DESC LIMIT ?2",
            )?;
            let before = before.map_or(i64::MAX, |id| id.0);
            let mut rows = statement.query([before, i64::try_from(limit).unwrap_or(i64::MAX)])?;
            let mut samples = Vec::new();
            while let Some(row) = rows.next()? {
                samples.push(stored(connection, row, &self.secrets.cipher)?);
            }
            Ok(samples)
        })
    }
}

fn stored(connection: &Connection, row: &Row<'_>, cipher: &RecordCipher) -> Result<StoredSample, Fault> {
    let id = row.get(3)?;
    let content: Content<String> = records::open_at(row, 0, cipher, Table::Samples.row(id))?;
    let circumstances: Circumstances<String> = match row.get(10)? {
        Some(record) => records::open(connection, cipher, Table::Occurrences.row(row.get(9)?), record)?,
        None => Circumstances::default(),
    };
    let source = match row.get(12)? {
        Some(record) => Some(records::open(connection, cipher, Table::Sources.row(row.get(11)?), record)?),
        None => None,
    };
    Ok(StoredSample {
        id: SampleId(id),
        text: content.text,
        context: content.context,
        origin: origin::read(connection, cipher, row.get(4)?)?,
        count: row.get::<_, i64>(5)?.cast_unsigned(),
        timestamp: row.get(8)?,
        app_id: circumstances.app_id,
        source,
        contact: circumstances.contact,
        conversation: circumstances.conversation,
        split: split(row, 6)?,
        cluster: ClusterId(row.get(7)?),
    })
}

/// The split in a column.
fn split(row: &Row<'_>, column: usize) -> Result<Split, Fault> {
    let code: i64 = row.get(column)?;
    Split::of_code(code).ok_or_else(|| rusqlite::Error::IntegralValueOutOfRange(column, code).into())
}

fn stats(connection: &Connection, secrets: &Secrets) -> Result<Stats, Fault> {
    let mut total = Tally::default();
    let mut splits = Split::ALL.map(|split| (split, Tally::default())).to_vec();
    let mut origins = Origin::KNOWN.map(|origin| (origin, Tally::default())).to_vec();
    let sql = "SELECT split, origin, count(*), sum(count) FROM samples GROUP BY split, origin ORDER BY origin";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (split, origin) = (split(row, 0)?, origin::read(connection, &secrets.cipher, row.get(1)?)?);
        if origins.iter().all(|(of, _)| *of != origin) {
            origins.push((origin.clone(), Tally::default()));
        }
        let samples = row.get::<_, i64>(2)?.cast_unsigned();
        let messages = row.get::<_, i64>(3)?.cast_unsigned();
        let learned = splits.iter_mut().filter(|(of, _)| *of == split && origin.is_learned()).map(|(_, tally)| tally);
        let by_origin = origins.iter_mut().filter(|(of, _)| *of == origin).map(|(_, tally)| tally);
        for tally in learned.chain(by_origin).chain([&mut total]) {
            tally.samples += samples;
            tally.messages += messages;
        }
    }
    let period = connection.query_row("SELECT min(time), max(time) FROM occurrences", [], |row| {
        Ok(row.get::<_, Option<i64>>(0)?.zip(row.get(1)?))
    })?;
    let (clusters, largest) = connection
        .query_row("SELECT count(*), max(size) FROM clusters", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?))
        })
        .optional()?
        .unwrap_or_default();
    let units = unit::of_held_out(connection, secrets)?;
    let sql = format!("SELECT DISTINCT cluster FROM samples WHERE split = ?1 AND origin IN {}", origin::learned());
    let mut statement = connection.prepare_cached(&sql)?;
    let learned = statement
        .query_map([Split::HeldOut.code()], |row| row.get(0).map(ClusterId))?
        .collect::<Result<Vec<_>, _>>()?;
    let held_out_units = learned.iter().filter_map(|cluster| units.get(cluster)).collect::<BTreeSet<_>>().len() as u64;
    Ok(Stats {
        held_out_units,
        sources: sources(connection, &secrets.cipher)?,
        total,
        splits,
        origins,
        clusters: clusters.cast_unsigned(),
        largest_cluster: largest.unwrap_or(0).cast_unsigned(),
        period,
        revision: settings::number(connection, settings::REVISION)?.unwrap_or(0).cast_unsigned(),
        removal_pending: settings::number(connection, settings::TRUNCATION_PENDING)?.unwrap_or(0) != 0,
    })
}

fn sources(connection: &Connection, cipher: &RecordCipher) -> Result<Vec<SourceTally>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT p.id, p.record, o.n, o.first, o.last
         FROM (SELECT source, count(*) n, min(time) first, max(time) last FROM occurrences GROUP BY source) o
         LEFT JOIN sources p ON p.id = o.source",
    )?;
    let mut rows = statement.query([])?;
    let mut sources = Vec::new();
    while let Some(row) = rows.next()? {
        let source: Option<i64> = row.get(0)?;
        let open = |id| records::open(connection, cipher, Table::Sources.row(id), row.get(1)?);
        sources.push(SourceTally {
            source: source.map(open).transpose()?,
            messages: row.get::<_, i64>(2)?.cast_unsigned(),
            period: (row.get(3)?, row.get(4)?),
        });
    }
    sources.sort_by(|a, b| b.messages.cmp(&a.messages).then_with(|| a.source.cmp(&b.source)));
    Ok(sources)
}
