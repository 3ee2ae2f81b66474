use std::io::{Cursor, Write};

use super::*;
use crate::profile::archive;
use crate::seal::{SealedReader, SealedWriter, read_sealed};

#[test]
fn a_profile_moves_under_a_passphrase_to_another_key() {
    let home = tempfile::tempdir().unwrap();
    let [old, archive] = ["old", "archive"].map(|name| home.path().join(name));
    let profile = filled(&old, &app(1));
    profile.history().record_learning(1, [crate::history::SampleId(3)], 0).unwrap();
    let archived = profile.export_at(&archive, "correct horse", QUICK).unwrap();
    assert_eq!(archived.files, 3);
    assert_eq!(
        names(&old),
        [
            ADAPTERS,
            CHECKPOINTS,
            "history.db",
            "history.db-anchor",
            "history.db-shm",
            "history.db-wal",
            "idiolect.lock",
            "key",
            "training.lock"
        ]
    );
    // Exported again: replaced.
    assert_eq!(profile.export_at(&archive, "correct horse", QUICK).unwrap(), archived);
    let bytes = fs::read(&archive).unwrap();
    for secret in [profile.key().as_bytes(), &b"message 1"[..], b"weights", b"history.db"] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }

    for source in [app(1), app(2), KeySource::Beside] {
        let new = tempfile::tempdir().unwrap();
        let folder = new.path().join("deep/new");
        let moved = Profile::import(&archive, "correct horse", &folder, &source).unwrap();
        assert_eq!(moved.history().list(None, 1000).unwrap(), profile.history().list(None, 1000).unwrap());
        assert_eq!(moved.history().versions().unwrap(), profile.history().versions().unwrap());
        let weights = folder.join("adapters/1/weights");
        assert_eq!(read_sealed(&weights, moved.key(), Purpose::Adapter, "1/weights").unwrap().len(), 200_000);
        assert!(folder.join("checkpoints/last-training").is_file());
        drop(moved);
        assert_eq!(kind(Profile::open(&folder, &source)), None);
        assert_eq!(kind(Profile::open(&folder, &app(9))), Some(ErrorKind::WrongKey));
        // Never over something else.
        assert_eq!(kind(Profile::import(&archive, "correct horse", &folder, &source)), Some(ErrorKind::Io));
    }
    assert_eq!(kind(profile.export_at(&archive, "", QUICK)), Some(ErrorKind::BadOption));
    assert!(fs::read(&archive).unwrap() == bytes || fs::metadata(&archive).unwrap().len() == bytes.len() as u64);
}

#[test]
fn a_damaged_archive_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let [old, archive, new] = ["old", "archive", "new"].map(|name| home.path().join(name));
    let profile = filled(&old, &KeySource::Beside);
    profile.export_at(&archive, "pass", QUICK).unwrap();
    let whole = fs::read(&archive).unwrap();
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let cost = |memory: u32| {
        let mut bytes = whole.clone();
        bytes[12..16].copy_from_slice(&memory.to_le_bytes());
        let sum = sha2::Digest::finalize(sha2::Digest::chain_update(sha2::Sha256::default(), &bytes[..40]));
        bytes[40..48].copy_from_slice(&sum[..8]);
        bytes
    };
    for (what, bytes, passphrase, expected) in [
        ("another passphrase", whole.clone(), "Pass", ErrorKind::WrongKey),
        ("no passphrase", whole.clone(), "", ErrorKind::BadOption),
        ("empty", vec![], "pass", ErrorKind::BadFile),
        ("another file", b"PK\x03\x04".repeat(50), "pass", ErrorKind::BadFile),
        ("cut in the header", whole[..40].to_vec(), "pass", ErrorKind::BadFile),
        ("cut after the header", whole[..48].to_vec(), "pass", ErrorKind::BadFile),
        ("cut", whole[..whole.len() - 1].to_vec(), "pass", ErrorKind::BadFile),
        ("cut between frames", whole[..48 + 55 + 65_552].to_vec(), "pass", ErrorKind::BadFile),
        ("longer", [&whole[..], b"x"].concat(), "pass", ErrorKind::BadFile),
        ("a flip in the salt", changed(30), "pass", ErrorKind::BadFile),
        ("a flip in the content", changed(whole.len() / 2), "pass", ErrorKind::BadFile),
        ("a costly passphrase", cost(u32::MAX), "pass", ErrorKind::BadFile),
        ("a cheap passphrase", cost(1), "pass", ErrorKind::BadFile),
    ] {
        fs::write(&archive, bytes).unwrap();
        assert_eq!(kind(Profile::import(&archive, passphrase, &new, &KeySource::Beside)), Some(expected), "{what}");
        assert_eq!(names(home.path()), ["archive", "old"], "{what}");
    }
}

