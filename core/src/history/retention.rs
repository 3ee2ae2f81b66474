//! How much is kept, and how long.

use std::time::Duration;

use rusqlite::{Connection, Transaction};

use super::database::Fault;
use super::remove::{Reason, Removal};
use super::{History, Secrets, settings};
use crate::error::Result;
use crate::time::now;

/// A cap on the history. It holds when the history is opened, after every batch that is added, and before a training; the
/// oldest messages go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// The most messages to keep, repeats included.
    pub max_messages: Option<u64>,
    /// The greatest age of a message.
    pub max_age: Option<Duration>,
}

impl History {
    /// The cap in force; none at first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn retention(&self) -> Result<Retention> {
        self.read(|connection| Ok(read(connection)?))
    }

    /// Sets the cap and applies it; how many messages went.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn set_retention(&self, retention: Retention) -> Result<u64> {
        let expired = self.write(|transaction| {
            let max_messages = retention.max_messages.map(|most| i64::try_from(most).unwrap_or(i64::MAX));
            let max_age = retention.max_age.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
            settings::set(transaction, settings::MAX_MESSAGES, max_messages)?;
            settings::set(transaction, settings::MAX_AGE, max_age)?;
            expire(transaction, &self.secrets, now())
        })?;
        if expired > 0 {
            self.truncate_log();
        }
        Ok(expired)
    }

    /// Applies the cap that is in force; how many messages went. An opening does so, and whatever adds or learns.
    ///
    /// # Errors
    /// When the database cannot be written; nothing went then.
    pub fn apply_retention(&self) -> Result<u64> {
        // Most times nothing is due: then nobody who writes is waited for.
        if !self.read(|connection| Ok(is_due(connection, now())?))? {
            return Ok(0);
        }
        let expired = self.write(|transaction| expire(transaction, &self.secrets, now()))?;
        self.truncate_log();
        Ok(expired)
    }
}

fn read(connection: &Connection) -> rusqlite::Result<Retention> {
    let max_messages = settings::number(connection, settings::MAX_MESSAGES)?.map(i64::cast_unsigned);
    let max_age = settings::number(connection, settings::MAX_AGE)?.map(|age| Duration::from_secs(age.cast_unsigned()));
    Ok(Retention { max_messages, max_age })
}

/// The first second that a cap on the age lets stay.
fn oldest(age: Duration, now: i64) -> i64 {
    now.saturating_sub(i64::try_from(age.as_secs()).unwrap_or(i64::MAX))
}

/// How many messages there are above the cap on their number.
fn excess(connection: &Connection, most: u64) -> rusqlite::Result<u64> {
    let all: i64 = connection.query_row("SELECT count(*) FROM occurrences", [], |row| row.get(0))?;
    Ok(all.cast_unsigned().saturating_sub(most))
}

/// Whether something exceeds the cap.
fn is_due(connection: &Connection, now: i64) -> rusqlite::Result<bool> {
    let Retention { max_messages, max_age } = read(connection)?;
    let mut before = connection.prepare_cached("SELECT 1 FROM occurrences WHERE time < ?1 LIMIT 1")?;
    let too_old = max_age.map(|age| before.exists([oldest(age, now)])).transpose()?;
    let too_many = max_messages.map(|most| excess(connection, most)).transpose()?;
    Ok(too_old == Some(true) || too_many.is_some_and(|excess| excess > 0))
}

/// Removes what exceeds the cap; how many messages.
pub(super) fn expire(transaction: &Transaction<'_>, secrets: &Secrets, now: i64) -> Result<u64, Fault> {
    let Retention { max_messages, max_age } = read(transaction)?;
    let mut removal = Removal::new(transaction, secrets, Reason::Retention);
    if let Some(age) = max_age {
        removal.occurrences("time < ?1", [oldest(age, now)])?;
    }
    if let Some(most) = max_messages {
        let sql = "SELECT id FROM occurrences ORDER BY time, id LIMIT 1";
        for _ in 0..excess(transaction, most)? {
            let id = transaction.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
            removal.occurrence(id)?;
        }
    }
    Ok(removal.finish()?.messages)
}
