//! A profile on its way to another device: one file under a passphrase.
//!
//! ```text
//! header   magic (8) ‖ version, memory in KiB, passes, lanes: u32 each ‖ salt (16) ‖ the first 8 bytes of SHA-256 of these
//! content  a sealed file under the key that Argon2id makes of the passphrase: the profile's key, then
//!          entries `1 ‖ length of the path u16 ‖ path ‖ length u64 ‖ content`, then `0`
//! ```
//!
//! Files stay sealed under the profile's key within; the key itself is sealed by the archive alone. An archive holds
//! history, adapters and checkpoints, and no cache.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{ADAPTERS, CHECKPOINTS, HISTORY, KEY, KeySource, MARK, Profile, key_file, make_private_folder};
use crate::disk::staged::{StagedFolder, private_file, refuse_occupied, sync_folder, whole_file};
use crate::error::{Error, ErrorKind, Result};
use crate::history::anchor_anew;
use crate::seal::{Key, Purpose, SealedReader, SealedWriter, random_bytes, read_error};

const MAGIC: &[u8; 8] = b"IDIOARCH";
const VERSION: u32 = 1;
const SALT: usize = 16;
const HEADER: usize = 8 + 4 * 4 + SALT + 8;
const NAME: &str = "profile";
const FILE: u8 = 1;
const END: u8 = 0;

/// How hard a passphrase is to try: Argon2id's memory in KiB, its passes and lanes (RFC 9106).
#[derive(Clone, Copy)]
pub(super) struct Cost {
    pub memory: u32,
    pub passes: u32,
    pub lanes: u32,
}

impl Cost {
    /// What archives are written with: 64 MiB, three passes.
    pub const STANDARD: Self = Self { memory: 64 * 1024, passes: 3, lanes: 1 };
    /// The most that a header may ask for.
    const MOST: Self = Self { memory: 256 * 1024, passes: 16, lanes: 16 };

    fn is_affordable(self) -> bool {
        self.memory <= Self::MOST.memory && self.passes <= Self::MOST.passes && self.lanes <= Self::MOST.lanes
    }
}

/// What an archive holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Archived {
    /// Files, the history's included.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Profile {
    /// Writes the whole profile to one file under a passphrase, in place of what lies there.
    ///
    /// # Errors
    /// `BadOption` for an empty passphrase, `TrainingBusy` while a training runs, `Io` when the file cannot be written:
    /// what lay there is untouched then.
    pub fn export(&self, archive: &Path, passphrase: &str) -> Result<Archived> {
        self.export_at(archive, passphrase, Cost::STANDARD)
    }

    pub(super) fn export_at(&self, archive: &Path, passphrase: &str, cost: Cost) -> Result<Archived> {
        let _inside = self.enter()?;
        let salt = random_bytes()?;
        let key = derive(passphrase, salt, cost, archive)?;
        // Adapters and checkpoints stand still meanwhile.
        let _training = self.lock_training()?;
        let copy = HistoryCopy::make(self)?;
        let mut archived = Archived::default();
        whole_file(archive, |staging| {
            let io = |cause| Error::io(archive, &cause);
            let mut file = private_file(staging).map_err(io)?;
            file.write_all(&header(salt, cost)).map_err(io)?;
            let mut out = SealedWriter::begin(file, archive, &key, Purpose::Archive, NAME)?;
            out.write_all(self.key().as_bytes()).map_err(io)?;
            let mut put = |source: &Path, name: &str| {
                archived.bytes += put_file(&mut out, source, name, archive)?;
                archived.files += 1;
                Ok(())
            };
            put(&copy.path, HISTORY)?;
            for folder in [ADAPTERS, CHECKPOINTS] {
                put_folder(&self.folder().join(folder), folder, &mut put)?;
            }
            out.write_all(&[END]).and_then(|()| out.finish()).map(drop).map_err(io)
        })?;
        Ok(archived)
    }

    /// Makes a profile in `folder` of an archive, under a key of this device's. It appears whole or not at all.
    ///
    /// # Errors
    /// `WrongKey` for a wrong passphrase; `BadFile` when the archive is damaged or cut off, or names a place outside a
    /// profile; `KeyStore` when the app's key store refuses; `Unsupported` when a newer version wrote it; `Io` when
    /// `folder` holds something or cannot be written.
    pub fn import(archive: &Path, passphrase: &str, folder: &Path, source: &KeySource) -> Result<Self> {
        refuse_occupied(folder)?;
        let mut file = File::open(archive).map(BufReader::new).map_err(|cause| Error::io(archive, &cause))?;
        let (salt, cost) = read_header(&mut file, archive)?;
        let key = derive(passphrase, salt, cost, archive)?;
        let mut content =
            SealedReader::open(file, archive, &key, Purpose::Archive, NAME).map_err(|error| match error.kind() {
                ErrorKind::WrongKey => {
                    let message = format!("{}: the passphrase does not open it", archive.display());
                    Error::new(ErrorKind::WrongKey, message).with_hint("try the passphrase again")
                }
                _ => error,
            })?;
        let staged = StagedFolder::begin(folder)?;
        unpack(&mut content, archive, &staged, source)?;
        staged.publish(None)?;
        Self::open(folder, source)
    }
}

