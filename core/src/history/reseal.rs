//! Sealing the records of an earlier release again, in the format that binds them to their places.
//!
//! Schema 4 sets the earlier records aside. They are sealed again into the new table a step at a time, each step a
//! transaction; which are left is told by the rows that still point to them. So it goes on wherever a process was killed,
//! and several may be at it. When none is left, the earlier table goes whole. Nobody reads the history meanwhile.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction};
use zeroize::Zeroizing;

use super::database::Fault;
use super::records::{self, Place, Table};
use super::{Secrets, remove, settings, write};

/// The earlier format: a record was bound to a UUID beside it.
const FORMAT: u32 = 1;

/// Records that are sealed again in one transaction.
const STEP: i64 = 1000;

/// Whether earlier records are there.
pub(super) fn is_due(connection: &Connection) -> rusqlite::Result<bool> {
    connection.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'earlier_records'")?.exists([])
}

/// Seals all earlier records again.
pub(super) fn all(connection: &mut Connection, secrets: &Secrets) -> Result<(), Fault> {
    each(connection, secrets, &mut || true)
}

/// As [`all`], but for an end between two steps where `goes_on` says so.
pub(super) fn each(
    connection: &mut Connection,
    secrets: &Secrets,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<(), Fault> {
    while is_due(connection)? {
        for table in Table::ALL {
            let mut last = Some(i64::MIN);
            while let Some(from) = last {
                if !goes_on() {
                    return Ok(());
                }
                last = write(connection, secrets, |transaction| step(transaction, secrets, table, from))?;
            }
        }
        write(connection, secrets, |transaction| finish(transaction, secrets))?;
    }
    Ok(())
}

/// Seals some records of a table's rows behind `last` again; the last of them, if there were any.
fn step(transaction: &Transaction<'_>, secrets: &Secrets, table: Table, last: i64) -> Result<Option<i64>, Fault> {
    // Another process may have been faster.
    if !is_due(transaction)? {
        return Ok(None);
    }
    let name = table.name();
    let sql = format!(
        "SELECT t.id, t.record FROM {name} t JOIN earlier_records r ON r.id = t.record
         WHERE t.id > ?1 ORDER BY t.id LIMIT {STEP}"
    );
    let rows: Vec<(i64, i64)> = transaction
        .prepare(&sql)?
        .query_map([last], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut point = transaction.prepare(&format!("UPDATE {name} SET record = ?2 WHERE id = ?1"))?;
    for &(row, earlier) in &rows {
        let plain = open(transaction, secrets, "earlier_records", earlier)?;
        point.execute([row, records::append_plain(transaction, secrets, table.row(row), plain)?])?;
    }
    Ok(rows.last().map(|(row, _)| *row))
}

/// Takes the table of earlier records away once nothing points to it. It is emptied before, so that its pages are zeroed.
fn finish(transaction: &Transaction<'_>, secrets: &Secrets) -> Result<(), Fault> {
    if !is_due(transaction)? {
        return Ok(());
    }
    for table in Table::ALL {
        let name = table.name();
        let sql = format!("SELECT 1 FROM {name} t JOIN earlier_records r ON r.id = t.record LIMIT 1");
        if transaction.prepare(&sql)?.exists([])? {
            return Ok(());
        }
    }
    let check = records::append(transaction, secrets, Place::KEY_CHECK, &settings::KEY_CHECK)?;
    settings::set(transaction, settings::KEY_CHECK, check)?;
    transaction.execute_batch("DELETE FROM earlier_records; DROP TABLE earlier_records;")?;
    settings::set(transaction, settings::OVERWRITTEN, 0)?;
    remove::leaves_traces(transaction)?;
    Ok(())
}

/// Whether the key is that of an earlier database, whose records lie in `table`.
pub(super) fn is_key_of(connection: &Connection, secrets: &Secrets, table: &str, path: &Path) -> Result<bool, Fault> {
    let check = settings::number(connection, settings::KEY_CHECK)?
        .ok_or_else(|| crate::Error::bad_file(path, settings::KEY_CHECK, "missing"))?;
    match open(connection, secrets, table, check) {
        Err(Fault::Record(_)) => Ok(false),
        opened => opened.map(|_| true),
    }
}

fn open(connection: &Connection, secrets: &Secrets, table: &str, record: i64) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let sql = format!("SELECT uuid, sealed FROM {table} WHERE id = ?1 AND format = {FORMAT}");
    let found: Option<(Vec<u8>, Vec<u8>)> =
        connection.prepare_cached(&sql)?.query_row([record], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let plain = found.and_then(|(uuid, sealed)| {
        let associated = [&uuid[..], &FORMAT.to_le_bytes()].concat();
        secrets.cipher.open(&associated, &sealed)
    });
    plain.ok_or(Fault::Record(record))
}
