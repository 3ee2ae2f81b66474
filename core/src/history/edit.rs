//! Edits: a message that comes again under the app's id with another text.
//!
//! The new text takes the old one's place, with all that comes with it; the message keeps its time where none comes. Nothing
//! changes
//! - by the same text, whatever comes with it: what a message answers is another in a later export if others deleted theirs;
//! - by a row with an earlier time than the message has (of its adding, where none came): it is an older state of it, as in
//!   a file that is added again;
//! - by a blank text: what the person deleted, an app removes ([`Selection::AppIds`](super::Selection::AppIds)).
//!
//! An id that was made of the text ([`identity`](super::identity)) comes with no other: there are no edits without an id of
//! the app's.
//!
//! The new text is entered before the old one goes: so it finds it among its near-duplicates, and what was changed a little
//! stays in its cluster and its split. The old one goes as by a removal and leaves no more, but nobody asked for it to be
//! forgotten: like what the retention cap takes it marks no version and ends no training, or who corrects themselves often
//! would have none that ends. The ledger counts it apart.

use rusqlite::{OptionalExtension, Transaction};

use super::database::Fault;
use super::records::{self, Content, Table};
use super::sample::NewSample;
use super::{Secrets, identity};

/// What the history has of a message.
pub(super) enum Standing {
    /// Nothing.
    Unknown,
    /// All that there is to it.
    Known,
    /// Another text.
    Edited(Message),
}

/// A message that is there.
#[derive(Clone, Copy)]
pub(super) struct Message {
    /// The number of the occurrence.
    pub occurrence: i64,
    pub time: i64,
}

/// What the history has of `sample`, whose id and hash are given.
pub(super) fn standing(
    transaction: &Transaction<'_>,
    secrets: &Secrets,
    sample: &NewSample,
    id: Option<&[u8; 16]>,
    repeat_hash: &[u8; 16],
) -> Result<Standing, Fault> {
    let Some(id) = id else { return Ok(Standing::Unknown) };
    let found: Option<(Message, [u8; 16], i64, i64)> = transaction
        .prepare_cached(
            "SELECT o.id, o.time, s.repeat_hash, s.id, s.record FROM occurrences o JOIN samples s ON s.id = o.sample
             WHERE o.app_id_hash = ?1",
        )?
        .query_row([id], |row| {
            let message = Message { occurrence: row.get(0)?, time: row.get(1)? };
            Ok((message, row.get(2)?, row.get(3)?, row.get(4)?))
        })
        .optional()?;
    let given = sample.id.is_some();
    let Some((message, known_hash, text, record)) = found else {
        let adopted = !given && identity::adopt(transaction, secrets, sample, repeat_hash, id)?;
        return Ok(if adopted { Standing::Known } else { Standing::Unknown });
    };
    if !given || known_hash == *repeat_hash || sample.timestamp.is_some_and(|time| time < message.time) {
        return Ok(Standing::Known);
    }
    let content: Content<String> = records::open(transaction, &secrets.cipher, Table::Samples.row(text), record)?;
    Ok(if content.text == sample.text { Standing::Known } else { Standing::Edited(message) })
}

impl Message {
    /// Gives its id to the one that takes its place.
    pub fn hand_over_id(self, transaction: &Transaction<'_>) -> Result<(), Fault> {
        let sql = "UPDATE occurrences SET app_id_hash = NULL WHERE id = ?1";
        transaction.prepare_cached(sql)?.execute([self.occurrence])?;
        Ok(())
    }
}
