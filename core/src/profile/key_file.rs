//! Where the profile's key lies: `magic (8) ‖ kind (1) ‖ the key ‖ the first 8 bytes of SHA-256 of these`.
//!
//! Kind 0 is the key as it is; kind 1 is the key sealed under a key of the app's. So a profile can move to a phone with
//! another key store without being sealed again, and destroying this one file destroys everything, whoever kept a copy
//! of the app's key.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::disk::staged::{private_file, whole_file};
use crate::error::{Error, ErrorKind, Result};
use crate::seal::{Key, Purpose, RecordCipher};

const MAGIC: &[u8; 8] = b"IDIOKEY1";
const PLAIN: u8 = 0;
const SEALED: u8 = 1;
/// No key file is longer.
const LONGEST: u64 = 256;

/// What opens the profile's key.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// Nothing: it lies in the folder, readable by its owner only. This does not protect against somebody who holds the
    /// folder.
    Beside,
    /// A key of the app's, as from the Android Keystore or the iOS Keychain.
    App(Key),
}

/// Whether a key file lies at `path`, damaged or not.
pub(super) fn is_key_file(path: &Path) -> bool {
    let mut magic = [0; 8];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *MAGIC
}

/// Reads the key; none where there is no file.
pub(super) fn read(path: &Path, source: &KeySource) -> Result<Option<Key>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST as usize + 1));
    match File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(Error::io(path, &cause)),
    }
    let bad = |what| Error::bad_file(path, "key", what);
    let (content, sum) = bytes.split_last_chunk::<8>().ok_or_else(|| bad("cut off"))?;
    let (&kind, key) = content.strip_prefix(MAGIC).and_then(<[u8]>::split_first).ok_or_else(|| bad("no key file"))?;
    if Sha256::digest(content)[..8] != *sum {
        return Err(bad("its checksum does not match"));
    }
    let wrong = |what| Error::new(ErrorKind::WrongKey, format!("{}: {what}", path.display()));
    match (kind, source) {
        (PLAIN, KeySource::Beside) => Key::from_bytes(key).map(Some).map_err(|_| bad("not of a key's length")),
        (SEALED, KeySource::App(app)) => {
            let opened = cipher(app).open(MAGIC, key).ok_or_else(|| {
                wrong("the profile was made with another key").with_hint("open it with the key that it was made with")
            })?;
            Key::from_bytes(&opened).map(Some).map_err(|_| bad("not of a key's length"))
        }
        (PLAIN, KeySource::App(_)) => Err(wrong("the profile was made without a key of the app's")
            .with_hint("open it without one, or export it and import it with the key")),
        (SEALED, KeySource::Beside) => Err(wrong("the profile was made with a key of the app's")
            .with_hint("open it with that key; only the app has it")),
        _ => Err(Error::unsupported(path, "key", format!("kind {kind}"))),
    }
}

/// Writes the key, atomically and durably.
pub(super) fn write(path: &Path, key: &Key, source: &KeySource) -> Result<()> {
    let mut bytes = Zeroizing::new(MAGIC.to_vec());
    match source {
        KeySource::Beside => {
            bytes.push(PLAIN);
            bytes.extend_from_slice(key.as_bytes());
        }
        KeySource::App(app) => {
            bytes.push(SEALED);
            bytes.extend_from_slice(&cipher(app).seal(MAGIC, key.as_bytes())?);
        }
    }
    let sum = Sha256::digest(&*bytes);
    bytes.extend_from_slice(&sum[..8]);
    whole_file(path, |staging| {
        let written = private_file(staging).and_then(|mut file| file.write_all(&bytes));
        written.map_err(|cause| Error::io(path, &cause))
    })
}

fn cipher(app: &Key) -> RecordCipher {
    RecordCipher::new(app, Purpose::ProfileKey)
}
