//! How a text came to be.
//!
//! The origins that this library knows have numbers in the database. Any other is kept as it is, by its sealed name: an
//! app's own, or one of a later release, which enters what it knows beyond these in the same way. What it means is not
//! known here, so nothing is learned from it.

use std::fmt;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::database::Fault;
use super::records::Table;
use super::{Secrets, records};
use crate::seal::RecordCipher;

/// How a text came to be.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Origin {
    /// The person wrote it.
    #[default]
    Typed,
    /// A suggestion, taken as it was.
    SuggestionAccepted,
    /// A suggestion that the person changed: their words.
    SuggestionEdited,
    /// A suggestion that was turned down; the text is the suggestion's.
    SuggestionTurnedDown,
    /// One that this library does not know, by its name. [`Origin::named`] makes it.
    Other(String),
}

/// The first number of an origin that has a name alone.
const FIRST_NAMED: i64 = 256;

impl Origin {
    /// Those with numbers, which are their places here.
    pub(super) const KNOWN: [Self; 4] =
        [Self::Typed, Self::SuggestionAccepted, Self::SuggestionEdited, Self::SuggestionTurnedDown];

    /// The origin of a name, as files have it.
    pub fn named(name: impl Into<String>) -> Self {
        let name = name.into();
        Self::KNOWN.into_iter().find(|origin| origin.name() == name).unwrap_or(Self::Other(name))
    }

    /// Its name, as files have it.
    pub fn name(&self) -> &str {
        match self {
            Self::Typed => "typed",
            Self::SuggestionAccepted => "suggestion_accepted",
            Self::SuggestionEdited => "suggestion_edited",
            Self::SuggestionTurnedDown => "suggestion_turned_down",
            Self::Other(name) => name,
        }
    }

    /// Whether training may use texts of this origin: those that the person worded. Suggestions taken as they were are
    /// kept, but a model that learned from its own words would grow ever surer of them.
    pub fn is_learned(&self) -> bool {
        matches!(self, Self::Typed | Self::SuggestionEdited)
    }

    /// Its number in the database, where it is one of those that have one.
    fn code(&self) -> Option<i64> {
        Self::KNOWN.iter().position(|known| known.name() == self.name()).map(|place| place as i64)
    }

    /// What stands for it in keyed hashes; of no two the same.
    pub(super) fn hashed(&self) -> Vec<u8> {
        match self.code() {
            Some(code) => code.to_le_bytes().into(),
            None => format!("origin {}", self.name()).into(),
        }
    }
}

/// Never the name that an app gave.
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Other(_) => "Other(…)",
            known => known.name(),
        })
    }
}

/// The numbers of the origins that training may use, as a list in SQL.
pub(super) fn learned() -> String {
    let codes = Origin::KNOWN.iter().filter(|origin| origin.is_learned()).filter_map(Origin::code);
    format!("({})", codes.map(|code| code.to_string()).collect::<Vec<_>>().join(", "))
}

/// The number of an origin, entered if its name is new.
pub(super) fn enter(transaction: &Transaction<'_>, secrets: &Secrets, origin: &Origin) -> Result<i64, Fault> {
    if let Some(code) = origin.code() {
        return Ok(code);
    }
    let hash = secrets.hash.short("origin", &[origin.name().as_bytes()]);
    let mut find = transaction.prepare_cached("SELECT id FROM origins WHERE hash = ?1")?;
    if let Some(code) = find.query_row([hash], |row| row.get(0)).optional()? {
        return Ok(code);
    }
    let code = transaction.query_row("SELECT max(id) + 1 FROM origins", [], |row| row.get::<_, Option<i64>>(0))?;
    let code = code.unwrap_or(FIRST_NAMED);
    transaction.execute("INSERT INTO origins (id, hash, record) VALUES (?1, ?2, 0)", params![code, hash])?;
    records::append_of(transaction, secrets, Table::Origins, code, &origin.name())?;
    Ok(code)
}

/// The origin of a number.
pub(super) fn read(connection: &Connection, cipher: &RecordCipher, code: i64) -> Result<Origin, Fault> {
    let known = usize::try_from(code).ok().and_then(|place| Origin::KNOWN.get(place));
    if let Some(origin) = known {
        return Ok(origin.clone());
    }
    let record = connection
        .prepare_cached("SELECT record FROM origins WHERE id = ?1")?
        .query_row([code], |row| row.get(0))
        .optional()?
        .ok_or(rusqlite::Error::IntegralValueOutOfRange(0, code))?;
    Ok(Origin::named(records::open::<String>(connection, cipher, Table::Origins.row(code), record)?))
}

/// Removes the names of which no text is left.
pub(super) fn drop_unused(transaction: &Transaction<'_>, secrets: &Secrets) -> Result<(), Fault> {
    let sql = format!(
        "DELETE FROM origins WHERE id NOT IN (SELECT origin FROM samples WHERE origin >= {FIRST_NAMED}) RETURNING record"
    );
    let unused: Vec<i64> =
        transaction.prepare_cached(&sql)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    unused.into_iter().try_for_each(|record| records::overwrite(transaction, secrets, record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_origins_and_back() {
        for (name, learned) in [
            ("typed", true),
            ("suggestion_accepted", false),
            ("suggestion_edited", true),
            ("suggestion_turned_down", false),
            ("dictated", false),
            ("Typed", false),
        ] {
            let origin = Origin::named(name);
            assert_eq!((origin.name(), origin.is_learned()), (name, learned));
            assert_eq!(matches!(origin, Origin::Other(_)), origin.code().is_none(), "{name}");
        }
        assert_eq!(learned(), "(0, 2)");
        // Whoever makes one by hand gets the one of the name.
        assert_eq!(Origin::Other("typed".into()).hashed(), Origin::Typed.hashed());
        assert_eq!(format!("{:?}", Origin::named("secret")), "Other(…)");
    }
}
