//! The table of sealed records: append, open, overwrite.
//!
//! A record is bound to its place: what it belongs to, its number and its generation are authenticated with it. A
//! generation is given once, so that no record can stand in for another, not even for a later one in the same place; and
//! which records there are is authenticated as a whole ([`generation`](super::generation)).

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::database::Fault;
use super::{Secrets, generation, settings};
use crate::seal::RecordCipher;

/// The format that records are written in; [`reseal`](super::reseal) knows the one before.
const FORMAT: u32 = 2;

/// Overwritten records are reclaimed when there are this many, and more than there are others.
const RECLAIM: i64 = 4096;

/// What a sample's record seals.
#[derive(Serialize, Deserialize)]
pub(super) struct Content<S> {
    #[serde(rename = "t")]
    pub text: S,
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    pub context: Option<S>,
}

/// What an occurrence's record seals.
#[derive(Serialize, Deserialize)]
pub(super) struct Circumstances<S> {
    #[serde(rename = "i", skip_serializing_if = "Option::is_none")]
    pub app_id: Option<S>,
    #[serde(rename = "p", skip_serializing_if = "Option::is_none")]
    pub contact: Option<S>,
    #[serde(rename = "v", skip_serializing_if = "Option::is_none")]
    pub conversation: Option<S>,
}

impl<S> Default for Circumstances<S> {
    fn default() -> Self {
        Self { app_id: None, contact: None, conversation: None }
    }
}

/// A table whose rows have records, in their column `record`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Samples,
    Occurrences,
    Sources,
    Exclusions,
    Origins,
}

impl Table {
    pub const ALL: [Self; 5] = [Self::Samples, Self::Occurrences, Self::Sources, Self::Exclusions, Self::Origins];

    pub fn name(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Occurrences => "occurrences",
            Self::Sources => "sources",
            Self::Exclusions => "exclusions",
            Self::Origins => "origins",
        }
    }

    /// The record of a row.
    pub fn row(self, row: i64) -> Place {
        Place(self.name(), row)
    }
}

/// What a record belongs to: a table, and a row in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(&'static str, i64);

impl Place {
    /// The record that opens with the right key only.
    pub const KEY_CHECK: Self = Self("settings", 0);

    /// The bytes that go with the seal of its record.
    fn associated(self, record: i64, generation: i64) -> Vec<u8> {
        let Self(table, row) = self;
        let numbers = [row, record, generation].map(i64::to_le_bytes).concat();
        [&FORMAT.to_le_bytes(), &numbers[..], table.as_bytes()].concat()
    }
}

/// The bytes that so many take on the disk, so that the length of a record tells little of what it says: 64 at least, by 32
/// up to 512, then eight lengths to each doubling.
fn padded(length: usize) -> usize {
    length.next_multiple_of((length.next_power_of_two() / 16).max(32)).max(64)
}

/// Appends the sealed record of a place; its number.
pub(super) fn append(
    connection: &Connection,
    secrets: &Secrets,
    place: Place,
    content: &impl Serialize,
) -> Result<i64, Fault> {
    // These types always serialise: strings, and no maps.
    let plain = serde_json::to_vec(content).map(Zeroizing::new).map_err(|_| Fault::Record(0))?;
    append_plain(connection, secrets, place, plain)
}

/// As [`append`], of what it serialises to.
pub(super) fn append_plain(
    connection: &Connection,
    secrets: &Secrets,
    place: Place,
    mut plain: Zeroizing<Vec<u8>>,
) -> Result<i64, Fault> {
    // White space behind a value is none of it.
    let length = padded(plain.len());
    plain.resize(length, b' ');
    let last: Option<i64> =
        connection.prepare_cached("SELECT max(id) FROM records")?.query_row([], |row| row.get(0))?;
    let earlier = settings::number(connection, settings::EARLIER_RECORDS)?.unwrap_or(0);
    let record = last.unwrap_or(0).max(earlier) + 1;
    let generation = generation::enter(connection, secrets, record)?;
    let sealed = secrets.cipher.seal(&place.associated(record, generation), &plain)?;
    connection.prepare_cached("INSERT INTO records (id, sealed) VALUES (?1, ?2)")?.execute(params![record, sealed])?;
    Ok(record)
}

/// Appends the record of a row that has none yet.
pub(super) fn append_of(
    connection: &Connection,
    secrets: &Secrets,
    table: Table,
    row: i64,
    content: &impl Serialize,
) -> Result<(), Fault> {
    let record = append(connection, secrets, table.row(row), content)?;
    let sql = format!("UPDATE {} SET record = ?2 WHERE id = ?1", table.name());
    connection.prepare_cached(&sql)?.execute([row, record])?;
    Ok(())
}