/// An archive whose content, under the right passphrase, is `content` after the key.
fn forged(whole: &[u8], content: &[u8]) -> Vec<u8> {
    let path = Path::new("archive");
    let salt = whole[24..40].try_into().unwrap();
    let archive_key = archive::derive("pass", salt, QUICK, path).unwrap();
    let writer = Cursor::new(Vec::new());
    let mut writer = SealedWriter::begin(writer, path, &archive_key, Purpose::Archive, "profile").unwrap();
    writer.write_all(&[7; 32]).unwrap();
    writer.write_all(content).unwrap();
    let sealed = writer.finish().unwrap().into_inner();
    drop(SealedReader::open(&sealed[..], path, &archive_key, Purpose::Archive, "profile").unwrap());
    [&whole[..48], &sealed].concat()
}

#[test]
fn a_hostile_archive_writes_nothing_outside_its_folder() {
    let home = tempfile::tempdir().unwrap();
    let [old, archive, new] = ["old", "archive", "new"].map(|name| home.path().join(name));
    filled(&old, &KeySource::Beside).export_at(&archive, "pass", QUICK).unwrap();
    let whole = fs::read(&archive).unwrap();
    let entry = |name: &str, length: u64, content: &[u8]| {
        let name_length = (name.len() as u16).to_le_bytes();
        [&[1][..], &name_length, name.as_bytes(), &length.to_le_bytes(), content].concat()
    };
    let end = [0].to_vec();
    let names_of_entries = [
        "../escaped",
        "adapters/../../escaped",
        "/tmp/escaped",
        "adapters//x",
        "adapters/",
        "adapters",
        "adapters/.hidden",
        "adapters/./x",
        "adapters\\..\\..\\escaped",
        "adapters/c:x",
        "adapters/a\nb",
        "adapters/a\0b",
        "key",
        "cache/x",
        "",
        "history.db/x",
        "adapters/1/2/3/4/5/6/7/8",
    ];
    let mut cases: Vec<(String, Vec<u8>)> = names_of_entries
        .iter()
        .map(|name| (format!("the name {name:?}"), [entry(name, 1, b"x"), end.clone()].concat()))
        .collect();
    cases.extend([
        ("a lying length".into(), entry("adapters/x", u64::MAX, b"x")),
        ("a name that is not text".into(), [&[1, 2, 0, 0xff, 0xfe][..], &[0; 8]].concat()),
        ("a name twice".into(), [entry("adapters/x", 1, b"x"), entry("adapters/x", 1, b"x")].concat()),
        ("an unknown kind".into(), vec![9]),
        ("no end".into(), entry("adapters/x", 1, b"x")),
        ("no history".into(), end.clone()),
        ("more after the end".into(), [entry("history.db", 1, b"x"), end.clone(), end.clone()].concat()),
    ]);
    for (what, content) in cases {
        fs::write(&archive, forged(&whole, &content)).unwrap();
        let error = Profile::import(&archive, "pass", &new, &KeySource::Beside).expect_err(&what);
        assert_eq!(error.kind(), ErrorKind::BadFile, "{what}: {error}");
        assert!(error.message().contains("archive"), "{what}: {error}");
        assert_eq!(names(home.path()), ["archive", "old"], "{what}");
    }
    // The same way in, with nothing wrong but the history's content, is refused by the history itself.
    fs::write(&archive, forged(&whole, &[entry("history.db", 100, &[b'x'; 100]), end].concat())).unwrap();
    assert_eq!(kind(Profile::import(&archive, "pass", &new, &KeySource::Beside)), Some(ErrorKind::BadFile));
}
