//! What is independent among held-out texts: the units that the split was drawn for.
//!
//! A split is drawn for a conversation's day or for a single text, and near-duplicates join it. So thirty messages of one
//! evening's talk are one observation of what a training did, not thirty.

use std::collections::{BTreeMap, HashMap};

use rusqlite::Connection;

use super::database::Fault;
use super::records::{Circumstances, Table};
use super::sample::{ClusterId, Split};
use super::{Secrets, records, split};

/// The unit of every held-out cluster of near-duplicates, by the number of the unit's first cluster: all clusters whose
/// first text was written in one conversation on one day are one unit, and so is a cluster without a conversation. A
/// message without a time has that of its adding.
pub(super) fn of_held_out(connection: &Connection, secrets: &Secrets) -> Result<BTreeMap<ClusterId, ClusterId>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT f.cluster, o.time, o.record, o.id
         FROM (SELECT cluster, min(id) AS sample FROM samples WHERE split = ?1 GROUP BY cluster) f
         JOIN occurrences o ON o.id = (SELECT min(id) FROM occurrences WHERE sample = f.sample)
         ORDER BY f.cluster",
    )?;
    let mut days = HashMap::new();
    let mut units = BTreeMap::new();
    let mut rows = statement.query([Split::HeldOut.code()])?;
    while let Some(row) = rows.next()? {
        let (cluster, time) = (ClusterId(row.get(0)?), row.get(1)?);
        let circumstances: Circumstances<String> = match row.get(2)? {
            Some(record) => records::open(connection, &secrets.cipher, Table::Occurrences.row(row.get(3)?), record)?,
            None => Circumstances::default(),
        };
        let day = circumstances.conversation.map(|name| split::of_day(&secrets.hash, &name, time));
        units.insert(cluster, day.map_or(cluster, |day| *days.entry(day).or_insert(cluster)));
    }
    Ok(units)
}