/// Opens the record whose number, generation and seal begin at a column of `row`.
pub(super) fn open_at<T: DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
    cipher: &RecordCipher,
    place: Place,
) -> Result<T, Fault> {
    let record = row.get(column)?;
    let damaged = || Fault::Record(record);
    let generation = row.get(column + 1)?;
    let sealed = row.get_ref(column + 2)?.as_blob().map_err(|_| damaged())?;
    let plain = cipher.open(&place.associated(record, generation), sealed).ok_or_else(damaged)?;
    serde_json::from_slice(&plain).map_err(|_| damaged())
}

/// Opens the record of a place by its number.
pub(super) fn open<T: DeserializeOwned>(
    connection: &Connection,
    cipher: &RecordCipher,
    place: Place,
    record: i64,
) -> Result<T, Fault> {
    connection
        .prepare_cached(
            "SELECT r.id, g.generation, r.sealed FROM records r JOIN generations g ON g.record = r.id WHERE r.id = ?1",
        )?
        .query_row([record], |row| Ok(open_at(row, 0, cipher, place)))
        .optional()?
        .unwrap_or(Err(Fault::Record(record)))
}

/// Overwrites a record with zeros, in its place: a row of the same size is written over, nothing is moved or copied.
pub(super) fn overwrite(connection: &Connection, secrets: &Secrets, record: i64) -> Result<(), Fault> {
    generation::leave(connection, secrets, record)?;
    connection
        .prepare_cached("UPDATE records SET sealed = zeroblob(length(sealed)) WHERE id = ?1")?
        .execute([record])?;
    settings::add(connection, settings::OVERWRITTEN, 1)?;
    Ok(())
}

/// Gives the room of overwritten records back once they outweigh the others.
pub(super) fn reclaim(connection: &Connection) -> Result<(), Fault> {
    let overwritten = settings::number(connection, settings::OVERWRITTEN)?.unwrap_or(0);
    if overwritten < RECLAIM {
        return Ok(());
    }
    let all: i64 = connection.query_row("SELECT count(*) FROM records", [], |row| row.get(0))?;
    if overwritten > all / 2 { rewrite(connection) } else { Ok(()) }
}

/// Keeps the records that have a generation. The old pages are zeroed whole (`secure_delete`); the new ones are filled in
/// order, like the old. (Emptied before it is dropped: SQLite keeps what a `DROP` frees in memory until it is done.)
pub(super) fn rewrite(connection: &Connection) -> Result<(), Fault> {
    connection.execute_batch(
        "CREATE TABLE kept (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
         INSERT INTO kept SELECT id, sealed FROM records WHERE id IN (SELECT record FROM generations) ORDER BY id;
         DELETE FROM records;
         DROP TABLE records;
         ALTER TABLE kept RENAME TO records;",
    )?;
    settings::set(connection, settings::OVERWRITTEN, 0)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::schema;
    use crate::seal::Key;

    #[test]
    fn lengths_come_in_steps() {
        for (length, expected) in [
            (0, 64),
            (64, 64),
            (65, 96),
            (500, 512),
            (512, 512),
            (513, 576),
            (1000, 1024),
            (1025, 1152),
            (1 << 20, 1 << 20),
        ] {
            assert_eq!(padded(length), expected, "{length}");
        }
        assert!((512..100_000).all(|length| (padded(length) - length) * 8 <= length));
    }

    #[test]
    fn a_record_opens_in_its_place_and_generation_alone_and_hides_its_length() {
        let mut connection = Connection::open_in_memory().unwrap();
        let transaction = connection.transaction().unwrap();
        schema::migrate(&transaction, 0, schema::VERSION).unwrap();
        let secrets = |key| Secrets::new(&Key::from_bytes(&[key; 32]).unwrap()).unwrap();
        let own = secrets(7);
        let texts = ["no", "on my way home"];
        let append = |row: i64| {
            let content = Content { text: texts[row as usize - 1], context: None };
            append(&transaction, &own, Table::Samples.row(row), &content).unwrap()
        };
        let records = [1, 2].map(append);
        let lengths = records.map(|record| {
            let sql = "SELECT length(sealed) FROM records WHERE id = ?1";
            transaction.query_row(sql, [record], |row| row.get::<_, i64>(0)).unwrap()
        });
        assert_eq!(lengths[0], lengths[1]);
        let open = |secrets: &Secrets, place: Place, record: i64| {
            let content: Result<Content<String>, Fault> = open(&transaction, &secrets.cipher, place, record);
            content.ok().map(|content| content.text)
        };
        let first = Table::Samples.row(1);
        for (what, secrets, place, record, opens) in [
            ("its own", &own, first, records[0], true),
            ("another row", &own, Table::Samples.row(2), records[0], false),
            ("another table", &own, Table::Occurrences.row(1), records[0], false),
            ("another record", &own, first, records[1], false),
            ("none", &own, first, 99, false),
            ("another key", &secrets(8), first, records[0], false),
        ] {
            assert_eq!(open(secrets, place, record), opens.then(|| "no".into()), "{what}");
        }
        transaction.execute("UPDATE generations SET generation = generation + 1", []).unwrap();
        assert_eq!(open(&own, first, records[0]), None, "another generation");
    }
}
