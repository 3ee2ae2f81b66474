//! What a training learns of long texts and contexts.

use libtest_mimic::Trial;

/// The trials of this subject.
pub fn trials() -> Vec<Trial> {
    Vec::new()
}
