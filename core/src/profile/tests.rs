use std::collections::HashSet;
use std::fs::File;
use std::io::{Cursor, Write};
use std::process::Command;

use super::archive::Cost;
use super::*;
use crate::history::{NewSample, Selection};
use crate::seal::{Purpose, SealedReader, SealedWriter, read_sealed, write_sealed};

const QUICK: Cost = Cost { memory: 64, passes: 1, lanes: 1 };

fn key(byte: u8) -> Key {
    Key::from_bytes(&[byte; 32]).unwrap()
}

fn app(byte: u8) -> KeySource {
    KeySource::App(key(byte))
}

/// A profile with a history, adapters in folders and a checkpoint.
fn filled(folder: &Path, source: &KeySource) -> Profile {
    let profile = Profile::create(folder, source).unwrap();
    let samples: Vec<_> = (0..100).map(|i| NewSample::new(format!("message {i:x} of the person"))).collect();
    profile.history().add(&samples).unwrap();
    let adapter = profile.adapters().unwrap().join("1");
    fs::create_dir(&adapter).unwrap();
    let weights = vec![b'w'; 200_000];
    write_sealed(&adapter.join("weights"), profile.key(), Purpose::Adapter, "1/weights", &weights).unwrap();
    let checkpoint = profile.checkpoints().unwrap().join("latest");
    write_sealed(&checkpoint, profile.key(), Purpose::Checkpoint, "latest", b"step 7").unwrap();
    fs::write(profile.cache().unwrap().join("bases"), b"cached").unwrap();
    profile
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

#[test]
fn a_profile_opens_with_the_key_it_was_made_with() {
    // (made with, opened with, what comes of it)
    for (made, opened, expected) in [
        (KeySource::Beside, KeySource::Beside, None),
        (KeySource::Beside, app(1), Some(ErrorKind::WrongKey)),
        (app(1), app(1), None),
        (app(1), app(2), Some(ErrorKind::WrongKey)),
        (app(1), KeySource::Beside, Some(ErrorKind::WrongKey)),
    ] {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("deep/profile");
        assert_eq!(kind(Profile::open(&folder, &opened)), Some(ErrorKind::Io));
        drop(filled(&folder, &made));
        assert_eq!(kind(Profile::open(&folder, &opened)), expected, "{made:?} {opened:?}");
        // To create what is there is to open it.
        assert_eq!(kind(Profile::create(&folder, &opened)), expected, "{made:?} {opened:?}");
        assert_eq!(Profile::open(&folder, &made).unwrap().history().stats().unwrap().total.samples, 100);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(
                ["", "key", "history.db", "adapters", "adapters/1/weights"].map(mode),
                [0o700, 0o600, 0o600, 0o700, 0o600]
            );
        }
    }
}

#[test]
fn damaged_keys_are_told() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("profile");
    drop(filled(&folder, &app(1)));
    let path = folder.join(KEY);
    let whole = fs::read(&path).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        Some(bytes)
    };
    for (what, bytes) in [
        ("missing", None),
        ("empty", Some(vec![])),
        ("cut", Some(whole[..20].to_vec())),
        ("longer", Some([&whole[..], b"x"].concat())),
        ("another file", Some(b"a text that is no key".to_vec())),
        ("a flip in the kind", flipped(8)),
        ("a flip in the key", flipped(50)),
        ("huge", Some(vec![0; 1 << 20])),
    ] {
        match bytes {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        assert_eq!(kind(Profile::open(&folder, &app(1))), Some(ErrorKind::BadFile), "{what}");
        // No new key takes the place of one whose history is there.
        assert_eq!(kind(Profile::create(&folder, &app(1))), Some(ErrorKind::BadFile), "{what}");
    }
    fs::write(&path, whole).unwrap();
    assert_eq!(kind(Profile::open(&folder, &app(1))), None);
}

