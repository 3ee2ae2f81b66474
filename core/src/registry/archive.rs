//! An adapter's folder in one `.tar` file.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::adapter::Adapter;
use crate::disk::file_bytes::FileBytes;
use crate::disk::staged::private_file;
use crate::error::{Error, Result};
use crate::format::peft::{self, AdapterFiles};
use crate::model::Model;

pub(super) fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tar"))
}

/// Writes an adapter's folder as one file, a new one that only its owner can read.
pub(super) fn write(folder: &Path, file: &Path) -> Result<()> {
    let io = |cause| Error::io(file, &cause);
    let mut archive = tar::Builder::new(BufWriter::new(private_file(file).map_err(io)?));
    archive.mode(tar::HeaderMode::Deterministic);
    for name in peft::FILES {
        archive.append_path_with_name(folder.join(name), name).map_err(io)?;
    }
    archive.into_inner().and_then(|mut file| file.flush()).map_err(io)
}

/// Reads what [`write`] wrote, into memory: nothing is unpacked, so that nothing of it can be left unsealed in a profile.
/// Only the files of an adapter, by their bare names, are taken; anything else is refused.
pub(super) fn read(source: &Path, model: &Model) -> Result<Adapter> {
    let io = |cause| Error::io(source, &cause);
    let bad = |what: String| Error::bad_file(source, "entry", what);
    let file = FileBytes::read(source)?;
    let bytes: &[u8] = (*file).as_ref();
    let mut places = BTreeMap::new();
    for entry in tar::Archive::new(bytes).entries().map_err(io)? {
        let entry = entry.map_err(io)?;
        let path = entry.path().map_err(io)?.into_owned();
        let name = peft::FILES.into_iter().find(|&name| path == Path::new(name));
        let regular = entry.header().entry_type().is_file();
        let Some(name) = name.filter(|_| regular) else {
            let shown: String = path.display().to_string().chars().take(80).collect();
            return Err(bad(format!("{shown:?} is no file of an adapter")));
        };
        let start = entry.raw_file_position();
        let end = start.checked_add(entry.size()).filter(|&end| end <= bytes.len() as u64);
        let end = end.ok_or_else(|| bad(format!("{name}: cut off")))?;
        if places.insert(name, start as usize..end as usize).is_some() {
            return Err(bad(format!("{name}: there twice")));
        }
    }
    let files = AdapterFiles::open_within(&file, |name| places.get(name).cloned())?;
    Adapter::of_files(&files, source, model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// An archive of one entry, with a path that the crate itself would refuse to write.
    fn archive(path: &str, kind: tar::EntryType) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_size(2);
        header.set_mode(0o644);
        header.set_cksum();
        let mut archive = tar::Builder::new(Vec::new());
        archive.append(&header, &b"{}"[..]).unwrap();
        archive.into_inner().unwrap()
    }

    #[test]
    fn nothing_but_an_adapters_files_is_unpacked() {
        let home = tempfile::tempdir().unwrap();
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings/cli/assets/base");
        let model = Model::open(&base).unwrap();
        let source = home.path().join("a.tar");
        let regular = tar::EntryType::Regular;
        for (path, kind) in [
            ("../adapter_config.json", regular),
            ("/tmp/adapter_config.json", regular),
            ("x/adapter_config.json", regular),
            ("adapter_config.json", tar::EntryType::Symlink),
            ("something", regular),
        ] {
            std::fs::write(&source, archive(path, kind)).unwrap();
            let error = read(&source, &model).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadFile, "{path}: {error}");
        }
        std::fs::write(&source, &archive("adapter_config.json", regular)[..600]).unwrap();
        assert!(read(&source, &model).is_err(), "truncated");
    }
}
