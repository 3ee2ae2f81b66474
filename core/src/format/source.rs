//! Where a model is opened from.

use std::path::{Path, PathBuf};

#[cfg(unix)]
pub use descriptor::ModelDescriptor;

/// Where a model is opened from.
#[derive(Debug, Clone)]
pub enum ModelSource {
    /// A folder or a GGUF file.
    Path(PathBuf),
    /// A GGUF file that lies within an open file, such as an asset of an app that is stored as it is.
    #[cfg(unix)]
    Descriptor(ModelDescriptor),
}

impl From<PathBuf> for ModelSource {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&Path> for ModelSource {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl From<&PathBuf> for ModelSource {
    fn from(path: &PathBuf) -> Self {
        Self::Path(path.clone())
    }
}

impl From<String> for ModelSource {
    fn from(path: String) -> Self {
        Self::Path(path.into())
    }
}

impl From<&str> for ModelSource {
    fn from(path: &str) -> Self {
        Self::Path(path.into())
    }
}

#[cfg(unix)]
mod descriptor {
    use std::fs::File;
    use std::ops::Range;
    use std::os::fd::{AsRawFd, BorrowedFd};
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use crate::disk::file_bytes::FileBytes;
    use crate::error::{Error, Result};

    /// A part of an open file, of which it has a descriptor of its own.
    #[derive(Debug, Clone)]
    pub struct ModelDescriptor {
        name: PathBuf,
        file: Arc<File>,
        part: Range<u64>,
    }

    impl ModelDescriptor {
        /// `length` bytes from `offset` on, of a file whose descriptor the caller may close afterwards. Errors name the
        /// file as the system does, where it does.
        ///
        /// # Errors
        /// [`Io`](crate::ErrorKind::Io) when the system gives no second descriptor.
        pub fn new(descriptor: BorrowedFd<'_>, offset: u64, length: u64) -> Result<Self> {
            let name = name_of(descriptor);
            let file = descriptor.try_clone_to_owned().map_err(|cause| Error::io(&name, &cause))?;
            Ok(Self { name, file: Arc::new(File::from(file)), part: offset..offset.saturating_add(length) })
        }

        /// What stands for it in errors: the file it belongs to.
        pub(crate) fn name(&self) -> &Path {
            &self.name
        }

        /// Maps it.
        pub(crate) fn map(&self) -> Result<Arc<FileBytes>> {
            let file = self.file.try_clone().map_err(|cause| Error::io(&self.name, &cause))?;
            FileBytes::map_part(&self.name, file, self.part.clone())
        }
    }

    /// The path behind a descriptor, where the system shows it; else its number.
    fn name_of(descriptor: BorrowedFd<'_>) -> PathBuf {
        let number = descriptor.as_raw_fd();
        let shown = std::fs::read_link(format!("/proc/self/fd/{number}"));
        shown.unwrap_or_else(|_| format!("descriptor {number}").into())
    }
}
