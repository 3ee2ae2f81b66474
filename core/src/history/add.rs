//! Adding what was written, a batch at a time.

use std::collections::{HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::database::Fault;
use super::near::{BANDS, SIMILAR};
use super::records::{Circumstances, Content};
use super::sample::{Added, ClusterId, NewSample};
use super::{History, Secrets, exclusions, records, retention, settings, split};
use crate::error::{Error, ErrorKind, Result};

/// The longest text, context or name, in bytes.
const LONGEST: usize = 1 << 20;

/// Seconds of the years 1 to 9999: what lies outside is no time in seconds.
const TIMES: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A similar text that a band leads to is looked for among this many of the latest.
const LATEST: usize = 3;

/// At most this many of the texts found are unsealed and compared.
const COMPARED: usize = 6;

impl History {
    /// Adds a batch in one transaction: on return it is durable as a whole, after an error nothing of it is there.
    ///
    /// # Errors
    /// `BadData` for a text, context or name over 1 MiB or a time that is not in seconds (it names the place in the batch);
    /// `Io` when the disk is full or read-only, or another process writes for too long.
    pub fn add(&self, samples: &[NewSample]) -> Result<Added> {
        for (number, sample) in samples.iter().enumerate() {
            check(number, sample)?;
        }
        let now = now();
        let added = self.write(|transaction| {
            let mut batch = Batch::begin(transaction, &self.secrets)?;
            for sample in samples {
                batch.add(sample, now)?;
            }
            let mut added = batch.added;
            added.expired = retention::expire(transaction, now)?;
            if added.new + added.repeated + added.expired > 0 {
                settings::add(transaction, settings::REVISION, 1)?;
            }
            Ok(added)
        })?;
        if added.expired > 0 {
            self.truncate_log();
        } else {
            self.retry_truncation();
        }
        Ok(added)
    }
}

/// The time now, in seconds since 1970.
pub(super) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs().cast_signed())
}

fn check(number: usize, sample: &NewSample) -> Result<()> {
    let bad = |what: String| Err(Error::new(ErrorKind::BadData, format!("sample {number} of the batch: {what}")));
    let fields = [
        ("id", sample.id.as_ref()),
        ("text", Some(&sample.text)),
        ("context", sample.context.as_ref()),
        ("source", sample.source.as_ref()),
        ("contact", sample.contact.as_ref()),
        ("conversation", sample.conversation.as_ref()),
    ];
    for (field, value) in fields {
        if let Some(length) = value.map(String::len).filter(|&length| length > LONGEST) {
            return bad(format!("the {field} has {length} bytes, at most {LONGEST} are kept"));
        }
    }
    match sample.timestamp {
        Some(time) if !TIMES.contains(&time) => bad(format!("the timestamp {time} is not in seconds since 1970")),
        _ => Ok(()),
    }
}

/// A batch on its way in.
struct Batch<'a> {
    transaction: &'a Transaction<'a>,
    secrets: &'a Secrets,
    excluded: HashSet<[u8; 16]>,
    /// The sources met in this batch.
    sources: HashMap<&'a str, i64>,
    added: Added,
}

impl<'a> Batch<'a> {
    fn begin(transaction: &'a Transaction<'a>, secrets: &'a Secrets) -> Result<Self, Fault> {
        let excluded = exclusions::hashes(transaction)?;
        Ok(Self { transaction, secrets, excluded, sources: HashMap::new(), added: Added::default() })
    }

