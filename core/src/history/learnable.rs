//! What training reads.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::PathBuf;

use rusqlite::Connection;

use super::database::{self, Fault};
use super::records::{Content, Table};
use super::sample::{ClusterId, LearnableSample, SampleId, Split};
use super::{History, Secrets, generation, origin, records, settings, unit};
use crate::error::Result;

/// How many rows are unsealed at a time.
const PAGE: usize = 64;

/// The samples of a split that training may use, in the order in which they were added. It reads the history as it was
/// when it began, whatever is added or removed meanwhile, and holds a page of it in memory; [`Learnable::rewind`] reads
/// the same state again. A removal reports itself as pending while one is held.
pub struct Learnable {
    path: PathBuf,
    /// Its own, with a transaction that pins the history's state.
    connection: Connection,
    secrets: Secrets,
    split: Split,
    revision: u64,
    removals: u64,
    page: VecDeque<LearnableSample>,
    /// The last sample read.
    last: i64,
    ended: bool,
}

impl History {
    /// The samples of a split that training may use: what the person worded
    /// ([`Origin::is_learned`](super::Origin::is_learned)).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn learnable(&self, split: Split) -> Result<Learnable> {
        // Under the history's own connection: once that is closed, none is opened any more.
        let (connection, revision, removals) = self.read(|_| {
            let connection = database::connect(&self.path)?;
            database::configure(&connection, &self.path)?;
            connection.execute_batch("BEGIN")?;
            // The first read fixes what the transaction sees.
            let number = |name| settings::number(&connection, name).map(|value| value.unwrap_or(0).cast_unsigned());
            let (revision, removals) = (number(settings::REVISION)?, number(settings::REMOVALS)?);
            generation::verify(&connection, &self.secrets)?;
            Ok((connection, revision, removals))
        })?;
        Ok(Learnable {
            path: self.path.clone(),
            connection,
            secrets: self.secrets.clone(),
            split,
            revision,
            removals,
            page: VecDeque::new(),
            last: 0,
            ended: false,
        })
    }
}

impl Learnable {
    /// The revision of the history that is read.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The removals of the history that is read, as [`History::removals`].
    pub fn removals(&self) -> u64 {
        self.removals
    }

    /// Begins again with the first sample of a split, in the same state of the history.
    pub fn rewind(&mut self, split: Split) {
        self.split = split;
        self.page.clear();
        (self.last, self.ended) = (0, false);
    }

    /// The independent unit of every held-out cluster of near-duplicates, in the same state of the history: the number of
    /// the unit's first cluster. The texts of one conversation on one day are one unit.
    ///
    /// # Errors
    /// When the database cannot be read or is damaged.
    pub fn units(&self) -> Result<BTreeMap<ClusterId, ClusterId>> {
        unit::of_held_out(&self.connection, &self.secrets).map_err(|fault| fault.at(&self.path))
    }

    fn next_page(&mut self) -> Result<(), Fault> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT r.id, g.generation, r.sealed, s.id, s.origin, s.count, s.cluster, c.size
             FROM samples s JOIN records r ON r.id = s.record JOIN generations g ON g.record = r.id
             JOIN clusters c ON c.id = s.cluster
             WHERE s.id > ?1 AND s.split = ?2 AND s.origin IN {} ORDER BY s.id LIMIT ?3",
            origin::learned()
        ))?;
        let mut rows = statement.query([self.last, self.split.code(), PAGE as i64])?;
        while let Some(row) = rows.next()? {
            self.last = row.get(3)?;
            let place = Table::Samples.row(self.last);
            let content: Content<String> = records::open_at(row, 0, &self.secrets.cipher, place)?;
            self.page.push_back(LearnableSample {
                id: SampleId(self.last),
                text: content.text,
                context: content.context,
                origin: origin::read(&self.connection, &self.secrets.cipher, row.get(4)?)?,
                count: row.get::<_, i64>(5)?.cast_unsigned(),
                cluster: ClusterId(row.get(6)?),
                cluster_size: row.get::<_, i64>(7)?.cast_unsigned(),
            });
        }
        self.ended = self.page.len() < PAGE;
        Ok(())
    }
}

impl Iterator for Learnable {
    type Item = Result<LearnableSample>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty()
            && !self.ended
            && let Err(fault) = self.next_page()
        {
            // Nothing after a failure: the order would have a hole.
            self.ended = true;
            self.page.clear();
            return Some(Err(fault.at(&self.path)));
        }
        self.page.pop_front().map(Ok)
    }
}

impl fmt::Debug for Learnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Learnable")
            .field("split", &self.split)
            .field("revision", &self.revision)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}
