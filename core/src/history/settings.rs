//! Named numbers in the database: the revision, the retention caps, what is left to do.

use rusqlite::{Connection, OptionalExtension, params};

/// Rises with every change of the samples.
pub(super) const REVISION: &str = "revision";
/// Rises with every removal that somebody asked for.
pub(super) const REMOVALS: &str = "removals";
/// Of these, those that all outside the history follows from.
pub(super) const FOLLOWED_REMOVALS: &str = "followed removals";
/// How many records are overwritten and not yet reclaimed.
pub(super) const OVERWRITTEN: &str = "overwritten records";
/// 1 while removed rows may still lie in the write-ahead log.
pub(super) const TRUNCATION_PENDING: &str = "truncation pending";
/// The most messages to keep.
pub(super) const MAX_MESSAGES: &str = "max messages";
/// The greatest age to keep, in seconds.
pub(super) const MAX_AGE: &str = "max age";
/// The number of the last change of the records.
pub(super) const GENERATION: &str = "generation";
/// The sum of keyed hashes over the records that are there.
pub(super) const SUM: &str = "sum";
/// 1 once there is an anchor beside the database.
pub(super) const ANCHORED: &str = "anchored";
/// What authenticates the three before, as bytes.
pub(super) const STANDING: &str = "standing";
/// The highest number of a record of an earlier release.
pub(super) const EARLIER_RECORDS: &str = "earlier records";
/// The record that opens with the right key only.
pub(super) const KEY_CHECK: &str = "key check";

pub(super) fn number(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT value FROM settings WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
        .map(Option::flatten)
}

pub(super) fn set(connection: &Connection, name: &str, value: impl Into<Option<i64>>) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO settings VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value")?
        .execute(params![name, value.into()])
        .map(drop)
}

pub(super) fn add(connection: &Connection, name: &str, amount: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO settings VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = coalesce(value, 0) + excluded.value",
        )?
        .execute(params![name, amount])
        .map(drop)
}
