//! How much is kept, and how long.

use std::time::Duration;

use rusqlite::Transaction;

use super::database::Fault;
use super::remove::{Reason, Removal};
use super::{History, settings};
use crate::error::Result;
use crate::time::now;

/// A cap on the history. It holds after every batch that is added; the oldest messages go first.
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
            expire(transaction, now())
        })?;
        if expired > 0 {
            self.truncate_log();
        }
        Ok(expired)
    }
}

fn read(connection: &rusqlite::Connection) -> rusqlite::Result<Retention> {
    let max_messages = settings::number(connection, settings::MAX_MESSAGES)?.map(i64::cast_unsigned);
    let max_age = settings::number(connection, settings::MAX_AGE)?.map(|age| Duration::from_secs(age.cast_unsigned()));
    Ok(Retention { max_messages, max_age })
}

/// Removes what exceeds the cap; how many messages.
pub(super) fn expire(transaction: &Transaction<'_>, now: i64) -> Result<u64, Fault> {
    let Retention { max_messages, max_age } = read(transaction)?;
    let mut removal = Removal::new(transaction, Reason::Retention);
    if let Some(age) = max_age {
        let oldest = now.saturating_sub(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        removal.occurrences("time < ?1", [oldest])?;
    }
    if let Some(most) = max_messages {
        let all: i64 = transaction.query_row("SELECT count(*) FROM occurrences", [], |row| row.get(0))?;
        let excess = all.cast_unsigned().saturating_sub(most);
        let sql = "SELECT id FROM occurrences ORDER BY time, id LIMIT 1";
        for _ in 0..excess {
            let id = transaction.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
            removal.occurrence(id)?;
        }
    }
    Ok(removal.finish()?.messages)
}
