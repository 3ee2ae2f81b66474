//! The hashes of weights that a profile has met, so that a model is not read whole at every opening.
//!
//! A hash stands for as long as the stamps of the files do ([`FileStamp`]): what is trusted is that a system gives a file
//! another time of change when somebody writes to it. The file that holds the hashes is sealed under the profile's key, so
//! nobody without it can have a model taken for another one; an old copy of it says only what was so for those stamps.
//! Whatever is wrong with it, or keeps it from being written, costs the time to hash, and is no error.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::disk::door::Door;
use crate::disk::file_bytes::FileBytes;
use crate::disk::file_stamp::FileStamp;
use crate::disk::lock;
use crate::seal::{Key, Purpose, read_sealed, write_sealed};

/// The name of the file, which it is sealed under.
pub(crate) const KNOWN_WEIGHTS: &str = "known-weights";

/// Models that are remembered, the last ones that were hashed.
const MOST: usize = 8;

/// What is known of a model's weights, and their hash.
type Entry = [[u8; 32]; 2];

/// The hashes in a profile's folder.
#[derive(Clone, Debug)]
pub(crate) struct KnownWeights {
    path: PathBuf,
    mark: PathBuf,
    key: Key,
    door: Door,
}

impl KnownWeights {
    /// Those of the profile in `folder`, which is entered through `door`. They are written by who holds the lock on its
    /// file `mark`.
    pub fn new(folder: &Path, mark: &str, key: &Key, door: &Door) -> Self {
        Self { path: folder.join(KNOWN_WEIGHTS), mark: folder.join(mark), key: key.clone(), door: door.clone() }
    }

    /// The hash of the weights in `files`: a known one, or what `hash` makes of them. `header` is the hash of all that is
    /// cheap to read: shape, tensors, their first bytes.
    pub(super) fn hash_of(
        &self,
        files: &[Arc<FileBytes>],
        header: &[u8; 32],
        hash: impl FnOnce() -> [u8; 32],
    ) -> [u8; 32] {
        self.hash_at(SystemTime::now(), || files.iter().map(|file| file.stamp()).collect(), header, hash)
    }

    fn hash_at(
        &self,
        now: SystemTime,
        stamps: impl Fn() -> Option<Vec<FileStamp>>,
        header: &[u8; 32],
        hash: impl FnOnce() -> [u8; 32],
    ) -> [u8; 32] {
        let Some(before) = stamps() else { return hash() };
        let what = id(header, &before);
        if let Some([_, known]) = self.read().into_iter().find(|entry| entry[0] == what) {
            return known;
        }
        let hashed = hash();
        // Written to while it was hashed, or so shortly before that the next write would not show: not to be relied on.
        if stamps().is_some_and(|after| after == before) && before.iter().all(|stamp| stamp.is_settled(now)) {
            self.remember([what, hashed]);
        }
        hashed
    }

    /// What is known, the newest first; nothing where the file is missing or damaged.
    fn read(&self) -> Vec<Entry> {
        let Ok(_inside) = self.door.enter() else { return Vec::new() };
        let bytes = read_sealed(&self.path, &self.key, Purpose::Cache, KNOWN_WEIGHTS).unwrap_or_default();
        bytes.as_chunks::<32>().0.as_chunks::<2>().0.to_vec()
    }

    /// Adds what was hashed, if that can be done at once.
    fn remember(&self, entry: Entry) {
        let Ok(_inside) = self.door.enter() else { return };
        // Asked before: to take the lock would make its file, where another process erased the profile.
        if !self.mark.is_file() {
            return;
        }
        if let Ok(Some(_writing)) = lock::take(&self.mark, Duration::ZERO) {
            let entries: Vec<Entry> = [entry].into_iter().chain(self.read()).take(MOST).collect();
            // On a full or read-only disk the next opening hashes again.
            let _ = write_sealed(
                &self.path,
                &self.key,
                Purpose::Cache,
                KNOWN_WEIGHTS,
                entries.as_flattened().as_flattened(),
            );
        }
    }
}

