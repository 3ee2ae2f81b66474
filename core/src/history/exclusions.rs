//! Sources and contacts of which nothing is kept.

use std::collections::HashSet;
use std::fmt;

use rusqlite::{Connection, params};

use super::database::Fault;
use super::records::Table;
use super::{History, Secrets, records, remove};
use crate::error::Result;

/// Something of which nothing enters the history from now on. What is there already stays until it is removed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Exclusion {
    /// An app or field.
    Source(String),
    /// A correspondent.
    Contact(String),
}

/// Never the name: it says whom the person writes to.
impl fmt::Debug for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source(_) => "Source(…)",
            Self::Contact(_) => "Contact(…)",
        })
    }
}

impl Exclusion {
    fn parts(&self) -> (i64, &str) {
        match self {
            Self::Source(name) => (0, name),
            Self::Contact(name) => (1, name),
        }
    }

    fn hash(&self, secrets: &Secrets) -> [u8; 16] {
        match self {
            Self::Source(name) => secrets.source_hash(name),
            Self::Contact(name) => secrets.contact_hash(name),
        }
    }
}

impl Secrets {
    pub(super) fn source_hash(&self, name: &str) -> [u8; 16] {
        self.hash.short("source", &[name.as_bytes()])
    }

    pub(super) fn contact_hash(&self, name: &str) -> [u8; 16] {
        self.hash.short("contact", &[name.as_bytes()])
    }
}

/// The hashes of all that is excluded.
pub(super) fn hashes(connection: &Connection) -> Result<HashSet<[u8; 16]>, Fault> {
    let mut statement = connection.prepare_cached("SELECT hash FROM exclusions")?;
    let hashes = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(hashes)
}

impl History {
    /// Keeps a source or contact out from now on.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn exclude(&self, exclusion: &Exclusion) -> Result<()> {
        let (kind, name) = exclusion.parts();
        let hash = exclusion.hash(&self.secrets);
        self.write(|transaction| {
            if !hashes(transaction)?.contains(&hash) {
                let sql = "INSERT INTO exclusions (hash, kind, record) VALUES (?1, ?2, 0)";
                transaction.execute(sql, params![hash, kind])?;
                let row = transaction.last_insert_rowid();
                records::append_of(transaction, &self.secrets, Table::Exclusions, row, &name)?;
            }
            Ok(())
        })
    }

    /// Lets a source or contact in again; whether it was excluded.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn include(&self, exclusion: &Exclusion) -> Result<bool> {
        let hash = exclusion.hash(&self.secrets);
        let included = self.write(|transaction| {
            let sql = "DELETE FROM exclusions WHERE hash = ?1 RETURNING record";
            let removed: Vec<i64> =
                transaction.prepare(sql)?.query_map([hash], |row| row.get(0))?.collect::<Result<_, _>>()?;
            for &record in &removed {
                records::overwrite(transaction, &self.secrets, record)?;
                remove::leaves_traces(transaction)?;
            }
            Ok(!removed.is_empty())
        })?;
        if included {
            self.truncate_log();
        }
        Ok(included)
    }

    /// All that is excluded.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn exclusions(&self) -> Result<Vec<Exclusion>> {
        self.read(|connection| {
            let mut statement = connection.prepare("SELECT id, kind, record FROM exclusions ORDER BY record")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get(2)?)))?;
            rows.map(|row| {
                let (id, kind, record) = row?;
                let name = records::open(connection, &self.secrets.cipher, Table::Exclusions.row(id), record)?;
                Ok(if kind == 0 { Exclusion::Source(name) } else { Exclusion::Contact(name) })
            })
            .collect()
        })
    }
}