#[test]
fn what_is_not_a_profile_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("documents");
    fs::create_dir_all(folder.join("adapters")).unwrap();
    fs::write(folder.join("key"), b"to the house").unwrap();
    assert_eq!(kind(Profile::open(&folder, &KeySource::Beside)), Some(ErrorKind::Io));
    assert_eq!(kind(Profile::create(&folder, &KeySource::Beside)), Some(ErrorKind::Io));
    assert_eq!(kind(erase(&folder)), Some(ErrorKind::Io));
    assert_eq!(names(&folder), ["adapters", "key"]);
}

#[test]
fn threads_that_create_at_once_share_one_profile() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("profile");
    let keys: HashSet<[u8; 32]> = std::thread::scope(|scope| {
        let made: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| *Profile::create(&folder, &KeySource::Beside).unwrap().key().as_bytes()))
            .collect();
        made.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(keys.len(), 1);
}

/// Names the profile of a child process; without it the child's test does nothing.
const FOLDER: &str = "IDIOLECT_TEST_PROFILE";

#[test]
#[ignore = "runs in a process that another test starts"]
fn trains_in_a_child() {
    let folder = std::env::var_os(FOLDER).expect("started by another test");
    let profile = Profile::open(Path::new(&folder), &KeySource::Beside).unwrap();
    println!("\nlock {:?}", kind(profile.lock_training()));
    // Held while the other side waits for the line below, and until it kills this process.
    let _lock = profile.lock_training();
    println!("\nholding");
    std::io::stdout().flush().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(60));
}

#[test]
fn one_trains_at_a_time() {
    use std::io::BufRead;

    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("profile");
    let profile = filled(&folder, &KeySource::Beside);
    let again = Profile::open(&folder, &KeySource::Beside).unwrap();
    let start = || {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["profile::tests::trains_in_a_child", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, &folder)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let seen: Vec<String> = lines.map(Result::unwrap).take_while(|line| line != "holding").collect();
        (child, seen.join("\n"))
    };

    let lock = profile.lock_training().unwrap();
    let error = again.lock_training().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TrainingBusy);
    assert!(error.hint().is_some());
    std::thread::scope(|scope| {
        let other = scope.spawn(|| kind(profile.lock_training()));
        assert_eq!(other.join().unwrap(), Some(ErrorKind::TrainingBusy));
    });
    let (mut child, seen) = start();
    assert!(seen.contains("lock Some(TrainingBusy)"), "{seen}");
    child.kill().unwrap();
    child.wait().unwrap();
    // Adding and reading go on meanwhile; exporting and erasing wait.
    again.history().add(&[NewSample::new("meanwhile")]).unwrap();
    let archive = home.path().join("archive");
    assert_eq!(kind(again.export_at(&archive, "pass", QUICK)), Some(ErrorKind::TrainingBusy));
    assert_eq!(kind(erase(&folder)), Some(ErrorKind::TrainingBusy));
    drop(lock);

    // Another process holds it, until it is killed.
    let (mut child, seen) = start();
    assert!(seen.contains("lock None"), "{seen}");
    assert_eq!(kind(profile.lock_training()), Some(ErrorKind::TrainingBusy));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(kind(profile.lock_training()), None);
}

