//! What the library tells of its work, a line a record.

use std::io;

pub use tracing_subscriber::filter::LevelFilter as Level;

/// Writes the records of the library up to `level` on standard error, from now on.
pub fn to_standard_error(level: Level) {
    tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).with_ansi(false).init();
}
