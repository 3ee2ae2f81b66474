//! Where the profile's key lies: `magic (8) ‖ kind (1) ‖ the key ‖ the first 8 bytes of SHA-256 of these`.
//!
//! Kind 0 is the key as it is; kind 1 is the key sealed under a key of the app's; kind 2 is the key as the app's key store
//! has wrapped it, behind 8 bytes that tell whether the store gave back this one. So a profile can move to a phone with
//! another key store without being sealed again, and destroying this one file destroys everything, whoever kept a copy
//! of the app's key. The checksum tells a damaged file from a wrong key.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::disk::staged::{private_file, whole_file};
use crate::error::{Error, ErrorKind, Result};
use crate::seal::key_store::{self, KeyStore, LONGEST_WRAPPED};
use crate::seal::{Key, Purpose, RecordCipher, random_bytes};

const MAGIC: &[u8; 8] = b"IDIOKEY1";
const PLAIN: u8 = 0;
const SEALED: u8 = 1;
const WRAPPED: u8 = 2;
/// No key file is longer.
const LONGEST: u64 = 256 + LONGEST_WRAPPED as u64;

/// What opens the profile's key.
#[derive(Clone)]
pub enum KeySource {
    /// Nothing: it lies in the folder, readable by its owner only. This does not protect against somebody who holds the
    /// folder.
    Beside,
    /// A key of the app's, as from the Android Keystore or the iOS Keychain.
    App(Key),
    /// A key store of the app's that seals the profile's key by a key that never leaves it.
    Store(Arc<dyn KeyStore>),
}

/// Never the secret.
impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Beside => "Beside",
            Self::App(_) => "App(…)",
            Self::Store(_) => "Store(…)",
        })
    }
}

/// Whether a key file lies at `path`, damaged or not.
pub(super) fn is_key_file(path: &Path) -> bool {
    let mut magic = [0; 8];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *MAGIC
}

/// Reads the key; none where there is no file.
pub(super) fn read(path: &Path, source: &KeySource) -> Result<Option<Key>> {
    let mut found = contents(path)?;
    if found.as_ref().is_some_and(|bytes| !is_whole(bytes)) {
        // Who changes the key overwrites the file that was opened a moment ago: there is another then.
        found = contents(path)?;
    }
    let Some(bytes) = found else { return Ok(None) };
    let bad = |what| Error::bad_file(path, "key", what);
    let (content, _) = bytes.split_last_chunk::<8>().ok_or_else(|| bad("cut off"))?;
    let (&kind, key) = content.strip_prefix(MAGIC).and_then(<[u8]>::split_first).ok_or_else(|| bad("no key file"))?;
    if !is_whole(&bytes) {
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
        (WRAPPED, KeySource::Store(store)) => {
            let (own, wrapped) = key.split_first_chunk::<8>().ok_or_else(|| bad("cut off"))?;
            key_store::unwrap(&**store, wrapped)?.filter(|key| commitment(key) == *own).map(Some).ok_or_else(|| {
                wrong("the key store gives another key than the profile's")
                    .with_hint("open it with the store's key that it was made with")
            })
        }
        (PLAIN, KeySource::App(_) | KeySource::Store(_)) => {
            Err(wrong("the profile was made without a key of the app's")
                .with_hint("open it without one, then change it"))
        }
        (SEALED, KeySource::Beside | KeySource::Store(_)) => Err(wrong("the profile was made with a key of the app's")
            .with_hint("open it with that key; only the app has it")),
        (WRAPPED, KeySource::Beside | KeySource::App(_)) => Err(wrong("the profile's key is in the app's key store")
            .with_hint("open it with that store; only the app has it")),
        _ => Err(Error::unsupported(path, "key", format!("kind {kind}"))),
    }
}

/// The bytes of a key file, and one more where there are too many; none where there is no file.
fn contents(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST as usize + 1));
    match File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::io(path, &cause)),
    }
}

/// Whether the checksum at its end is right.
fn is_whole(bytes: &[u8]) -> bool {
    bytes.split_last_chunk::<8>().is_some_and(|(content, sum)| Sha256::digest(content)[..8] == *sum)
}

/// What tells a profile's key from others, and nothing else of it.
fn commitment(key: &Key) -> [u8; 8] {
    let digest = Sha256::digest(*key.subkey(Purpose::ProfileKey));
    std::array::from_fn(|at| digest[at])
}

/// What a key file holds: the app's key store is asked here.
pub(super) fn sealed(key: &Key, source: &KeySource) -> Result<Zeroizing<Vec<u8>>> {
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
        KeySource::Store(store) => {
            bytes.push(WRAPPED);
            bytes.extend_from_slice(&commitment(key));
            bytes.extend_from_slice(&key_store::wrap(&**store, key)?);
        }
    }
    let sum = Sha256::digest(&*bytes);
    bytes.extend_from_slice(&sum[..8]);
    Ok(bytes)
}

/// Writes a key file, atomically and durably.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    whole_file(path, |staging| {
        let written = private_file(staging).and_then(|mut file| file.write_all(bytes));
        written.map_err(|cause| Error::io(path, &cause))
    })
}

/// Writes a key file in place of the one that lies there, which is overwritten on the disk.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let io = |cause| Error::io(path, &cause);
    let old = fs::symlink_metadata(path).map_err(io)?.is_file();
    let old = old.then(|| File::options().write(true).open(path)).transpose().map_err(io)?;
    write(path, bytes)?;
    old.map_or(Ok(()), |mut file| overwrite_file(&mut file)).map_err(|cause| {
        Error::io(path, &cause).with_hint("the key was changed; what held it before may be on the disk still")
    })
}

/// Overwrites a file's bytes with random ones, down to the disk; what a link points to is left alone.
pub(super) fn overwrite(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Ok(());
    }
    overwrite_file(&mut File::options().write(true).open(path)?)
}

fn overwrite_file(file: &mut File) -> io::Result<()> {
    let mut left = file.metadata()?.len();
    while left > 0 {
        let noise = random_bytes::<64>().map_err(|error| io::Error::other(error.to_string()))?;
        let taken = left.min(noise.len() as u64);
        file.write_all(&noise[..taken as usize])?;
        left -= taken;
    }
    file.sync_all()
}

fn cipher(app: &Key) -> RecordCipher {
    RecordCipher::new(app, Purpose::ProfileKey)
}
