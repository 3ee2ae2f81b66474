//! Files as memory: pages are read when they are touched.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use idiolect_kernels::matrix::Bytes;
use memmap2::Mmap;

use crate::error::{Error, Result};

/// A read-only mapping of a whole file.
pub(crate) struct MappedFile {
    path: PathBuf,
    /// None for an empty file, which cannot be mapped.
    map: Option<Mmap>,
}

impl MappedFile {
    pub fn open(path: &Path) -> Result<Arc<Self>> {
        let io = |cause| Error::io(path, &cause);
        let metadata = std::fs::metadata(path).map_err(io)?;
        if !metadata.is_file() {
            return Err(Error::bad_file(path, "file", "not a regular file"));
        }
        let file = File::open(path).map_err(io)?;
        // SAFETY: the mapping is read-only and private to this process; bytes are only ever copied out of it or
        // decoded, never trusted to keep a value that was checked before. A file that another process truncates while
        // it is mapped ends this process with a signal: model files are replaced by renaming, never shortened.
        let map =
            if file.metadata().map_err(io)?.len() == 0 { None } else { Some(unsafe { Mmap::map(&file) }.map_err(io)?) };
        Ok(Arc::new(Self { path: path.to_owned(), map }))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes `range` of the file, which stay mapped as long as they are used.
    pub fn bytes(self: &Arc<Self>, range: Range<usize>) -> Option<Bytes> {
        Bytes::slice_of(self.clone(), range)
    }
}

impl AsRef<[u8]> for MappedFile {
    fn as_ref(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }
}

impl std::fmt::Debug for MappedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MappedFile({}, {} bytes)", self.path.display(), self.as_ref().len())
    }
}
