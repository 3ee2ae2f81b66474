//! Whole sealed files that appear at once or not at all.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use super::key::{Key, Purpose};
use super::stream::{SealedReader, SealedWriter, read_error};
use crate::disk::staged::{private_file, whole_file};
use crate::error::{Error, Result};

/// Writes `content` sealed to `path`, atomically and durably: a temporary file beside it, fsync, rename, fsync of the
/// folder. Only its owner can read it. `name` is authenticated with `purpose`: the file opens under both only.
///
/// # Errors
/// When the file cannot be written; what lay at `path` is then untouched.
pub fn write_sealed(path: &Path, key: &Key, purpose: Purpose, name: &str, content: &[u8]) -> Result<()> {
    whole_file(path, |staging| {
        let io = |cause| Error::io(path, &cause);
        let file = private_file(staging).map_err(io)?;
        let mut writer = SealedWriter::begin(file, path, key, purpose, name)?;
        writer.write_all(content).and_then(|()| writer.finish()).map(drop).map_err(io)
    })
}

/// What [`write_sealed`] wrote. Wipe it where it matters; memory grows with what the file really holds.
///
/// # Errors
/// `WrongKey` when it was sealed under another key, `BadFile` when it is damaged or was written for another purpose or
/// under another name, `Io` when it cannot be read.
pub fn read_sealed(path: &Path, key: &Key, purpose: Purpose, name: &str) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|cause| Error::io(path, &cause))?;
    let mut content = Vec::new();
    SealedReader::open(file, path, key, purpose, name)?
        .read_to_end(&mut content)
        .map_err(|cause| read_error(path, &cause))?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn files_cannot_be_swapped_and_appear_whole() {
        let home = tempfile::tempdir().unwrap();
        let [one, two, none] = ["one", "two", "none"].map(|name| home.path().join(name));
        let key = Key::random().unwrap();
        write_sealed(&one, &key, Purpose::Checkpoint, "one", b"first").unwrap();
        write_sealed(&one, &key, Purpose::Checkpoint, "one", b"second").unwrap();
        std::fs::copy(&one, &two).unwrap();
        let read = |path, key: &Key, purpose, name| read_sealed(path, key, purpose, name).map_err(|error| error.kind());
        for (path, name, purpose, expected) in [
            (&one, "one", Purpose::Checkpoint, Ok(b"second".to_vec())),
            (&two, "two", Purpose::Checkpoint, Err(ErrorKind::BadFile)),
            (&one, "one", Purpose::Adapter, Err(ErrorKind::BadFile)),
            (&none, "none", Purpose::Adapter, Err(ErrorKind::Io)),
        ] {
            assert_eq!(read(path, &key, purpose, name), expected, "{name} {purpose:?}");
        }
        assert_eq!(read(&one, &Key::random().unwrap(), Purpose::Checkpoint, "one"), Err(ErrorKind::WrongKey));
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 2, "a temporary file was left");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&one).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
