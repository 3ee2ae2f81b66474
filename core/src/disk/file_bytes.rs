//! The bytes of a file: mapped, so that pages are read when they are touched, or read whole.
//!
//! A mapped file that somebody cuts short ends this process with a signal, as soon as a page is touched that is not there
//! any more; a library sets no handler for signals in somebody's app. So only models are mapped, which are too large to
//! be read, and they have to lie where nobody else writes. Whatever else may come from elsewhere is read.

use std::fs::File;
#[cfg(unix)]
use std::fs::Metadata;
#[cfg(unix)]
use std::io::BufWriter;
use std::io::{Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use idiolect_kernels::matrix::Bytes;
use memmap2::{Mmap, MmapOptions};

use crate::available_memory::available_memory;
use crate::disk::file_stamp::FileStamp;
#[cfg(unix)]
use crate::disk::staged::nameless_file;
use crate::error::{Error, ErrorKind, Result};

/// A file, or a part of one, as it was when it was opened.
pub(crate) struct FileBytes {
    path: PathBuf,
    content: Content,
}

enum Content {
    Read(Vec<u8>),
    /// From an offset in the file on.
    Mapped(Mmap, File, u64),
}

/// How the bytes of a path come about.
pub(crate) type OpenBytes<'a> = &'a dyn Fn(&Path) -> Result<Arc<FileBytes>>;

impl FileBytes {
    /// Maps a file that nobody else changes: see [`crate::Model::open`].
    pub fn map(path: &Path) -> Result<Arc<Self>> {
        let (file, length) = open(path)?;
        Self::mapped(path, file, 0..length)
    }

    /// Maps the bytes `range` of an open file, which nobody else changes; `name` stands for it in errors.
    ///
    /// # Errors
    /// When the file is none that can be mapped, or ends before the range does.
    pub fn map_part(name: &Path, file: File, range: Range<u64>) -> Result<Arc<Self>> {
        let metadata = file.metadata().map_err(|cause| Error::io(name, &cause))?;
        if !metadata.is_file() {
            return Err(Error::bad_file(name, "descriptor", "not of a regular file"));
        }
        if range.start > range.end || range.end > metadata.len() {
            let what = format!("bytes {} to {} of a file of {}", range.start, range.end, metadata.len());
            return Err(Error::bad_file(name, "offset and length", what)
                .with_hint("give what the system says of the asset: its offset and its length in the file"));
        }
        Self::mapped(name, file, range)
    }

    /// Maps a file, or, where somebody else may change it, a copy of it: one without a name, in `folder`, that is gone
    /// with the mapping.
    ///
    /// # Errors
    /// When `folder` has no room for the copy.
    pub fn map_private(path: &Path, folder: &Path) -> Result<Arc<Self>> {
        let (file, length) = open(path)?;
        #[cfg(unix)]
        {
            let mut copy = nameless_file(folder).map_err(|cause| Error::io(folder, &cause))?;
            let metadata = |file: &File| file.metadata().map_err(|cause| Error::io(path, &cause));
            if others_may_write(&metadata(&file)?, &metadata(&copy)?) {
                let copied = std::io::copy(&mut file.take(length), &mut copy);
                let copied = copied.map_err(|cause| Error::io(path, &cause))?;
                return Self::mapped(path, copy, 0..copied);
            }
        }
        #[cfg(not(unix))]
        let _ = folder; // Windows refuses to cut a file that is mapped.
        Self::mapped(path, file, 0..length)
    }

    /// Maps what `write` writes, in a file without a name, in `folder`, that is gone with the mapping; `name` stands for it in
    /// errors. Where a file cannot be without a name it is memory.
    ///
    /// # Errors
    /// When `folder` has no room, or `write` fails.
    pub fn filled(
        name: &Path,
        folder: &Path,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
    ) -> Result<Arc<Self>> {
        #[cfg(unix)]
        {
            let io = |cause| Error::io(folder, &cause);
            let file = nameless_file(folder).map_err(io)?;
            let mut buffered = BufWriter::new(&file);
            write(&mut buffered)?;
            buffered.flush().map_err(io)?;
            drop(buffered);
            let length = file.metadata().map_err(io)?.len();
            Self::mapped(name, file, 0..length)
        }
        #[cfg(not(unix))]
        {
            let _ = folder;
            let mut bytes = Vec::new();
            write(&mut bytes)?;
            Ok(Arc::new(Self { path: name.to_owned(), content: Content::Read(bytes) }))
        }
    }

    fn mapped(path: &Path, file: File, range: Range<u64>) -> Result<Arc<Self>> {
        let too_long = || Error::new(ErrorKind::OverBudget, format!("{}: too long to be mapped", path.display()));
        let length = usize::try_from(range.end - range.start).map_err(|_| too_long())?;
        let content = match length {
            // It cannot be mapped.
            0 => Content::Read(Vec::new()),
            _ => {
                // SAFETY: the mapping is read-only and private to this process; bytes are only ever copied out of it or
                // decoded, never trusted to keep a value that was checked before. Who opens a model answers for its
                // not being cut while it is mapped.
                let map = unsafe { MmapOptions::new().offset(range.start).len(length).map(&file) };
                Content::Mapped(map.map_err(|cause| Error::io(path, &cause))?, file, range.start)
            }
        };
        Ok(Arc::new(Self { path: path.to_owned(), content }))
    }

    /// Reads a file, whoever may change it meanwhile.
    ///
    /// # Errors
    /// [`ErrorKind::OverBudget`] when it is larger than what the machine has left.
    pub fn read(path: &Path) -> Result<Arc<Self>> {
        let (file, length) = open(path)?;
        let mut bytes = Vec::new();
        let room = available_memory().is_none_or(|left| length <= left as u64);
        let room = room && usize::try_from(length).is_ok_and(|length| bytes.try_reserve_exact(length).is_ok());
        if !room {
            let message = format!("{}: {length} bytes do not fit into memory", path.display());
            return Err(Error::new(ErrorKind::OverBudget, message));
        }
        file.take(length).read_to_end(&mut bytes).map_err(|cause| Error::io(path, &cause))?;
        Ok(Arc::new(Self { path: path.to_owned(), content: Content::Read(bytes) }))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes `range` of the file, which stay there as long as they are used.
    pub fn bytes(self: &Arc<Self>, range: Range<usize>) -> Option<Bytes> {
        Bytes::slice_of(self.clone(), range)
    }

    /// The stamp of a mapped file as it is now, where the system has stamps. Of the file that is mapped, whatever has its
    /// name by now, and of the part of it that is.
    pub fn stamp(&self) -> Option<FileStamp> {
        match &self.content {
            Content::Mapped(map, file, start) => {
                FileStamp::of(&file.metadata().ok()?, *start..*start + map.len() as u64)
            }
            Content::Read(_) => None,
        }
    }

    /// Checks that a mapped file is still as long as it was: asked before every piece of work on it, this finds most of
    /// what would end the process otherwise. It costs one call of the system.
    ///
    /// # Errors
    /// When it was cut.
    pub fn check_whole(&self) -> Result<()> {
        let Content::Mapped(map, file, start) = &self.content else { return Ok(()) };
        let length = file.metadata().map_err(|cause| Error::io(&self.path, &cause))?.len();
        if length >= start + map.len() as u64 {
            return Ok(());
        }
        Err(Error::bad_file(&self.path, "file", "was cut while it was open")
            .with_hint("keep models where nothing else writes, and replace them by renaming"))
    }
}

/// Opens a regular file; its length.
pub(super) fn open(path: &Path) -> Result<(File, u64)> {
    let io = |cause| Error::io(path, &cause);
    // Asked before: to open a pipe waits for whoever writes to it.
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(Error::bad_file(path, "file", "not a regular file"));
    }
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    Ok((file, length))
}

/// Whether somebody else than the owner of `own`, a file of this process, or the system may change a file. On iOS all apps
/// are one user, so that nothing can be told there.
#[cfg(unix)]
fn others_may_write(file: &Metadata, own: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    const SYSTEM: u32 = 0;
    let by_owner = file.uid() != own.uid() && file.uid() != SYSTEM;
    let by_group = file.mode() & 0o020 != 0 && file.gid() != own.gid();
    let by_all = file.mode() & 0o002 != 0;
    by_owner || by_group || by_all || cfg!(all(target_vendor = "apple", not(target_os = "macos")))
}

impl AsRef<[u8]> for FileBytes {
    fn as_ref(&self) -> &[u8] {
        match &self.content {
            Content::Read(bytes) => bytes,
            Content::Mapped(map, ..) => map,
        }
    }
}

impl std::fmt::Debug for FileBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileBytes({}, {} bytes)", self.path.display(), self.as_ref().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_later_is_there_where_it_was_read_and_told_where_it_is_mapped() {
        type Open = fn(&Path) -> Result<Arc<FileBytes>>;
        // (how, bytes, told when it is cut)
        for (open, length, told) in [
            (FileBytes::map as Open, 3, true),
            (FileBytes::map, 0, false),
            (FileBytes::read, 3, false),
            (FileBytes::read, 0, false),
        ] {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("file");
            std::fs::write(&path, vec![7; length]).unwrap();
            let bytes = open(&path).unwrap();
            assert_eq!((*bytes).as_ref(), vec![7; length]);
            bytes.check_whole().unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            file.set_len(length as u64 + 1).unwrap();
            bytes.check_whole().unwrap();
            file.set_len(length.saturating_sub(1) as u64).unwrap();
            let checked = bytes.check_whole();
            assert_eq!(checked.is_err(), told, "{bytes:?}");
            match checked {
                Err(error) => assert!(error.kind() == ErrorKind::BadFile && error.hint().is_some(), "{error}"),
                Ok(()) => assert_eq!((*bytes).as_ref(), vec![7; length]),
            }
        }
        for open in [FileBytes::map as Open, FileBytes::read] {
            assert_eq!(open(&std::env::temp_dir()).unwrap_err().kind(), ErrorKind::BadFile);
        }
    }

    #[cfg(any(target_os = "linux", target_os = "macos"))]
    #[test]
    fn what_others_may_write_is_copied_before_it_is_mapped() {
        use std::os::unix::fs::PermissionsExt;
        for (mode, copied) in [(0o600, false), (0o644, false), (0o664, false), (0o646, true), (0o666, true)] {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("file");
            std::fs::write(&path, [7; 3]).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let bytes = FileBytes::map_private(&path, home.path()).unwrap();
            assert_eq!(bytes.path(), path);
            assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "{mode:o}: a copy has a name");
            File::options().write(true).open(&path).unwrap().set_len(1).unwrap();
            assert_eq!(bytes.check_whole().is_ok(), copied, "{mode:o}");
            if copied {
                assert_eq!((*bytes).as_ref(), [7; 3], "{mode:o}");
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_does_not_fit_into_memory_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("large");
        // A hole: it takes no room on the disk.
        File::create(&path).unwrap().set_len(1 << 43).unwrap();
        let error = FileBytes::read(&path).unwrap_err();
        assert!(error.kind() == ErrorKind::OverBudget && error.message().contains("large"), "{error}");
    }
}
