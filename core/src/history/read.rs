//! Looking at the history: figures, and pages of it.

use rusqlite::{Connection, OptionalExtension, Row};

use super::database::Fault;
use super::records::{Circumstances, Content};
use super::sample::{ClusterId, Origin, SampleId, Split, StoredSample};
use super::{History, records, settings};
use crate::error::Result;
use crate::seal::RecordCipher;

/// A number of texts and how often they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Distinct texts.
    pub samples: u64,
    /// Messages, repeats included.
    pub messages: u64,
}

/// Figures of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// All of it.
    pub total: Tally,
    /// By part in training, over texts that training may use.
    pub splits: Vec<(Split, Tally)>,
    /// By how the texts came to be.
    pub origins: Vec<(Origin, Tally)>,
    /// Messages by app or field, most first; `None` stands for those without.
    pub sources: Vec<(Option<String>, u64)>,
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
        self.read(|connection| stats(&*connection.unchecked_transaction()?, &self.secrets.cipher))
    }

    /// Up to `limit` samples, latest added first; `before` is the last of the page before, none for the first page.
    ///
    /// # Errors
    /// When the database cannot be read or is damaged.
    pub fn list(&self, before: Option<SampleId>, limit: usize) -> Result<Vec<StoredSample>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT r.id, r.uuid, r.format, r.sealed, s.id, s.origin, s.count, s.split, s.cluster,
                        o.time, o.record, p.record
                 FROM samples s
                 JOIN records r ON r.id = s.record
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
    let content: Content<String> = records::open_at(row, 0, cipher)?;
    let circumstances: Circumstances<String> = match row.get(10)? {
        Some(record) => records::open(connection, cipher, record)?,
        None => Circumstances::default(),
    };
    let source = match row.get(11)? {
        Some(record) => Some(records::open(connection, cipher, record)?),
        None => None,
    };
    Ok(StoredSample {
        id: SampleId(row.get(4)?),
        text: content.text,
        context: content.context,
        origin: origin(row, 5)?,
        count: row.get::<_, i64>(6)?.cast_unsigned(),
        timestamp: row.get(9)?,
        app_id: circumstances.app_id,
        source,
        contact: circumstances.contact,
        conversation: circumstances.conversation,
        split: split(row, 7)?,
        cluster: ClusterId(row.get(8)?),
    })
}

/// The origin in a column.
pub(super) fn origin(row: &Row<'_>, column: usize) -> Result<Origin, Fault> {
    let code: i64 = row.get(column)?;
    Origin::of_code(code).ok_or_else(|| out_of_range(column, code))
}

/// The split in a column.
fn split(row: &Row<'_>, column: usize) -> Result<Split, Fault> {
    let code: i64 = row.get(column)?;
    Split::of_code(code).ok_or_else(|| out_of_range(column, code))
}

fn out_of_range(column: usize, value: i64) -> Fault {
    rusqlite::Error::IntegralValueOutOfRange(column, value).into()
}

fn stats(connection: &Connection, cipher: &RecordCipher) -> Result<Stats, Fault> {
    let mut total = Tally::default();
    let mut splits = Split::ALL.map(|split| (split, Tally::default())).to_vec();
    let mut origins = Origin::ALL.map(|origin| (origin, Tally::default())).to_vec();
    let sql = "SELECT split, origin, count(*), sum(count) FROM samples GROUP BY split, origin";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (split, origin) = (split(row, 0)?, origin(row, 1)?);
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
    Ok(Stats {
        sources: sources(connection, cipher, total.messages)?,
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

fn sources(connection: &Connection, cipher: &RecordCipher, total: u64) -> Result<Vec<(Option<String>, u64)>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT p.record, n FROM sources p
         JOIN (SELECT source, count(*) n FROM occurrences WHERE source IS NOT NULL GROUP BY source) o ON o.source = p.id",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())))?;
    let rows: Vec<(i64, u64)> = rows.collect::<Result<_, _>>()?;
    let named: u64 = rows.iter().map(|&(_, messages)| messages).sum();
    let mut sources = Vec::new();
    for (record, messages) in rows {
        sources.push((Some(records::open(connection, cipher, record)?), messages));
    }
    if total > named {
        sources.push((None, total - named));
    }
    sources.sort_by(|(name_a, a), (name_b, b)| b.cmp(a).then_with(|| name_a.cmp(name_b)));
    Ok(sources)
}