#[test]
fn a_profile_moves_under_a_passphrase_to_another_key() {
    let home = tempfile::tempdir().unwrap();
    let [old, archive] = ["old", "archive"].map(|name| home.path().join(name));
    let profile = filled(&old, &app(1));
    profile.history().record_learning("1", [crate::history::SampleId(3)]).unwrap();
    let archived = profile.export_at(&archive, "correct horse", QUICK).unwrap();
    assert_eq!(archived.files, 3);
    assert_eq!(
        names(&old),
        [
            ADAPTERS,
            CACHE,
            CHECKPOINTS,
            "history.db",
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
        assert!(folder.join("checkpoints/latest").is_file() && !folder.join("cache").exists());
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

#[test]
fn erasure_takes_all_of_a_profile_and_nothing_else() {
    // (what is there, what is done to it before)
    type Before<'a> = &'a dyn Fn(&Path);
    let damage = |folder: &Path| {
        for name in [KEY, HISTORY, TRAINING_LOCK] {
            fs::write(folder.join(name), b"IDIOKEY1 damaged").unwrap();
        }
    };
    let interrupted = |folder: &Path| {
        fs::remove_file(folder.join(KEY)).unwrap();
        fs::remove_dir_all(folder.join(ADAPTERS)).unwrap();
    };
    let cases: [(&str, Before<'_>); 3] = [("whole", &|_| {}), ("damaged", &damage), ("interrupted", &interrupted)];
    for (what, before) in cases {
        for source in [KeySource::Beside, app(1)] {
            let home = tempfile::tempdir().unwrap();
            let folder = home.path().join("profile");
            fs::write(home.path().join("beside"), b"not ours").unwrap();
            drop(filled(&folder, &source));
            // What killed processes leave behind.
            let unfinished = home.path().join(".profile.partial-1-2-3");
            fs::create_dir(&unfinished).unwrap();
            fs::copy(folder.join(KEY), unfinished.join(KEY)).unwrap();
            for name in [".key.partial-1-2-3", ".history.db.partial-7", ".history.db.partial-7-journal"] {
                fs::write(folder.join(name), b"IDIOKEY1 in the making").unwrap();
            }
            before(&folder);
            let report = erase(&folder).unwrap();
            assert_eq!(names(home.path()), ["beside"], "{what}");
            assert!(
                report.history.files >= 1 && report.checkpoints.files == 1 && report.caches.bytes == 6,
                "{report:?}"
            );
            assert_eq!(report.adapters.files, u64::from(what != "interrupted"), "{what}");
            assert!(report.keys.files >= 2 && report.temporary.files >= 4, "{report:?}");
            assert!(report.total().bytes > 500 && report.left.is_empty(), "{report:?}");
            assert_eq!(kind(erase(&folder)), Some(ErrorKind::Io));
            // A new profile in the same place knows nothing of the old.
            assert_eq!(Profile::create(&folder, &source).unwrap().history().stats().unwrap().total.samples, 0);
        }
    }
}

#[cfg(unix)]
#[test]
fn erasure_follows_no_link_and_leaves_what_is_not_the_profiles() {
    let home = tempfile::tempdir().unwrap();
    let [folder, elsewhere] = ["profile", "elsewhere"].map(|name| home.path().join(name));
    drop(filled(&folder, &KeySource::Beside));
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("precious"), b"x").unwrap();
    std::os::unix::fs::symlink(&elsewhere, folder.join("adapters/link")).unwrap();
    fs::remove_dir_all(folder.join(CACHE)).unwrap();
    std::os::unix::fs::symlink(&elsewhere, folder.join(CACHE)).unwrap();
    fs::write(folder.join("notes.txt"), b"not the profile's").unwrap();
    let report = erase(&folder).unwrap();
    assert_eq!(report.left, [folder.join("notes.txt")]);
    assert_eq!(names(&folder), ["notes.txt"]);
    assert_eq!(names(&elsewhere), ["precious"]);
}

#[test]
fn after_an_erasure_nothing_opens_with_the_keys_saved_aside() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("profile");
    let profile = filled(&folder, &app(1));
    let saved = profile.key().clone();
    let key_file = fs::read(folder.join(KEY)).unwrap();
    profile.history().remove(&Selection::Time(0..5)).unwrap();
    // A handle that stays open on the file shows what its blocks hold after the erasure.
    let mut blocks = File::open(folder.join(KEY)).unwrap();
    drop(profile);
    erase(&folder).unwrap();
    assert!(!folder.exists());
    let mut held = Vec::new();
    std::io::Read::read_to_end(&mut blocks, &mut held).unwrap();
    assert_eq!(held.len(), key_file.len());
    assert!(
        !held.windows(8).any(|window| key_file.windows(8).any(|of_key| window == of_key)),
        "the key was not overwritten"
    );
    // The profile's own key is gone with it: a new profile under the same app's key has another.
    let new = Profile::create(&folder, &app(1)).unwrap();
    assert_ne!(new.key().as_bytes(), saved.as_bytes());
}
