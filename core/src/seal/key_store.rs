//! A key store of the app's, whose keys never leave it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use zeroize::Zeroizing;

use super::Key;
use crate::error::{Error, ErrorKind, Result};

/// A store that seals and opens secrets by a key that nobody can read, such as an AES key of the Android Keystore or a
/// key of the Secure Enclave. It is asked when a profile is made, opened, imported or given another key, on the thread
/// of that call.
pub trait KeyStore: Send + Sync {
    /// Seals a secret of [`Key::LEN`] bytes. What comes of it lies in the profile's folder.
    ///
    /// # Errors
    /// When the store refuses: it is locked, or the person said no.
    fn wrap(&self, secret: &[u8]) -> Result<Vec<u8>>;

    /// Opens what [`KeyStore::wrap`] gave, in this process or an earlier one.
    ///
    /// # Errors
    /// `WrongKey` where the store knows that this was sealed by another key; another kind where it refuses.
    fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>>;
}

/// The most bytes that a store may make of a key: an envelope with certificates has some hundreds.
pub(crate) const LONGEST_WRAPPED: usize = 4096;

/// A key as a store seals it. The store has to give it back first: of one that does not, nothing is kept.
pub(crate) fn wrap(store: &dyn KeyStore, key: &Key) -> Result<Vec<u8>> {
    let wrapped = asked(|| store.wrap(key.as_bytes()))?;
    if wrapped.is_empty() || wrapped.len() > LONGEST_WRAPPED {
        let message = format!("the key store made {} bytes of a key, not 1 to {LONGEST_WRAPPED}", wrapped.len());
        return Err(Error::new(ErrorKind::KeyStore, message));
    }
    match unwrap(store, &wrapped)? {
        Some(back) if back.as_bytes() == key.as_bytes() => Ok(wrapped),
        _ => Err(Error::new(ErrorKind::KeyStore, "the key store does not give back what it was given")),
    }
}

/// The key that a store has sealed; none where it gives what is no key.
pub(crate) fn unwrap(store: &dyn KeyStore, wrapped: &[u8]) -> Result<Option<Key>> {
    asked(|| store.unwrap(wrapped)).map(|secret| Key::from_bytes(&secret).ok())
}

/// What a store says; one that panics has refused.
fn asked<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let said = catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::KeyStore, "the key store panicked")));
    said.map_err(|error| match error.kind() {
        ErrorKind::WrongKey => error,
        _ => error.into_kind(ErrorKind::KeyStore),
    })
}