fn header(salt: [u8; SALT], cost: Cost) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for number in [VERSION, cost.memory, cost.passes, cost.lanes] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&salt);
    let sum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&sum[..8]);
    bytes
}

fn read_header(reader: &mut impl Read, path: &Path) -> Result<([u8; SALT], Cost)> {
    let bad = |what| Error::bad_file(path, "header", what);
    let mut bytes = [0; HEADER];
    reader.read_exact(&mut bytes).map_err(|cause| match cause.kind() {
        io::ErrorKind::UnexpectedEof => bad("cut off"),
        _ => Error::io(path, &cause),
    })?;
    let (fields, sum) = bytes.split_at(HEADER - 8);
    if !fields.starts_with(MAGIC) {
        return Err(bad("not an archive of a profile"));
    }
    if Sha256::digest(fields)[..8] != *sum {
        return Err(bad("its checksum does not match"));
    }
    let number = |i: usize| u32::from_le_bytes(std::array::from_fn(|byte| fields[8 + 4 * i + byte]));
    if number(0) != VERSION {
        let what = format!("version {}, this library reads {VERSION}", number(0));
        return Err(Error::unsupported(path, "header", what));
    }
    let cost = Cost { memory: number(1), passes: number(2), lanes: number(3) };
    if !cost.is_affordable() {
        return Err(bad("the passphrase would cost too much memory or time"));
    }
    Ok((std::array::from_fn(|i| fields[24 + i]), cost))
}

/// The key that a passphrase makes.
pub(super) fn derive(passphrase: &str, salt: [u8; SALT], cost: Cost, path: &Path) -> Result<Key> {
    if passphrase.is_empty() {
        return Err(Error::new(ErrorKind::BadOption, "the passphrase is empty").with_hint("choose a long one"));
    }
    let params = Params::new(cost.memory, cost.passes, cost.lanes, Some(Key::LEN))
        .map_err(|cause| Error::bad_file(path, "header", cause))?;
    let mut bytes = Zeroizing::new([0; Key::LEN]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), &salt, &mut *bytes)
        .map_err(|cause| match cause {
            argon2::Error::OutOfMemory => {
                let need = cost.memory / 1024;
                Error::new(ErrorKind::OverBudget, format!("the passphrase needs {need} MiB of memory for a moment"))
            }
            cause => Error::new(ErrorKind::BadOption, format!("the passphrase cannot be used ({cause})")),
        })?;
    Key::from_bytes(&*bytes)
}

/// A copy of the history beside it, removed when dropped.
struct HistoryCopy {
    path: PathBuf,
}

impl HistoryCopy {
    fn make(profile: &Profile) -> Result<Self> {
        // A reader of the database's own file would drop this process's locks on it when it closes it.
        let number: String = random_bytes::<8>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let copy = Self { path: profile.folder().join(format!(".{HISTORY}.partial-{number}")) };
        profile.history().copy_to(&copy.path)?;
        Ok(copy)
    }
}

impl Drop for HistoryCopy {
    fn drop(&mut self) {
        // Sealed like the original; what a killed process leaves is found by the next one.
        let _ = fs::remove_file(&self.path);
    }
}

/// Puts the files below a folder, in the order of their names; hidden ones are in the making.
fn put_folder(folder: &Path, name: &str, put: &mut impl FnMut(&Path, &str) -> Result<()>) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.and_then(Iterator::collect::<io::Result<Vec<_>>>),
    };
    let mut entries = entries.map_err(|cause| Error::io(folder, &cause))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let file_name = entry.file_name();
        let file_name = file_name.to_str().ok_or_else(|| Error::bad_file(&path, "name", "not valid Unicode"))?;
        if file_name.starts_with('.') {
            continue;
        }
        let name = format!("{name}/{file_name}");
        let kind = entry.file_type().map_err(|cause| Error::io(&path, &cause))?;
        if kind.is_dir() {
            put_folder(&path, &name, put)?;
        } else if kind.is_file() {
            put(&path, &name)?;
        } else {
            return Err(Error::bad_file(&path, "kind", "neither a file nor a folder"));
        }
    }
    Ok(())
}

