//! The tables in `marks/`: rows of tab-separated cells, `#` before what is said about them, `|` between alternatives.

/// The rows of a table.
pub(super) fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| line.split('\t').collect())
}

/// The alternatives in a cell.
pub(super) fn alternatives(cell: &'static str) -> impl Iterator<Item = &'static str> {
    cell.split('|').map(str::trim).filter(|alternative| !alternative.is_empty())
}
