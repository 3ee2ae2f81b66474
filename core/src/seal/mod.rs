//! Sealing: everything the person wrote, and everything that memorised it, lies on the disk encrypted and
//! authenticated.
//!
//! One [`Key`] opens a profile. A subkey for each [`Purpose`] is derived from it by HKDF-SHA256 (RFC 5869), so that no
//! two kinds of data share one. Records and files are sealed with XChaCha20-Poly1305 under random 192-bit nonces; what a
//! thing is (a record's place and generation, a file's purpose and name) is associated data, so one cannot stand in for
//! another. Look-ups go by HMAC-SHA256, never by a plain hash, which could be guessed.

mod file;
mod hash;
mod key;
pub(crate) mod key_store;
mod record;
mod stream;

pub use file::{read_sealed, write_sealed};
pub(crate) use hash::KeyedHash;
pub use key::{Key, Purpose};
pub use key_store::KeyStore;
pub(crate) use record::RecordCipher;
pub(crate) use stream::read_error;
pub use stream::{SealedReader, SealedWriter};

use crate::error::{Error, ErrorKind, Result};

/// Random bytes of the operating system.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Error::new(ErrorKind::Io, format!("the system gives no random bytes: {cause}")))?;
    Ok(bytes)
}
