//! Hashes that only the holder of the key can compute, for look-ups on the disk.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::key::{Key, Purpose};
use crate::error::{Error, ErrorKind, Result};

/// HMAC-SHA256 under a subkey.
#[derive(Clone)]
pub(crate) struct KeyedHash {
    mac: Hmac<Sha256>,
}

impl KeyedHash {
    pub fn new(key: &Key, purpose: Purpose) -> Result<Self> {
        Self::with_subkey(&*key.subkey(purpose))
    }

    pub(super) fn with_subkey(subkey: &[u8]) -> Result<Self> {
        let mac = Hmac::new_from_slice(subkey)
            .map_err(|_| Error::new(ErrorKind::BadOption, "a key that HMAC does not take"))?;
        Ok(Self { mac })
    }

    /// The hash of `parts` in the domain `label`; each part enters with its length, so that no two lists collide.
    pub fn hash(&self, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.mac.clone();
        for part in std::iter::once(label.as_bytes()).chain(parts.iter().copied()) {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// The first half of [`Self::hash`]: enough for look-ups, whose collisions start near 2⁶⁴ entries.
    pub fn short(&self, label: &str, parts: &[&[u8]]) -> [u8; 16] {
        let hash = self.hash(label, parts);
        std::array::from_fn(|i| hash[i])
    }

    /// The first eight bytes of [`Self::hash`] as a number.
    pub fn number(&self, label: &str, parts: &[&[u8]]) -> u64 {
        let hash = self.hash(label, parts);
        u64::from_le_bytes(std::array::from_fn(|i| hash[i]))
    }
}

impl fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lists_of_parts_collide() {
        let hash = KeyedHash::new(&Key::from_bytes(&[7; 32]).unwrap(), Purpose::HistoryHashes).unwrap();
        let other = KeyedHash::new(&Key::from_bytes(&[8; 32]).unwrap(), Purpose::HistoryHashes).unwrap();
        let cases: [(&str, &[&[u8]]); 7] = [
            ("a", &[]),
            ("a", &[b""]),
            ("a", &[b"bc"]),
            ("a", &[b"b", b"c"]),
            ("ab", &[b"c"]),
            ("a", &[b"b", b"", b"c"]),
            ("b", &[b"bc"]),
        ];
        for (i, &(label, parts)) in cases.iter().enumerate() {
            assert_eq!(hash.hash(label, parts), hash.hash(label, parts));
            assert_ne!(hash.hash(label, parts), other.hash(label, parts));
            for &(label_2, parts_2) in &cases[i + 1..] {
                assert_ne!(hash.short(label, parts), hash.short(label_2, parts_2), "{label} {label_2}");
            }
        }
    }
}
