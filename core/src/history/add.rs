//! Adding what was written, a batch at a time.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::database::Fault;
use super::edit::{self, Standing};
use super::identity::Ids;
use super::near::{BANDS, SIMILAR};
use super::records::{Circumstances, Content, Table};
use super::remove::{Reason, Removal};
use super::sample::{Added, ClusterId, NewSample};
use super::{History, Secrets, exclusions, origin, records, retention, settings, split};
use crate::error::{Error, ErrorKind, Result};
use crate::time::now;
use crate::trace::{self, Event};

/// Messages of a file or a chat that are added in one durable batch: so long another process that writes waits.
const BATCH: usize = 1000;

/// A similar text that a band leads to is looked for among this many of the latest.
const LATEST: usize = 3;

/// At most this many of the texts found are unsealed and compared.
const COMPARED: usize = 6;

impl History {
    /// Adds a batch in one transaction: on return it is durable as a whole, after an error nothing of it is there.
    ///
    /// A message with an id that the history has is not added again; with another text it is an edit, which takes the old
    /// text's place. Of several with one id in a batch the last one stands, or the one with the latest time. Without an id,
    /// one with a time is known by what it says, where and when, and of several in a batch by its ordinal; one without a
    /// time is always another.
    ///
    /// # Errors
    /// `BadData` for a text, context or name over 1 MiB or a time that is not in seconds (it names the place in the batch);
    /// `Io` when the disk is full or read-only, or another process writes for too long.
    pub fn add(&self, samples: &[NewSample]) -> Result<Added> {
        check(samples)?;
        self.add_batch(samples, &mut Ids::new(&self.secrets, samples, false))
    }

    /// Adds all messages of a file or an exported chat, in durable batches. Those without an id are known by what they
    /// say, where and when, with a time or without, and by their ordinal among equals: added again, or in a later export
    /// with more, nothing counts twice.
    ///
    /// # Errors
    /// As [`History::add`]. Batches before the one that failed are there; added again, the others follow.
    pub fn add_all(&self, samples: &[NewSample]) -> Result<Added> {
        check(samples)?;
        let mut ids = Ids::new(&self.secrets, samples, true);
        let mut added = Added::default();
        for batch in samples.chunks(BATCH) {
            added += self.add_batch(batch, &mut ids)?;
        }
        Ok(added)
    }

    fn add_batch(&self, samples: &[NewSample], ids: &mut Ids<'_>) -> Result<Added> {
        let now = now();
        let added = self.write(|transaction| {
            let mut batch = Batch::begin(transaction, &self.secrets)?;
            for sample in samples {
                batch.add(sample, ids, now)?;
            }
            let mut added = batch.finish()?;
            added.expired = retention::expire(transaction, &self.secrets, now)?;
            Ok(added)
        })?;
        if added.expired + added.replaced > 0 {
            self.truncate_log();
        } else {
            self.retry_truncation();
        }
        trace::tell(Event::HistoryAdded {
            new: added.new,
            repeated: added.repeated,
            known: added.known,
            replaced: added.replaced,
            refused: added.excluded + added.incognito + added.blank,
            expired: added.expired,
        });
        Ok(added)
    }
}

fn check(samples: &[NewSample]) -> Result<()> {
    for (number, sample) in samples.iter().enumerate() {
        sample
            .check()
            .map_err(|what| Error::new(ErrorKind::BadData, format!("sample {number} of the batch: {what}")))?;
    }
    Ok(())
}

/// A batch on its way in.
struct Batch<'a> {
    transaction: &'a Transaction<'a>,
    secrets: &'a Secrets,
    excluded: HashSet<[u8; 16]>,
    /// The sources met in this batch.
    sources: HashMap<&'a str, i64>,
    /// What edits replace.
    replaced: Removal<'a>,
    added: Added,
}

impl<'a> Batch<'a> {
    fn begin(transaction: &'a Transaction<'a>, secrets: &'a Secrets) -> Result<Self, Fault> {
        let excluded = exclusions::hashes(transaction)?;
        Ok(Self {
            transaction,
            secrets,
            excluded,
            sources: HashMap::new(),
            replaced: Removal::new(transaction, secrets, Reason::Edit),
            added: Added::default(),
        })
    }

    fn finish(self) -> Result<Added, Fault> {
        if self.added.new + self.added.repeated > 0 {
            settings::add(self.transaction, settings::REVISION, 1)?;
        }
        self.replaced.finish()?;
        Ok(self.added)
    }

