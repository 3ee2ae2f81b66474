//! A model in several GGUF files: the same as in one, and refused where they do not belong together.

use std::fs;
use std::path::{Path, PathBuf};

use idiolect::ErrorKind::{self, BadFile, Io, Unsupported};
use idiolect::Model;
use idiolect::format::{ImportOptions, ModelFiles, import};

use crate::gguf_bytes::{Gguf, Meta, numbered};
use crate::import::blocks;
use crate::{matrices, refusal};

/// In Q8_0, which an import keeps.
fn tiny() -> Gguf {
    blocks(8, 34)
}

fn path_of(home: &Path, index: usize, count: usize) -> PathBuf {
    home.join(format!("tiny-{:05}-of-{count:05}.gguf", index + 1))
}

/// The parts' files.
fn write(home: &Path, parts: &[Gguf]) -> Vec<PathBuf> {
    let paths: Vec<PathBuf> = (0..parts.len()).map(|index| path_of(home, index, parts.len())).collect();
    paths.iter().zip(parts).for_each(|(path, part)| fs::write(path, part.bytes().0).unwrap());
    paths
}

#[test]
fn parts_are_the_model_that_was_split() {
    let home = tempfile::tempdir().unwrap();
    let alone = home.path().join("alone.gguf");
    fs::write(&alone, tiny().bytes().0).unwrap();
    let whole = Model::open(&alone).unwrap();
    let imported = import(&alone, &home.path().join("imported"), ImportOptions::default(), |_, _| ()).unwrap();
    // (tensors in the parts but for the last): the first may have none, as llama.cpp's converter writes it where asked to.
    for (case, counts) in [&[7][..], &[0, 9], &[1; 11], &[20]].into_iter().enumerate() {
        let folder = home.path().join(case.to_string());
        fs::create_dir(&folder).unwrap();
        for path in write(&folder, &tiny().split(counts)).iter().chain([&folder]) {
            let model = Model::open(path).unwrap();
            assert_eq!(model.fingerprint(), whole.fingerprint(), "{}", path.display());
            assert_eq!(model.files().config(), whole.files().config());
            assert!(matrices(model.files()) == matrices(whole.files()), "{}", path.display());
        }
        let destination = home.path().join(format!("imported-{case}"));
        let last = path_of(&folder, counts.len(), counts.len() + 1);
        let report = import(&last, &destination, ImportOptions::default(), |_, _| ()).unwrap();
        assert_eq!(report, imported, "{counts:?}");
    }
}

/// Moves a tensor to where another one lies.
fn overlap(file: &Path, name: &str) {
    let mut bytes = fs::read(file).unwrap();
    let at = bytes.windows(name.len()).position(|window| window == name.as_bytes()).unwrap() + name.len();
    // Behind the name: the number of axes, two of them, the type.
    bytes[at + 4 + 16 + 4..][..8].fill(0);
    fs::write(file, bytes).unwrap();
}

