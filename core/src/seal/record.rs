//! Small sealed records: `nonce (24 bytes) ‖ ciphertext ‖ tag (16 bytes)`.

use std::fmt;

use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::key::{Key, Purpose};
use super::random_bytes;
use crate::error::{Error, ErrorKind, Result};

const NONCE: usize = 24;

/// Seals and opens records of one purpose.
#[derive(Clone)]
pub(crate) struct RecordCipher {
    cipher: XChaCha20Poly1305,
}

impl RecordCipher {
    pub fn new(key: &Key, purpose: Purpose) -> Self {
        Self { cipher: XChaCha20Poly1305::new(&(*key.subkey(purpose)).into()) }
    }

    /// `plain` sealed under a fresh nonce; it opens with the same `associated` bytes only.
    pub fn seal(&self, associated: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE] = random_bytes()?;
        // Encrypted in place behind the nonce, so that no second copy of the text is left in memory.
        let mut sealed = Vec::with_capacity(NONCE + plain.len() + 16);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let tag = self
            .cipher
            .encrypt_inout_detached(&XNonce::from(nonce), associated, (&mut sealed[NONCE..]).into())
            .map_err(|_| Error::new(ErrorKind::BadData, "a record too long to be sealed"))?;
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// What was sealed, or nothing where the key, the associated bytes or the record are others.
    pub fn open(&self, associated: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        let mut plain = Zeroizing::new(sealed.to_vec());
        self.cipher.decrypt_in_place(&XNonce::from(*nonce), associated, &mut *plain).ok()?;
        Some(plain)
    }
}

impl fmt::Debug for RecordCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordCipher(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cipher(key: u8, purpose: Purpose) -> RecordCipher {
        RecordCipher::new(&Key::from_bytes(&[key; 32]).unwrap(), purpose)
    }

    #[test]
    fn opens_with_the_same_key_purpose_and_associated_bytes_only() {
        let own = cipher(7, Purpose::HistoryRecords);
        for plain in [&b""[..], b"x", &[b'y'; 5000]] {
            let sealed = own.seal(b"row 1", plain).unwrap();
            assert_eq!(sealed.len(), plain.len() + 40);
            assert_eq!(own.open(b"row 1", &sealed).unwrap().as_slice(), plain);
            assert_ne!(own.seal(b"row 1", plain).unwrap(), sealed, "a nonce was used twice");
            assert!(own.open(b"row 2", &sealed).is_none());
            assert!(cipher(8, Purpose::HistoryRecords).open(b"row 1", &sealed).is_none());
            assert!(cipher(7, Purpose::Adapter).open(b"row 1", &sealed).is_none());
            for cut in [0, 1, 23, 24, 39, sealed.len() - 1] {
                assert!(own.open(b"row 1", &sealed[..cut]).is_none(), "cut at {cut}");
            }
            for flip in [0, 24, sealed.len() - 1] {
                let mut damaged = sealed.clone();
                damaged[flip] ^= 1;
                assert!(own.open(b"row 1", &damaged).is_none(), "flipped {flip}");
            }
        }
    }
}