/// What a hash is remembered under.
fn id(header: &[u8; 32], stamps: &[FileStamp]) -> [u8; 32] {
    let of_header = Sha256::new().chain_update(header);
    stamps.iter().fold(of_header, |hash, stamp| hash.chain_update(stamp.to_bytes())).finalize().into()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs::{self, File};

    use super::*;

    const MARK: &str = "mark";

    /// Long after every file of a test was written.
    fn later() -> SystemTime {
        SystemTime::now() + Duration::from_secs(10)
    }

    struct Place {
        home: tempfile::TempDir,
        key: Key,
        hashed: Cell<usize>,
    }

    impl Place {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            fs::write(home.path().join(MARK), b"").unwrap();
            Self { home, key: Key::random().unwrap(), hashed: Cell::new(0) }
        }

        fn known(&self) -> KnownWeights {
            KnownWeights::new(self.home.path(), MARK, &self.key, &Door::default())
        }

        /// Asks for the hash of what has these stamps; whether it had to be hashed.
        fn hashes(&self, now: SystemTime, header: u8, stamps: Option<&[FileStamp]>) -> bool {
            let before = self.hashed.get();
            let stamps = || stamps.map(<[_]>::to_vec);
            self.known().hash_at(now, stamps, &[header; 32], || {
                self.hashed.set(before + 1);
                [7; 32]
            }) == [7; 32]
                && self.hashed.get() > before
        }

        /// The same of a file.
        fn hashes_file(&self, path: &Path) -> bool {
            let file = FileBytes::map(path).unwrap();
            self.hashes(later(), 1, file.stamp().as_ref().map(std::slice::from_ref))
        }
    }

    fn stamp() -> FileStamp {
        FileStamp { device: 1, inode: 2, length: 3, part: (0, 3), modified: (4, 5), changed: (6, 7) }
    }

    #[test]
    fn weights_are_hashed_once_and_again_when_anything_changes() {
        let place = Place::new();
        let other = |change: &dyn Fn(&mut FileStamp)| {
            let mut stamp = stamp();
            change(&mut stamp);
            stamp
        };
        // (what, header, stamps)
        let cases = [
            ("first", 1, vec![stamp()]),
            ("the header", 2, vec![stamp()]),
            ("the device", 1, vec![other(&|stamp| stamp.device = 9)]),
            ("the number of the file", 1, vec![other(&|stamp| stamp.inode = 9)]),
            ("the length", 1, vec![other(&|stamp| stamp.length = 9)]),
            ("the part of the file", 1, vec![other(&|stamp| stamp.part = (1, 3))]),
            ("the time of writing", 1, vec![other(&|stamp| stamp.modified.1 = 9)]),
            ("the moment of change", 1, vec![other(&|stamp| stamp.changed.1 = 9)]),
        ];
        for (what, header, stamps) in &cases {
            assert!(place.hashes(later(), *header, Some(stamps)), "{what}");
        }
        // All that are remembered, in whatever order they are asked for.
        for (what, header, stamps) in cases.iter().rev() {
            assert!(!place.hashes(later(), *header, Some(stamps)), "{what}, again");
        }
        assert!(place.hashes(later(), 1, Some(&[stamp(), stamp()])), "a second file");
        assert!(place.hashes(later(), 1, Some(&[stamp()])), "the first of more than are remembered");
        assert!(!place.hashes(later(), 1, Some(&[stamp(), stamp()])));
    }

    #[test]
    fn what_was_just_written_or_has_no_stamp_is_not_remembered() {
        let place = Place::new();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(7);
        for _ in 0..2 {
            assert!(place.hashes(now, 1, Some(&[stamp()])), "written a second ago");
            assert!(place.hashes(later(), 1, None), "no stamp");
        }
        // Written to while it is hashed.
        let written = Cell::new(stamp());
        let hash = || {
            written.set(FileStamp { changed: (6, 8), ..stamp() });
            [7; 32]
        };
        place.known().hash_at(later(), || Some(vec![written.get()]), &[1; 32], hash);
        for changed in [stamp(), written.get()] {
            assert!(place.hashes(later(), 1, Some(&[changed])));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_written_or_replaced_is_noticed_whatever_its_times_say() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("model");
        fs::write(&path, b"weights").unwrap();
        let place = Place::new();
        assert!(place.hashes_file(&path) && !place.hashes_file(&path));
        let times = || {
            let metadata = fs::metadata(&path).unwrap();
            fs::FileTimes::new().set_modified(metadata.modified().unwrap())
        };
        let restore = |times| File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
        type Change<'a> = (&'a str, &'a dyn Fn());
        let changes: [Change<'_>; 4] = [
            ("another file of its size and time", &|| {
                let other = home.path().join("other");
                let times = times();
                fs::write(&other, b"WEIGHTS").unwrap();
                fs::rename(&other, &path).unwrap();
                restore(times);
            }),
            ("written in place, and its time set back", &|| {
                let times = times();
                fs::write(&path, b"Weights").unwrap();
                restore(times);
            }),
            ("longer", &|| fs::write(&path, b"weights.").unwrap()),
            ("touched", &|| restore(fs::FileTimes::new().set_modified(SystemTime::UNIX_EPOCH))),
        ];
        for (what, change) in changes {
            // A tick of the file system.
            std::thread::sleep(Duration::from_millis(20));
            change();
            assert!(place.hashes_file(&path), "{what}");
            assert!(!place.hashes_file(&path), "{what}: hashed again");
        }
    }

    #[test]
    fn whatever_is_wrong_with_the_file_costs_time_only() {
        let place = Place::new();
        let hashes = || place.hashes(later(), 1, Some(&[stamp()]));
        let path = place.home.path().join(KNOWN_WEIGHTS);
        assert!(hashes() && !hashes());
        let whole = fs::read(&path).unwrap();
        let flipped = whole.iter().enumerate().map(|(at, byte)| if at == whole.len() / 2 { byte ^ 1 } else { *byte });
        let of_another = |content: &[u8], key: &Key, purpose| {
            write_sealed(&path, key, purpose, KNOWN_WEIGHTS, content).unwrap();
            fs::read(&path).unwrap()
        };
        let other = of_another(&[9; 64], &Key::random().unwrap(), Purpose::Cache);
        let purpose = of_another(&[9; 64], &place.key, Purpose::Checkpoint);
        for (what, bytes) in [
            ("empty", vec![]),
            ("cut", whole[..whole.len() - 1].to_vec()),
            ("flipped", flipped.collect()),
            ("of another profile", other),
            ("for another purpose", purpose),
            ("no sealed file", b"forged".repeat(100)),
        ] {
            fs::write(&path, bytes).unwrap();
            assert!(hashes(), "{what}");
            assert!(!hashes(), "{what}: not written anew");
        }
        // Where it cannot be written: another process holds the lock, something else lies there, the profile is gone.
        fs::remove_file(&path).unwrap();
        let lock = lock::take(&place.home.path().join(MARK), Duration::ZERO).unwrap();
        assert!(hashes() && hashes());
        drop(lock);
        fs::create_dir(&path).unwrap();
        assert!(hashes() && hashes());
        fs::remove_dir(&path).unwrap();
        fs::remove_file(place.home.path().join(MARK)).unwrap();
        assert!(hashes() && hashes());
        assert_eq!(fs::read_dir(place.home.path()).unwrap().count(), 0, "something came back, or was left");
        // Of a profile that this process erased.
        let known = place.known();
        known.door.shut().unwrap();
        assert_eq!(known.hash_at(later(), || Some(vec![stamp()]), &[1; 32], || [8; 32]), [8; 32]);
        assert_eq!(fs::read_dir(place.home.path()).unwrap().count(), 0);
    }
}