fn put_file(out: &mut impl Write, source: &Path, name: &str, archive: &Path) -> Result<u64> {
    if place(name).is_none() {
        return Err(Error::bad_file(source, "name", "an archive cannot hold such a name"));
    }
    let length_of_name = u16::try_from(name.len()).map_err(|_| Error::bad_file(source, "name", "too long"))?;
    let file = File::open(source).map_err(|cause| Error::io(source, &cause))?;
    let length = file.metadata().map_err(|cause| Error::io(source, &cause))?.len();
    let entry = [&[FILE], &length_of_name.to_le_bytes()[..], name.as_bytes(), &length.to_le_bytes()].concat();
    let copied = out.write_all(&entry).and_then(|()| io::copy(&mut file.take(length), out));
    match copied.map_err(|cause| Error::io(archive, &cause))? {
        copied if copied == length => Ok(length),
        _ => {
            Err(Error::new(ErrorKind::Io, format!("{}: it changed meanwhile", source.display())).with_hint("try again"))
        }
    }
}

/// Where an entry goes: below a profile's folder, in a place that archives hold. Nothing where that is not so.
fn place(name: &str) -> Option<PathBuf> {
    let parts: Vec<&str> = name.split('/').collect();
    let plain = |part: &&str| {
        !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', ':']) && !part.chars().any(char::is_control)
    };
    let known = match parts.as_slice() {
        [file] => *file == HISTORY,
        [folder, ..] => [ADAPTERS, CHECKPOINTS].contains(folder) && parts.len() <= 8,
        [] => false,
    };
    (known && parts.iter().all(plain)).then(|| parts.iter().collect())
}

fn unpack(content: &mut impl Read, archive: &Path, staged: &StagedFolder, source: &KeySource) -> Result<()> {
    let read = |cause: io::Error| match cause.kind() {
        io::ErrorKind::UnexpectedEof => Error::bad_file(archive, "content", "it ends too early"),
        _ => read_error(archive, &cause),
    };
    let bad = |field: &str, what| Error::bad_file(archive, field, what);
    let mut key = Zeroizing::new([0; Key::LEN]);
    content.read_exact(&mut *key).map_err(read)?;
    let key = Key::from_bytes(&*key).map_err(|_| bad("key", "not a key"))?;
    key_file::write(&staged.file(KEY), &key_file::sealed(&key, source)?)?;
    staged.write(MARK, b"")?;
    for number in 0_u64.. {
        let field = format!("entry {number}");
        let mut tag = [0];
        content.read_exact(&mut tag).map_err(read)?;
        match tag[0] {
            END => break,
            FILE => unpack_file(content, &field, archive, staged.path(), &read)?,
            _ => return Err(bad(&field, "of an unknown kind")),
        }
    }
    if content.read(&mut [0]).map_err(read)? != 0 {
        return Err(bad("content", "something follows its end"));
    }
    if !staged.file(HISTORY).is_file() {
        return Err(bad("content", "it holds no history"));
    }
    // The archive is authenticated: its history is the latest here.
    anchor_anew(&staged.file(HISTORY), &key)
}

fn unpack_file(
    content: &mut impl Read,
    field: &str,
    archive: &Path,
    folder: &Path,
    read: &impl Fn(io::Error) -> Error,
) -> Result<()> {
    let mut length = [0; 2];
    content.read_exact(&mut length).map_err(read)?;
    let mut name = vec![0; usize::from(u16::from_le_bytes(length))];
    content.read_exact(&mut name).map_err(read)?;
    let mut length = [0; 8];
    content.read_exact(&mut length).map_err(read)?;
    let length = u64::from_le_bytes(length);
    let place = std::str::from_utf8(&name).ok().and_then(place);
    let path = folder.join(place.ok_or_else(|| Error::bad_file(archive, field, "a place outside a profile"))?);
    let parent = path.parent().unwrap_or(folder);
    make_private_folder(parent)?;
    let mut file = private_file(&path).map_err(|cause| match cause.kind() {
        io::ErrorKind::AlreadyExists => Error::bad_file(archive, field, "named twice"),
        _ => Error::io(&path, &cause),
    })?;
    // What is damaged in the archive comes out of the reader, what is full or forbidden out of the file.
    let mut part = content.take(length);
    let mut buffer = Zeroizing::new(vec![0; 1 << 16]);
    let mut copied = 0;
    loop {
        let taken = part.read(&mut buffer).map_err(read)?;
        if taken == 0 {
            break;
        }
        file.write_all(&buffer[..taken]).map_err(|cause| Error::io(&path, &cause))?;
        copied += taken as u64;
    }
    if copied != length {
        return Err(Error::bad_file(archive, field, "it ends too early"));
    }
    file.sync_all().map_err(|cause| Error::io(&path, &cause))?;
    sync_folder(parent)
}
