//! Chat templates and the tokens that end a turn.

use libtest_mimic::Trial;

/// The trials of this subject.
pub fn trials() -> Vec<Trial> {
    Vec::new()
}
