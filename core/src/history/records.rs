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

/// Appends a sealed record; its number.
pub(super) fn append(connection: &Connection, cipher: &RecordCipher, content: &impl Serialize) -> Result<i64, Fault> {
    // These types always serialise: strings, and no maps.
    let plain = serde_json::to_vec(content).map(Zeroizing::new).map_err(|_| Fault::Record(0))?;
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
