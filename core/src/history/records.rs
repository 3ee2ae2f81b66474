//! The table of sealed records: append, open, overwrite.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::database::Fault;
use super::settings;
use crate::seal::{RecordCipher, random_bytes};

/// The format that records are written in. It is authenticated with each, so that later formats invalidate nothing.
const FORMAT: u32 = 1;

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

/// The bytes that go with a record's seal: its UUID and its format.
fn associated(uuid: &[u8; 16], format: u32) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes[..16].copy_from_slice(uuid);
    bytes[16..].copy_from_slice(&format.to_le_bytes());
    bytes
}

/// The bytes that so many take on the disk, so that the length of a record tells little of what it says: 64 at least, by 32
/// up to 512, then eight lengths to each doubling.
fn padded(length: usize) -> usize {
    length.next_multiple_of((length.next_power_of_two() / 16).max(32)).max(64)
}

/// Appends a sealed record; its number.
pub(super) fn append(connection: &Connection, cipher: &RecordCipher, content: &impl Serialize) -> Result<i64, Fault> {
    // These types always serialise: strings, and no maps.
    let mut plain = serde_json::to_vec(content).map(Zeroizing::new).map_err(|_| Fault::Record(0))?;
    // White space behind a value is none of it: records without are read alike.
    let length = padded(plain.len());
    plain.resize(length, b' ');
    let uuid = *uuid::Builder::from_random_bytes(random_bytes()?).as_uuid().as_bytes();
    let sealed = cipher.seal(&associated(&uuid, FORMAT), &plain)?;
    connection
        .prepare_cached("INSERT INTO records (uuid, format, sealed) VALUES (?1, ?2, ?3)")?
        .execute(params![uuid, FORMAT, sealed])?;
    Ok(connection.last_insert_rowid())
}

/// Opens the record whose `id, uuid, format, sealed` begin at a column of `row`.
pub(super) fn open_at<T: DeserializeOwned>(row: &Row<'_>, column: usize, cipher: &RecordCipher) -> Result<T, Fault> {
    let id = row.get(column)?;
    let damaged = || Fault::Record(id);
    let uuid = row.get_ref(column + 1)?.as_blob().map_err(|_| damaged())?;
    let uuid = Uuid::from_slice(uuid).map_err(|_| damaged())?;
    let format: u32 = row.get(column + 2)?;
    let sealed = row.get_ref(column + 3)?.as_blob().map_err(|_| damaged())?;
    let plain = cipher.open(&associated(uuid.as_bytes(), format), sealed).ok_or_else(damaged)?;
    serde_json::from_slice(&plain).map_err(|_| damaged())
}

/// Opens a record by its number.
pub(super) fn open<T: DeserializeOwned>(connection: &Connection, cipher: &RecordCipher, id: i64) -> Result<T, Fault> {
    connection
        .prepare_cached("SELECT id, uuid, format, sealed FROM records WHERE id = ?1")?
        .query_row([id], |row| Ok(open_at(row, 0, cipher)))
        .optional()?
        .unwrap_or(Err(Fault::Record(id)))
}

/// Overwrites a record with zeros, in its place: a row of the same size is written over, nothing is moved or copied.
pub(super) fn overwrite(connection: &Connection, id: i64) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "UPDATE records SET uuid = zeroblob(length(uuid)), sealed = zeroblob(length(sealed)) WHERE id = ?1",
        )?
        .execute([id])?;
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
    if overwritten > all / 2 { rewrite(connection, "uuid <> zeroblob(16)") } else { Ok(()) }
}

/// Keeps the records that meet a condition. The old pages are zeroed whole (`secure_delete`); the new ones are filled in
/// order, like the old. (Emptied before it is dropped: SQLite keeps what a `DROP` frees in memory until it is done.)
pub(super) fn rewrite(connection: &Connection, kept: &str) -> Result<(), Fault> {
    connection.execute_batch(&format!(
        "CREATE TABLE kept (id INTEGER PRIMARY KEY, uuid BLOB NOT NULL, format INTEGER NOT NULL, sealed BLOB NOT NULL);
         INSERT INTO kept SELECT id, uuid, format, sealed FROM records WHERE {kept} ORDER BY id;
         DELETE FROM records;
         DROP TABLE records;
         ALTER TABLE kept RENAME TO records;"
    ))?;
    settings::set(connection, settings::OVERWRITTEN, 0)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::schema;
    use crate::seal::{Key, Purpose};

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
    fn a_record_hides_its_length_and_one_of_an_earlier_release_opens() {
        let mut connection = Connection::open_in_memory().unwrap();
        let transaction = connection.transaction().unwrap();
        schema::migrate(&transaction, 0, schema::VERSION).unwrap();
        let cipher = RecordCipher::new(&Key::from_bytes(&[7; 32]).unwrap(), Purpose::HistoryRecords);
        let lengths = ["no", "on my way home"].map(|text| {
            let record = append(&transaction, &cipher, &Content { text, context: None }).unwrap();
            let content: Content<String> = open(&transaction, &cipher, record).unwrap();
            assert_eq!((content.text.as_str(), content.context), (text, None));
            let sql = "SELECT length(sealed) FROM records WHERE id = ?1";
            transaction.query_row(sql, [record], |row| row.get::<_, i64>(0)).unwrap()
        });
        assert_eq!(lengths[0], lengths[1]);
        let sealed = cipher.seal(&associated(&[5; 16], FORMAT), br#"{"t":"no"}"#).unwrap();
        let sql = "INSERT INTO records (uuid, format, sealed) VALUES (?1, ?2, ?3)";
        transaction.execute(sql, params![[5_u8; 16], FORMAT, sealed]).unwrap();
        let content: Content<String> = open(&transaction, &cipher, transaction.last_insert_rowid()).unwrap();
        assert_eq!(content.text, "no");
    }
}
