//! What opens a profile: a key that the app gives, or a key store of the app's, as the engine asks it.

use std::sync::Arc;

use idiolect::profile::KeySource;
use idiolect::seal::Key;
use idiolect::{Error, ErrorKind as Kind};
use zeroize::Zeroizing;

use crate::error::{EngineError, Result};

/// A key store of the app's whose keys nobody can read, such as an AES key of the Android Keystore or a key of the
/// Secure Enclave. It seals the profile's key, 32 bytes, and opens it again: when a profile is made, opened, imported or
/// given another key, on the thread of that call. Where it throws, the call ends with a `KeyStore` error, or with
/// `WrongKey` where it throws that one; nothing has changed then.
///
/// The secret is wiped on this side once it was used. On its own side an app overwrites the arrays that it was given and
/// that it returns.
#[uniffi::export(foreign)]
pub trait KeyStore: Send + Sync {
    /// Seals a secret: at most 4,096 bytes, which lie in the profile's folder. It is asked to open them at once, so that
    /// no key is kept that does not come back.
    fn wrap(&self, secret: Vec<u8>) -> Result<Vec<u8>>;

    /// Opens what `wrap` made, perhaps in an earlier process.
    fn unwrap(&self, wrapped: Vec<u8>) -> Result<Vec<u8>>;
}

struct Asked(Arc<dyn KeyStore>);

impl idiolect::seal::KeyStore for Asked {
    fn wrap(&self, secret: &[u8]) -> idiolect::Result<Vec<u8>> {
        self.0.wrap(secret.to_vec()).map_err(refused)
    }

    fn unwrap(&self, wrapped: &[u8]) -> idiolect::Result<Zeroizing<Vec<u8>>> {
        self.0.unwrap(wrapped.to_vec()).map(Zeroizing::new).map_err(refused)
    }
}

/// What a key store threw. Of an error that is not ours nothing is told: it may quote the secret.
fn refused(error: EngineError) -> Error {
    match error {
        EngineError::WrongKey { detail, hint } => {
            let error = Error::new(Kind::WrongKey, detail);
            match hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        }
        EngineError::Listener { .. } => Error::new(Kind::KeyStore, "the key store threw an error"),
        other => Error::new(Kind::KeyStore, other.into_words().0),
    }
}

/// What opens a profile's key: at most one of the two.
pub(crate) fn key_source(key: Option<Vec<u8>>, store: Option<Arc<dyn KeyStore>>) -> Result<KeySource> {
    match (key.map(Zeroizing::new), store) {
        (Some(_), Some(_)) => {
            Err(Error::new(Kind::BadOption, "a key and a key store").with_hint("give one of the two").into())
        }
        (Some(key), None) => Ok(KeySource::App(Key::from_bytes(&key)?)),
        (None, Some(store)) => Ok(KeySource::Store(Arc::new(Asked(store)))),
        (None, None) => Ok(KeySource::Beside),
    }
}

#[cfg(test)]
mod tests {
    use uniffi::UnexpectedUniFFICallbackError;

    use super::*;

    struct Throws(EngineError);

    impl KeyStore for Throws {
        fn wrap(&self, _: Vec<u8>) -> Result<Vec<u8>> {
            Err(self.0.clone())
        }

        fn unwrap(&self, wrapped: Vec<u8>) -> Result<Vec<u8>> {
            self.wrap(wrapped)
        }
    }

    fn locked() -> (String, Option<String>) {
        ("locked".into(), None)
    }

    #[test]
    fn what_a_key_store_throws_is_told_by_its_kind() {
        let home = tempfile::tempdir().unwrap();
        let (detail, hint) = locked();
        for (thrown, kind, told) in [
            (EngineError::Io { detail: detail.clone(), hint: hint.clone() }, Kind::KeyStore, "locked"),
            (UnexpectedUniFFICallbackError::new("a secret").into(), Kind::KeyStore, "the key store threw an error"),
            (EngineError::WrongKey { detail, hint }, Kind::WrongKey, "locked"),
        ] {
            let source = key_source(None, Some(Arc::new(Throws(thrown)))).unwrap();
            let error = idiolect::profile::Profile::create(&home.path().join("profile"), &source).unwrap_err();
            assert_eq!((error.kind(), error.message()), (kind, told));
        }
    }

    #[test]
    fn one_thing_opens_a_profile() {
        let (detail, hint) = locked();
        let throws = Arc::new(Throws(EngineError::Io { detail, hint }));
        let store = || Some(throws.clone() as Arc<dyn KeyStore>);
        assert!(matches!(key_source(None, None), Ok(KeySource::Beside)));
        assert!(matches!(key_source(Some(vec![7; 32]), None), Ok(KeySource::App(_))));
        assert!(matches!(key_source(None, store()), Ok(KeySource::Store(_))));
        assert!(key_source(Some(vec![7; 31]), None).is_err());
        assert!(key_source(Some(vec![7; 32]), store()).is_err());
    }
}