    fn add(&mut self, sample: &'a NewSample, ids: &mut Ids<'_>, now: i64) -> Result<(), Fault> {
        if sample.incognito {
            self.added.incognito += 1;
        } else if self.is_excluded(sample) {
            self.added.excluded += 1;
        } else if sample.text.trim().is_empty() {
            self.added.blank += 1;
        } else if ids.comes_again(sample) {
            self.added.known += 1;
        } else {
            let (id, repeat_hash) = (ids.next(sample), repeat_hash(self.secrets, sample));
            let edited = match edit::standing(self.transaction, self.secrets, sample, id.as_ref(), &repeat_hash)? {
                Standing::Known => {
                    self.added.known += 1;
                    return Ok(());
                }
                Standing::Edited(message) => Some(message),
                Standing::Unknown => None,
            };
            if let Some(message) = edited {
                message.hand_over_id(self.transaction)?;
            }
            let time = sample.timestamp.or(edited.map(|message| message.time));
            let (text, is_new) = match self.repeated(&repeat_hash)? {
                Some(text) => (text, false),
                None => (self.add_text(sample, time, &repeat_hash)?, true),
            };
            self.add_occurrence(text, sample, id, time.unwrap_or(now))?;
            if let Some(message) = edited {
                self.replaced.occurrence(message.occurrence)?;
                self.added.replaced += 1;
            } else if is_new {
                self.added.new += 1;
            } else {
                self.added.repeated += 1;
            }
        }
        Ok(())
    }

    fn is_excluded(&self, sample: &NewSample) -> bool {
        if self.excluded.is_empty() {
            return false;
        }
        let source = sample.source.as_ref().map(|name| self.secrets.source_hash(name));
        let contact = sample.contact.as_ref().map(|name| self.secrets.contact_hash(name));
        [source, contact].into_iter().flatten().any(|hash| self.excluded.contains(&hash))
    }

