//! What an engine is opened with.

use std::fmt;
use std::sync::Arc;

#[cfg(unix)]
use idiolect::model::ModelDescriptor;
use idiolect::{Error, ErrorKind};

use crate::error::Result;
use crate::key_store::{KeyStore, key_source};
use crate::mirror::mirror;

mirror! {
    /// Where to compute.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
    pub enum DeviceChoice into idiolect::DeviceChoice {
        /// A hardware GPU if there is one, else the CPU.
        Auto,
        /// A GPU, software adapters included.
        Gpu,
        /// The CPU.
        Cpu,
    }
}

/// Where a model is opened from. Its weights are mapped while the engine has it: it has to lie in the app's own storage, or
/// where only the system writes, for a file that is cut short while it is mapped ends the process. Copy a model out of
/// shared storage first.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum ModelSource {
    /// A folder or a GGUF file.
    Path {
        /// Its path.
        path: String,
    },
    /// A GGUF file within an open file, such as an asset of an APK that is stored as it is: never copied. The engine takes a
    /// descriptor of its own, so the app may close this one once the engine is open.
    Descriptor {
        /// The open file's number.
        fd: i32,
        /// Where the model begins in it, in bytes.
        offset: u64,
        /// How many bytes it has.
        length: u64,
    },
}

impl ModelSource {
    /// The same for the engine, with a descriptor of its own.
    fn opened(self) -> Result<idiolect::ModelSource> {
        match self {
            Self::Path { path } => Ok(path.into()),
            Self::Descriptor { fd, offset, length } => described(fd, offset, length),
        }
    }
}

#[cfg(unix)]
fn described(fd: i32, offset: u64, length: u64) -> Result<idiolect::ModelSource> {
    use std::os::fd::BorrowedFd;
    if fd < 0 {
        let error = Error::new(ErrorKind::BadOption, format!("model: {fd} is no descriptor"));
        return Err(error.with_hint("give the number of a file that is open").into());
    }
    // SAFETY: the number is not -1; the app says that it is open for as long as this call takes, and it is used for nothing
    // but to have the system give a second one, which refuses where it is not.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(idiolect::ModelSource::Descriptor(ModelDescriptor::new(borrowed, offset, length)?))
}

#[cfg(not(unix))]
fn described(_: i32, _: u64, _: u64) -> Result<idiolect::ModelSource> {
    Err(Error::new(ErrorKind::Unsupported, "model: no descriptors on this system").with_hint("give a path").into())
}

/// What an engine is opened with.
#[derive(Clone, PartialEq, uniffi::Record)]
#[uniffi::export(Debug)]
pub struct EngineOptions {
    /// The folder of the profile; made where it is missing.
    pub profile: String,
    /// The base model.
    pub model: ModelSource,
    /// The app's own key, 32 bytes from the Android Keystore or the iOS Keychain: nothing in the folder opens without
    /// it. None, and no key store: the profile's key lies in the folder, which does not protect against somebody who holds
    /// the folder. The app overwrites its array once the engine is open.
    #[uniffi(default = None)]
    pub key: Option<Vec<u8>>,
    /// Where to compute; none means `Auto`.
    #[uniffi(default = None)]
    pub device: Option<DeviceChoice>,
    /// Threads of the CPU; 0 means one a core.
    #[uniffi(default = 0)]
    pub threads: u32,
    /// The share of one core that long work takes at most, over any minute: systems end background work that takes more.
    /// None for all there is.
    #[uniffi(default = None)]
    pub cpu_share: Option<f32>,
    /// Whether the CPU goes on with work whose GPU was lost twice or refused, as systems do in the background. Else a
    /// training pauses, and an answer fails.
    #[uniffi(default = true)]
    pub cpu_fallback: bool,
    /// Positions that the model is opened for: what an answer's prompt and its text may have. None for 2,048; as many as the
    /// model was made for where that is fewer, and 131,072 at most.
    #[uniffi(default = None)]
    pub context: Option<u32>,
}

impl fmt::Debug for EngineOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineOptions")
            .field("profile", &self.profile)
            .field("model", &self.model)
            .field("device", &self.device)
            .field("threads", &self.threads)
            .field("context", &self.context)
            .field("cpu_share", &self.cpu_share)
            .field("cpu_fallback", &self.cpu_fallback)
            .finish_non_exhaustive()
    }
}

impl EngineOptions {
    /// The same for the engine, with the app's key store where it has one.
    pub(crate) fn with(self, key_store: Option<Arc<dyn KeyStore>>) -> Result<idiolect::engine::EngineOptions> {
        let defaults = idiolect::engine::EngineOptions::new(self.profile, self.model.opened()?);
        Ok(idiolect::engine::EngineOptions {
            key: key_source(self.key, key_store)?,
            device: self.device.map_or(defaults.device, Into::into),
            threads: self.threads as usize,
            context: self.context.map(|context| context as usize),
            cpu_share: self.cpu_share,
            cpu_fallback: self.cpu_fallback,
            ..defaults
        })
    }
}

#[cfg(test)]
mod tests {
    use idiolect::profile::KeySource;

    use super::*;

    #[test]
    fn what_is_left_open_is_the_engines_default() {
        let options = |key| EngineOptions {
            profile: "profile".into(),
            model: ModelSource::Path { path: "model".into() },
            key,
            device: None,
            threads: 0,
            context: None,
            cpu_share: None,
            cpu_fallback: true,
        };
        let defaults = idiolect::engine::EngineOptions::new("profile", "model");
        let open = options(None).with(None).unwrap();
        assert_eq!(format!("{open:?}"), format!("{defaults:?}"));
        assert_eq!((open.cpu_share, open.cpu_fallback), (defaults.cpu_share, defaults.cpu_fallback));
        assert!(matches!(open.key, KeySource::Beside));
        let sealed = options(Some(vec![7; 32])).with(None).unwrap();
        assert!(matches!(sealed.key, KeySource::App(_)));
        assert!(options(Some(vec![7; 31])).with(None).is_err());
    }
}
