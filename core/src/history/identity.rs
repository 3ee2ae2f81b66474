//! How a message without an id of the app's is known again, so that a file or an exported chat can be added again, or a
//! later export of it, and nothing counts twice.
//!
//! It gets an id: a keyed hash of what it says and where and when it stands, and of its ordinal among those that are equal
//! in all this. So the two "ok" of one minute stay two, and are the same two when the file comes again.
//!
//! Only what a later export of the same chat tells in the same way takes part:
//! - source, origin and text;
//! - the conversation, or where there is none the contact. Of a chat both depend on the others' messages, but the
//!   conversation on its beginning alone;
//! - the time, or where there is none what the message answers. Beside a time the context is left out: it changes when one
//!   of its messages is deleted or edited, or the export begins later.
//!
//! A message that an app adds by itself and without a time gets no id: the next "ok" is another one. The rows of a file
//! get theirs without a time too.

use std::collections::HashMap;

use rusqlite::{Transaction, params};

use super::Secrets;
use super::add::source_id;
use super::database::Fault;
use super::sample::NewSample;

/// The ids of messages that are added together.
pub(super) struct Ids<'a> {
    secrets: &'a Secrets,
    /// Of each id of the app's, the message that stands.
    standing: HashMap<&'a str, &'a NewSample>,
    /// Whether they are all messages of a file or a chat.
    whole: bool,
    /// How many there were of each so far.
    equals: HashMap<[u8; 16], u64>,
}

impl<'a> Ids<'a> {
    /// Those of `samples`; `whole` as above.
    pub fn new(secrets: &'a Secrets, samples: &'a [NewSample], whole: bool) -> Self {
        let mut standing: HashMap<&str, &NewSample> = HashMap::new();
        for sample in samples.iter().filter(|sample| sample.says_something()) {
            let Some(id) = &sample.id else { continue };
            let stands = standing.entry(id).or_insert(sample);
            if sample.timestamp.zip(stands.timestamp).is_none_or(|(time, other)| time >= other) {
                *stands = sample;
            }
        }
        Self { secrets, standing, whole, equals: HashMap::new() }
    }

    /// Whether the app's id of this message is that of another, too, which stands in its place.
    pub fn comes_again(&self, sample: &NewSample) -> bool {
        let id = sample.id.as_deref();
        id.and_then(|id| self.standing.get(id)).is_some_and(|stands| !std::ptr::eq(*stands, sample))
    }

    /// The id of the next message, as the database keeps it.
    pub fn next(&mut self, sample: &NewSample) -> Option<[u8; 16]> {
        if let Some(id) = &sample.id {
            return Some(self.secrets.app_id_hash(id));
        }
        if sample.timestamp.is_none() && !self.whole {
            return None;
        }
        let equal = self.secrets.equals_hash(sample);
        let ordinal = self.equals.entry(equal).or_default();
        let id = self.secrets.hash.short("derived id", &[&equal, &ordinal.to_le_bytes()]);
        *ordinal += 1;
        Some(id)
    }
}

impl Secrets {
    pub(super) fn app_id_hash(&self, id: &str) -> [u8; 16] {
        self.hash.short("app id", &[id.as_bytes()])
    }

    /// The same for messages that only their ordinals tell apart.
    fn equals_hash(&self, sample: &NewSample) -> [u8; 16] {
        let nothing: (&str, &[u8]) = ("", &[]);
        let time = sample.timestamp.map(i64::to_le_bytes);
        let source = sample.source.as_ref().map_or(nothing, |source| ("source", source.as_bytes()));
        let place = match (&sample.conversation, &sample.contact) {
            (Some(conversation), _) => ("conversation", conversation.as_bytes()),
            (None, Some(contact)) => ("contact", contact.as_bytes()),
            (None, None) => nothing,
        };
        let when = match (&time, &sample.context) {
            (Some(time), _) => ("time", &time[..]),
            (None, Some(context)) => ("context", context.as_bytes()),
            (None, None) => nothing,
        };
        let origin = sample.origin.hashed();
        let parts = [source, place, when].into_iter().flat_map(|(kind, value)| [kind.as_bytes(), value]);
        let parts: Vec<&[u8]> = [&origin[..], sample.text.as_bytes()].into_iter().chain(parts).collect();
        self.hash.short("equals", &parts)
    }
}

/// Gives the id to an occurrence of the same message that has none, and says whether there was one: earlier releases gave
/// no ids of their own. Of a message without a time there is none to be found, for what was kept is when it was added.
pub(super) fn adopt(
    transaction: &Transaction<'_>,
    secrets: &Secrets,
    sample: &NewSample,
    repeat_hash: &[u8; 16],
    id: &[u8; 16],
) -> Result<bool, Fault> {
    let Some(time) = sample.timestamp else { return Ok(false) };
    let source = match &sample.source {
        None => None,
        Some(name) => match source_id(transaction, &secrets.source_hash(name))? {
            None => return Ok(false),
            found => found,
        },
    };
    let contact = sample.contact.as_ref().map(|name| secrets.contact_hash(name));
    let sql = "UPDATE occurrences SET app_id_hash = ?1 WHERE id =
                   (SELECT o.id FROM samples s CROSS JOIN occurrences o ON o.sample = s.id
                    WHERE s.repeat_hash = ?2 AND o.time = ?3 AND o.app_id_hash IS NULL
                      AND o.source IS ?4 AND o.contact_hash IS ?5 LIMIT 1)";
    Ok(transaction.prepare_cached(sql)?.execute(params![id, repeat_hash, time, source, contact])? > 0)
}
