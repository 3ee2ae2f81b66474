//! The key of a profile and what is derived from it.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::random_bytes;
use crate::error::{Error, ErrorKind, Result};

/// A 256-bit secret; its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Key {
    /// On the heap, so that moving the key leaves no copy behind.
    bytes: Box<Zeroizing<[u8; Key::LEN]>>,
}

/// What a subkey is for. Data sealed for one purpose does not open for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// The rows of the history.
    HistoryRecords,
    /// The history's look-ups: repeats, near-duplicates, the split.
    HistoryHashes,
    /// How far the history is.
    HistoryAnchor,
    /// An adapter, which memorises what it learned from.
    Adapter,
    /// A training checkpoint.
    Checkpoint,
    /// What can be computed again.
    Cache,
    /// The profile's own key, under a key of the app.
    ProfileKey,
    /// A profile on its way to another device.
    Archive,
}

impl Purpose {
    /// The name that goes into the derivation; it never changes, or nothing opens any more.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::HistoryRecords => "history records",
            Self::HistoryHashes => "history hashes",
            Self::HistoryAnchor => "history anchor",
            Self::Adapter => "adapter",
            Self::Checkpoint => "checkpoint",
            Self::Cache => "cache",
            Self::ProfileKey => "profile key",
            Self::Archive => "archive",
        }
    }
}

impl Key {
    /// The bytes of a key.
    pub const LEN: usize = 32;

    /// A key of the caller's, as kept in the Android Keystore or the iOS Keychain.
    ///
    /// # Errors
    /// `BadOption` when there are not exactly 32 bytes, or all are zero.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut key = Box::new(Zeroizing::new([0; Self::LEN]));
        if bytes.len() != Self::LEN {
            let message = format!("a key has {} bytes, this one has {}", Self::LEN, bytes.len());
            return Err(Error::new(ErrorKind::BadOption, message));
        }
        key.copy_from_slice(bytes);
        if key.iter().all(|&byte| byte == 0) {
            return Err(Error::new(ErrorKind::BadOption, "a key of zeros is none")
                .with_hint("take 32 random bytes from the system's key store"));
        }
        Ok(Self { bytes: key })
    }

    /// A new random key.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn random() -> Result<Self> {
        Self::from_bytes(&*Zeroizing::new(random_bytes::<{ Self::LEN }>()?))
    }

    /// The secret itself, for the app's own key store.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.bytes
    }

    /// The subkey for a purpose: HKDF-SHA256 with the purpose as `info`.
    pub(crate) fn subkey(&self, purpose: Purpose) -> Zeroizing<[u8; Self::LEN]> {
        self.derive(purpose.label())
    }

    /// The subkey that tells whether a file was sealed under this key at all.
    pub(super) fn check_subkey(&self) -> Zeroizing<[u8; Self::LEN]> {
        self.derive("key check")
    }

    fn derive(&self, info: &str) -> Zeroizing<[u8; Self::LEN]> {
        let mut subkey = Zeroizing::new([0; Self::LEN]);
        let expanded = Hkdf::<Sha256>::new(Some(b"idiolect 1"), &self.bytes[..]).expand(info.as_bytes(), &mut *subkey);
        debug_assert!(expanded.is_ok(), "HKDF gives up to 255 blocks, this is one");
        subkey
    }
}

/// Never the secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_make_a_key_or_an_error() {
        for (bytes, made) in
            [(vec![7; 32], true), (vec![7; 31], false), (vec![7; 33], false), (vec![0; 32], false), (vec![], false)]
        {
            let key = Key::from_bytes(&bytes);
            assert_eq!(key.is_ok(), made, "{} bytes", bytes.len());
            if let Err(error) = key {
                assert_eq!(error.kind(), ErrorKind::BadOption);
            }
        }
        assert_ne!(Key::random().unwrap().as_bytes(), Key::random().unwrap().as_bytes());
    }

    #[test]
    fn subkeys_differ_by_purpose_and_stay_the_same() {
        let key = Key::from_bytes(&[7; 32]).unwrap();
        let purposes =
            [Purpose::HistoryRecords, Purpose::HistoryHashes, Purpose::Adapter, Purpose::Checkpoint, Purpose::Archive];
        for (i, &a) in purposes.iter().enumerate() {
            assert_eq!(*key.subkey(a), *key.clone().subkey(a));
            assert_ne!(*key.subkey(a), *key.check_subkey());
            assert!(purposes[i + 1..].iter().all(|&b| *key.subkey(a) != *key.subkey(b)), "{a:?}");
        }
        assert_eq!(format!("{key:?}"), "Key(…)");
    }

    #[test]
    fn derivation_is_hkdf_sha256() {
        // Made with Python: hmac over "idiolect 1" and 32 bytes of 7, then over b"adapter\x01".
        let expected = "8f1e388f01e1825296b4b49f442a22d47b05b18a2c0af6fc27506f6af034f5cd";
        let subkey = Key::from_bytes(&[7; 32]).unwrap().subkey(Purpose::Adapter);
        let hex: String = subkey.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }
}