    /// The sample with the same text, context and origin, counted once more.
    fn repeated(&self, repeat_hash: &[u8; 16]) -> Result<Option<i64>, Fault> {
        let sql = "UPDATE samples SET count = count + 1 WHERE repeat_hash = ?1 RETURNING id, cluster";
        let found: Option<(i64, i64)> = self
            .transaction
            .prepare_cached(sql)?
            .query_row([repeat_hash], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((id, cluster)) = found else { return Ok(None) };
        self.grow(ClusterId(cluster))?;
        Ok(Some(id))
    }

    /// Enters a text that is not there; `time` is when it was written, where that is known.
    fn add_text(&self, sample: &NewSample, time: Option<i64>, repeat_hash: &[u8; 16]) -> Result<i64, Fault> {
        let shingles = self.secrets.shingler.shingles(&sample.text);
        let bands = self.secrets.shingler.bands(&shingles);
        let (cluster, split) =
            match self.near(&bands, |text| self.secrets.shingler.shingles(text).similarity(&shingles))? {
                Some((cluster, split)) => {
                    self.grow(cluster)?;
                    (cluster, split)
                }
                None => {
                    let split = split::of_new(self.transaction, self.secrets, sample, time)?;
                    self.transaction
                        .prepare_cached("INSERT INTO clusters (split, size) VALUES (?1, 1)")?
                        .execute([split.code()])?;
                    (ClusterId(self.transaction.last_insert_rowid()), split.code())
                }
            };
        let content = Content { text: sample.text.as_str(), context: sample.context.as_deref() };
        let origin = origin::enter(self.transaction, self.secrets, &sample.origin)?;
        let [b0, b1, b2, b3, b4, b5] = bands;
        self.transaction
            .prepare_cached(
                "INSERT INTO samples (record, repeat_hash, cluster, split, origin, count,
                                      band_0, band_1, band_2, band_3, band_4, band_5)
                 VALUES (0, ?1, ?2, ?3, ?4, 1, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![repeat_hash, cluster.0, split, origin, b0, b1, b2, b3, b4, b5])?;
        let text = self.transaction.last_insert_rowid();
        records::append_of(self.transaction, self.secrets, Table::Samples, text, &content)?;
        Ok(text)
    }

    /// The cluster and split of the most similar text, if one is a near-duplicate.
    fn near(&self, bands: &[i64; BANDS], similarity: impl Fn(&str) -> f64) -> Result<Option<(ClusterId, i64)>, Fault> {
        let mut agreeing: HashMap<i64, (usize, i64, i64, i64)> = HashMap::new();
        for (band, value) in bands.iter().enumerate() {
            let sql = format!(
                "SELECT id, record, cluster, split FROM samples WHERE band_{band} = ?1 ORDER BY id DESC LIMIT {LATEST}"
            );
            let mut statement = self.transaction.prepare_cached(&sql)?;
            let mut rows = statement.query([value])?;
            while let Some(row) = rows.next()? {
                let found = agreeing.entry(row.get(0)?).or_insert((0, row.get(1)?, row.get(2)?, row.get(3)?));
                found.0 += 1;
            }
        }
        let mut candidates: Vec<_> = agreeing.into_iter().collect();
        // Most bands first; among equals the earliest, so that the outcome does not hang on the map's order.
        candidates.sort_unstable_by_key(|&(id, (bands, ..))| (std::cmp::Reverse(bands), id));
        let mut best: Option<(f64, (ClusterId, i64))> = None;
        for &(text, (_, record, cluster, split)) in candidates.iter().take(COMPARED) {
            let place = Table::Samples.row(text);
            let content: Content<String> = records::open(self.transaction, &self.secrets.cipher, place, record)?;
            let similarity = similarity(&content.text);
            if similarity >= SIMILAR && best.is_none_or(|(best, _)| similarity > best) {
                best = Some((similarity, (ClusterId(cluster), split)));
            }
            if similarity >= 1.0 {
                break;
            }
        }
        Ok(best.map(|(_, found)| found))
    }

    fn grow(&self, cluster: ClusterId) -> Result<(), Fault> {
        let sql = "UPDATE clusters SET size = size + 1 WHERE id = ?1";
        self.transaction.prepare_cached(sql)?.execute([cluster.0])?;
        Ok(())
    }

    fn add_occurrence(
        &mut self,
        text: i64,
        sample: &'a NewSample,
        id: Option<[u8; 16]>,
        time: i64,
    ) -> Result<(), Fault> {
        let circumstances = Circumstances {
            app_id: sample.id.as_deref(),
            contact: sample.contact.as_deref(),
            conversation: sample.conversation.as_deref(),
        };
        let sealed = sample.id.is_some() || sample.contact.is_some() || sample.conversation.is_some();
        let source = sample.source.as_deref().map(|name| self.source(name)).transpose()?;
        let contact = sample.contact.as_ref().map(|name| self.secrets.contact_hash(name));
        self.transaction
            .prepare_cached(
                "INSERT INTO occurrences (sample, time, source, contact_hash, app_id_hash) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![text, time, source, contact, id])?;
        if sealed {
            let occurrence = self.transaction.last_insert_rowid();
            records::append_of(self.transaction, self.secrets, Table::Occurrences, occurrence, &circumstances)?;
        }
        Ok(())
    }

    /// The number of a source, entered if it is new.
    fn source(&mut self, name: &'a str) -> Result<i64, Fault> {
        if let Some(&id) = self.sources.get(name) {
            return Ok(id);
        }
        let hash = self.secrets.source_hash(name);
        let id = match source_id(self.transaction, &hash)? {
            Some(id) => id,
            None => {
                self.transaction
                    .prepare_cached("INSERT INTO sources (hash, record) VALUES (?1, 0)")?
                    .execute([hash])?;
                let id = self.transaction.last_insert_rowid();
                records::append_of(self.transaction, self.secrets, Table::Sources, id, &name)?;
                id
            }
        };
        self.sources.insert(name, id);
        Ok(id)
    }
}

pub(super) fn source_id(connection: &Connection, hash: &[u8; 16]) -> Result<Option<i64>, Fault> {
    let mut statement = connection.prepare_cached("SELECT id FROM sources WHERE hash = ?1")?;
    Ok(statement.query_row([hash], |row| row.get(0)).optional()?)
}

/// Equal for exact repeats. The origin counts: a suggestion turned down is no sign that its text was written.
fn repeat_hash(secrets: &Secrets, sample: &NewSample) -> [u8; 16] {
    let origin = sample.origin.hashed();
    let text = sample.text.as_bytes();
    match &sample.context {
        None => secrets.hash.short("repeat", &[&origin, text]),
        Some(context) => secrets.hash.short("repeat", &[&origin, text, context.as_bytes()]),
    }
}
