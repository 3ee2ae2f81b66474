//! What tells that a file is another one, or was written to, without reading it.

use std::fs::Metadata;
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

/// How many seconds a file has to have been left alone before its stamp stands for its content. Times on a disk go by ticks:
/// of milliseconds as a rule, of two seconds on FAT. Who writes twice within one tick leaves the same times behind, and what
/// was read between the two is not what lies there (git calls such an entry racily clean).
const SETTLED: i64 = 2;

/// What the system says of a file: another stamp, and the content may be another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStamp {
    pub device: u64,
    pub inode: u64,
    /// In bytes.
    pub length: u64,
    /// Where the part of it lies that is used, in bytes.
    pub part: (u64, u64),
    /// When its content was written, in seconds and nanoseconds since 1970; whoever may write it can set this.
    pub modified: (i64, i64),
    /// When content, names, rights or times were last changed, which nobody can set.
    pub changed: (i64, i64),
}

impl FileStamp {
    /// The stamp of a part of a file by the file's metadata, where the system numbers its files.
    #[cfg(unix)]
    pub fn of(metadata: &Metadata, part: Range<u64>) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            part: (part.start, part.end),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// The stamp in the metadata of a file: the standard library tells no file numbers here.
    #[cfg(not(unix))]
    pub fn of(_: &Metadata, _: Range<u64>) -> Option<Self> {
        None
    }

    /// Whether whoever writes the file after `now` leaves another stamp.
    pub fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let before = (now.as_secs().cast_signed() - SETTLED, i64::from(now.subsec_nanos()));
        self.modified.max(self.changed) < before
    }

    /// All of it, for a hash.
    pub fn to_bytes(self) -> [u8; 72] {
        let places = [self.device, self.inode, self.length, self.part.0, self.part.1];
        let numbers = [self.modified.0, self.modified.1, self.changed.0, self.changed.1].map(i64::cast_unsigned);
        let mut bytes = [0; 72];
        for (place, number) in bytes.chunks_exact_mut(8).zip(places.into_iter().chain(numbers)) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_stamp_is_settled_when_no_tick_is_shared_with_a_later_write() {
        // (modified, changed, now in milliseconds, settled)
        for (modified, changed, now, settled) in [
            ((100, 0), (100, 0), 100_000, false),
            ((100, 0), (100, 0), 102_000, false),
            ((100, 0), (100, 0), 102_001, true),
            // A time that was set says nothing of when it was set.
            ((50, 0), (100, 999_000_000), 102_500, false),
            ((50, 0), (100, 999_000_000), 103_000, true),
            ((200, 0), (100, 0), 150_000, false),
            // Before 1970, by a clock that lost its time.
            ((-1, 0), (-1, 0), 0, false),
            ((-100, 0), (-100, 0), 0, true),
        ] {
            let stamp = FileStamp { device: 1, inode: 2, length: 3, part: (0, 3), modified, changed };
            let now = UNIX_EPOCH + Duration::from_millis(now);
            assert_eq!(stamp.is_settled(now), settled, "{stamp:?} {now:?}");
        }
    }
}