    fn add(&mut self, sample: &'a NewSample, now: i64) -> Result<(), Fault> {
        if sample.incognito {
            self.added.incognito += 1;
        } else if self.is_excluded(sample) {
            self.added.excluded += 1;
        } else if sample.text.trim().is_empty() {
            self.added.blank += 1;
        } else if self.is_known(sample)? {
            self.added.known += 1;
        } else {
            let repeat_hash = repeat_hash(self.secrets, sample);
            let id = match self.repeated(&repeat_hash)? {
                Some(id) => {
                    self.added.repeated += 1;
                    id
                }
                None => {
                    self.added.new += 1;
                    self.add_text(sample, &repeat_hash)?
                }
            };
            self.add_occurrence(id, sample, sample.timestamp.unwrap_or(now))?;
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

    fn is_known(&self, sample: &NewSample) -> Result<bool, Fault> {
        let Some(id) = &sample.id else { return Ok(false) };
        let mut statement = self.transaction.prepare_cached("SELECT 1 FROM occurrences WHERE app_id_hash = ?1")?;
        Ok(statement.exists([self.secrets.app_id_hash(id)])?)
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

    fn add_text(&self, sample: &NewSample, repeat_hash: &[u8; 16]) -> Result<i64, Fault> {
        let shingles = self.secrets.shingler.shingles(&sample.text);
        let bands = self.secrets.shingler.bands(&shingles);
        let (cluster, split) =
            match self.near(&bands, |text| self.secrets.shingler.shingles(text).similarity(&shingles))? {
                Some((cluster, split)) => {
                    self.grow(cluster)?;
                    (cluster, split)
                }
                None => {
                    let split =
                        split::draw(&self.secrets.hash, &sample.text, sample.conversation.as_deref(), sample.timestamp);
                    self.transaction
                        .prepare_cached("INSERT INTO clusters (split, size) VALUES (?1, 1)")?
                        .execute([split.code()])?;
                    (ClusterId(self.transaction.last_insert_rowid()), split.code())
                }
            };
        let content = Content { text: sample.text.as_str(), context: sample.context.as_deref() };
        let record = records::append(self.transaction, &self.secrets.cipher, &content)?;
        let [b0, b1, b2, b3, b4, b5] = bands;
        self.transaction
            .prepare_cached(
                "INSERT INTO samples (record, repeat_hash, cluster, split, origin, count,
                                      band_0, band_1, band_2, band_3, band_4, band_5)
                 VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![record, repeat_hash, cluster.0, split, sample.origin.code(), b0, b1, b2, b3, b4, b5])?;
        Ok(self.transaction.last_insert_rowid())
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
        for &(_, (_, record, cluster, split)) in candidates.iter().take(COMPARED) {
            let content: Content<String> = records::open(self.transaction, &self.secrets.cipher, record)?;
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

    fn add_occurrence(&mut self, id: i64, sample: &'a NewSample, time: i64) -> Result<(), Fault> {
        let circumstances = Circumstances {
            app_id: sample.id.as_deref(),
            contact: sample.contact.as_deref(),
            conversation: sample.conversation.as_deref(),
        };
        let sealed = sample.id.is_some() || sample.contact.is_some() || sample.conversation.is_some();
        let record =
            if sealed { Some(records::append(self.transaction, &self.secrets.cipher, &circumstances)?) } else { None };
        let source = sample.source.as_deref().map(|name| self.source(name)).transpose()?;
        let contact = sample.contact.as_ref().map(|name| self.secrets.contact_hash(name));
        let app_id = sample.id.as_ref().map(|id| self.secrets.app_id_hash(id));
        self.transaction
            .prepare_cached(
                "INSERT INTO occurrences (sample, time, source, contact_hash, app_id_hash, record)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![id, time, source, contact, app_id, record])?;
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
                let record = records::append(self.transaction, &self.secrets.cipher, &name)?;
                self.transaction
                    .prepare_cached("INSERT INTO sources (hash, record) VALUES (?1, ?2)")?
                    .execute(params![hash, record])?;
                self.transaction.last_insert_rowid()
            }
        };
        self.sources.insert(name, id);
        Ok(id)
    }
}

impl Secrets {
    pub(super) fn app_id_hash(&self, id: &str) -> [u8; 16] {
        self.hash.short("app id", &[id.as_bytes()])
    }
}

pub(super) fn source_id(connection: &Connection, hash: &[u8; 16]) -> Result<Option<i64>, Fault> {
    let mut statement = connection.prepare_cached("SELECT id FROM sources WHERE hash = ?1")?;
    Ok(statement.query_row([hash], |row| row.get(0)).optional()?)
}

/// Equal for exact repeats. The origin counts: a suggestion turned down is no sign that its text was written.
fn repeat_hash(secrets: &Secrets, sample: &NewSample) -> [u8; 16] {
    let origin = sample.origin.code().to_le_bytes();
    let text = sample.text.as_bytes();
    match &sample.context {
        None => secrets.hash.short("repeat", &[&origin, text]),
        Some(context) => secrets.hash.short("repeat", &[&origin, text, context.as_bytes()]),
    }
}
