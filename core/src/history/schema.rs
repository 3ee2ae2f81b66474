//! The database's tables, a file a version: a database of any earlier version is brought up to date when it is opened.
//!
//! Migrations change tables only. Where records have to be sealed again, they are set aside for [`reseal`](super::reseal).

use std::path::Path;

use rusqlite::{Connection, Transaction};

use super::database::Fault;
use crate::error::Error;

/// Marks the database as ours in its header: "Idio".
const APPLICATION: i32 = 0x4964_696f;

/// What leads from each version to the next. Steps that were released never change.
const STEPS: [&str; 4] = [
    include_str!("schema/1_samples.sql"),
    include_str!("schema/2_ledger.sql"),
    include_str!("schema/3_edits.sql"),
    include_str!("schema/4_generations.sql"),
];

/// The version that this library writes.
pub(super) const VERSION: usize = STEPS.len();

/// The version of a database that is empty or ours.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<usize, Fault> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let empty = application == 0 && version == 0 && tables == 0;
    if application != APPLICATION && !empty {
        return Err(Error::bad_file(path, "application_id", "a database, but no history of Idiolect").into());
    }
    match usize::try_from(version) {
        Ok(version) if version <= VERSION => Ok(version),
        _ => Err(Error::unsupported(path, "user_version", format!("schema {version}, this library knows {VERSION}"))
            .with_hint("a newer Idiolect wrote it: update this one")
            .into()),
    }
}

/// Brings a database from `version` to `to`.
pub(super) fn migrate(transaction: &Transaction<'_>, version: usize, to: usize) -> rusqlite::Result<()> {
    for step in &STEPS[version..to] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", to as i64)
}
