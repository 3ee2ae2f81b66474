//! The history as its users see it, and as its files look to others.

mod adding;
mod disk;
mod edits;
mod faults;
mod ledger;
mod processes;
mod put_back;
mod removing;
mod schema;
mod units;

use std::path::{Path, PathBuf};

use super::{History, NewSample, Split, StoredSample};
use crate::seal::Key;

/// A history in a folder of its own.
struct Home {
    folder: tempfile::TempDir,
    key: Key,
}

impl Home {
    fn new() -> Self {
        // Always the same: near-duplicates are found by keyed hashes, the likelier the more they have in common.
        Self { folder: tempfile::tempdir().unwrap(), key: Key::from_bytes(&[3; 32]).unwrap() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self) -> PathBuf {
        self.path().join("history.db")
    }

    fn open(&self) -> History {
        History::open(&self.file(), &self.key).unwrap()
    }
}

/// All bytes of all files in a folder, one file after the other. Read by another process: were this one to open and close
/// a database's file, it would drop its own locks on it.
fn bytes_of(folder: &Path) -> Vec<u8> {
    let find = std::process::Command::new("find")
        .arg(folder)
        .args(["-type", "f", "-exec", "cat", "{}", "+"])
        .output()
        .unwrap();
    assert!(find.status.success(), "{}", String::from_utf8_lossy(&find.stderr));
    find.stdout
}

fn holds(bytes: &[u8], pattern: &[u8]) -> bool {
    let (&first, rest) = pattern.split_first().unwrap();
    // By its first byte: a plain search over windows is slow without optimisation.
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|&byte| byte == first) {
        from += at + 1;
        if bytes[from..].starts_with(rest) {
            return true;
        }
    }
    false
}

fn text(text: &str) -> NewSample {
    NewSample::new(text)
}

fn all(history: &History) -> Vec<StoredSample> {
    history.list(None, usize::MAX).unwrap()
}

/// Texts in all splits together, in the order of the splits.
fn learnable(history: &History) -> Vec<String> {
    Split::ALL
        .into_iter()
        .flat_map(|split| history.learnable(split).unwrap())
        .map(|sample| sample.unwrap().text)
        .collect()
}

/// `count` texts of words that no two share.
fn distinct(count: usize) -> Vec<NewSample> {
    let mut random = crate::random::Random::new(11);
    (0..count)
        .map(|_| {
            let mut word = || (0..8).map(|_| char::from(b'a' + (random.next_u64() % 26) as u8)).collect::<String>();
            text(&format!("{} {} {}", word(), word(), word()))
        })
        .collect()
}