#[test]
fn parts_that_do_not_belong_together_are_refused_by_name() {
    const SECOND: &str = "tiny-00002-of-00003.gguf: ";
    let set = |part: &mut Gguf, key: &str, value: Meta| {
        part.meta.retain(|(other, _)| other != key);
        part.meta.push((key.to_owned(), value));
    };
    type Parts<'a> = &'a dyn Fn(&mut [Gguf]);
    type Files<'a> = &'a dyn Fn(&[PathBuf]);
    let (sound, kept): (Parts<'_>, Files<'_>) = (&|_| (), &|_| ());
    let cases: [(Parts<'_>, Files<'_>, ErrorKind, &[&str]); 14] = [
        (sound, &|files| fs::remove_file(&files[1]).unwrap(), Io, &[SECOND]),
        (
            &|parts| set(&mut parts[1], "split.count", numbered(4)),
            kept,
            BadFile,
            &[SECOND, "split.count: 4 where", "3"],
        ),
        (&|parts| set(&mut parts[1], "split.no", numbered(2)), kept, BadFile, &[SECOND, "split.no: 2 where", "1"]),
        (
            &|parts| set(&mut parts[1], "split.tensors.count", Meta::U32(7)),
            kept,
            BadFile,
            &[SECOND, "tensors.count: 7"],
        ),
        (&|parts| set(&mut parts[1], "split.no", numbered(3)), kept, BadFile, &["split.no: 3 where split.count is 3"]),
        (&|parts| set(&mut parts[1], "split.no", Meta::F32(1.0)), kept, BadFile, &["split.no: not a whole number"]),
        (&|parts| parts[0].meta.retain(|(key, _)| key != "split.no"), kept, BadFile, &["split.no: missing"]),
        (
            &|parts| parts.iter_mut().for_each(|part| set(part, "split.tensors.count", Meta::U32(21))),
            kept,
            BadFile,
            &["split.tensors.count: 21 where the parts have 20"],
        ),
        // Of the same model split elsewhere.
        (&|parts| parts[1] = tiny().split(&[3, 4]).swap_remove(1), kept, BadFile, &[SECOND, "also in"]),
        (&|parts| parts[1] = tiny(), kept, BadFile, &[SECOND, "split.count: missing, where the other parts say 3"]),
        (
            sound,
            &|files| fs::File::options().write(true).open(&files[1]).unwrap().set_len(4_000).unwrap(),
            BadFile,
            &[SECOND],
        ),
        (sound, &|files| overlap(&files[1], "blk.0.ffn_up.weight"), BadFile, &[SECOND, "overlaps the tensor before"]),
        (sound, &|files| fs::write(&files[1], "GGML").unwrap(), BadFile, &[SECOND, "magic"]),
        (&|parts| _ = parts[1].tensors.pop(), kept, BadFile, &["split.tensors.count: 20 where the parts have 19"]),
    ];
    for (change, damage, kind, expected) in cases {
        let home = tempfile::tempdir().unwrap();
        let mut parts = tiny().split(&[4, 8]);
        change(&mut parts);
        let files = write(home.path(), &parts);
        damage(&files);
        let error = refusal(&files[0]);
        assert_eq!(error.kind(), kind, "{expected:?}: {error}");
        assert!(expected.iter().all(|part| error.message().contains(part)), "{expected:?}: {error}");
    }
}

#[test]
fn parts_go_by_their_names() {
    let home = tempfile::tempdir().unwrap();
    let files = write(home.path(), &tiny().split(&[4]));
    for name in ["model.gguf", "tiny-00002-of-00002.gguf", "tiny-00001-of-00003.gguf", "tiny-00001-of-00002.bin"] {
        let folder = tempfile::tempdir().unwrap();
        let renamed = folder.path().join(name);
        fs::copy(&files[0], &renamed).unwrap();
        let error = refusal(&renamed);
        assert!(error.message().contains("name: not PREFIX-00001-of-00002.gguf, as part 1"), "{name}: {error}");
        assert!(error.hint().is_some());
    }
    // Beside another model, a folder is no model.
    fs::copy(&files[0], home.path().join("other.gguf")).unwrap();
    assert!(refusal(home.path()).message().contains("several GGUF files"));
    ModelFiles::open(&files[1]).unwrap();
}

#[cfg(unix)]
#[test]
fn a_part_behind_a_descriptor_is_refused() {
    use std::os::fd::AsFd;

    let home = tempfile::tempdir().unwrap();
    for path in write(home.path(), &tiny().split(&[4, 8])) {
        let file = fs::File::open(&path).unwrap();
        let length = file.metadata().unwrap().len();
        let descriptor = idiolect::model::ModelDescriptor::new(file.as_fd(), 0, length).unwrap();
        let error = Model::open_source(&idiolect::ModelSource::Descriptor(descriptor)).err().unwrap();
        assert_eq!(error.kind(), Unsupported, "{error}");
        assert!(error.message().contains("split.count: a model in 3 files, where one is given"), "{error}");
    }
}
