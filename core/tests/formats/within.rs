//! A GGUF file within another file, by a descriptor: an app's asset.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::path::Path;

use idiolect::ErrorKind::{self, BadFile};
use idiolect::model::ModelDescriptor;
use idiolect::{DeviceChoice, Model, ModelSource, Session};

use crate::gguf_bytes::Gguf;

/// Float tensors, little-endian.
fn floats(_: &str, values: &[f32]) -> (u32, Vec<u8>) {
    (0, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

fn opened(file: &File, offset: u64, length: u64) -> idiolect::Result<Model> {
    Model::open_source(&ModelSource::Descriptor(ModelDescriptor::new(file.as_fd(), offset, length)?))
}

/// The model's logits for a few tokens.
fn logits(model: Model) -> Vec<Vec<f32>> {
    let mut session = Session::new(model.into(), DeviceChoice::Cpu).unwrap();
    idiolect::eval::logits(&mut session, None, &[vec![1, 2, 3]]).unwrap()
}

fn archive(path: &Path, before: usize, model: &[u8]) -> File {
    let mut file = File::options().read(true).write(true).create(true).truncate(true).open(path).unwrap();
    for part in [&vec![0x50; before][..], model, b"what comes behind"] {
        file.write_all(part).unwrap();
    }
    file
}

#[test]
fn a_model_opens_wherever_it_lies_in_a_file() {
    let home = tempfile::tempdir().unwrap();
    let (model, _) = Gguf::tiny(floats).bytes();
    let alone = home.path().join("alone.gguf");
    std::fs::write(&alone, &model).unwrap();
    let expected = Model::open(&alone).unwrap();
    let (fingerprint, expected) = (expected.fingerprint().to_owned(), logits(expected));
    let length = model.len() as u64;
    // As zip archives place what they store: by four bytes as a rule, or anyhow.
    for before in [0, 1, 2, 4, 37, 4096, 70_001] {
        let path = home.path().join("app.apk");
        let mut file = archive(&path, before, &model);
        // Where the descriptor stands is its owner's.
        file.seek(SeekFrom::Start(3)).unwrap();
        let model = opened(&file, before as u64, length).unwrap();
        assert_eq!(file.stream_position().unwrap(), 3);
        drop(file);
        // Nor does it matter what becomes of the name.
        std::fs::remove_file(&path).unwrap();
        assert_eq!(model.fingerprint(), fingerprint, "{before} bytes before it");
        assert_eq!(logits(model), expected, "{before} bytes before it");
    }
}

#[test]
fn what_is_no_model_there_is_refused_by_name() {
    let home = tempfile::tempdir().unwrap();
    let (model, _) = Gguf::tiny(floats).bytes();
    let length = model.len() as u64;
    let file = archive(&home.path().join("app.apk"), 64, &model);
    let size = file.metadata().unwrap().len();
    // (offset, length, words of the error)
    for (offset, length, part) in [
        (64, size, "offset and length"),
        (size + 1, 0, "offset and length"),
        (u64::MAX, 2, "offset and length"),
        (0, length, "magic"),
        (65, length - 1, "magic"),
        (64, length - 1, ""),
        (64, 0, "header"),
        (size, 0, "header"),
    ] {
        let error = opened(&file, offset, length).err().unwrap_or_else(|| panic!("{offset} {length}: it opened"));
        assert_eq!(error.kind(), BadFile, "{offset} {length}: {error}");
        assert!(error.message().contains("app.apk") && error.message().contains(part), "{offset} {length}: {error}");
    }
    let folder = File::open(home.path()).unwrap();
    assert!(matches!(opened(&folder, 0, 1).err().map(|error| error.kind()), Some(BadFile | ErrorKind::Io)));
}
