mod archive;
mod erase;
mod keys;
mod known_weights;
mod leftovers;

use std::collections::HashSet;
use std::io::Write;
use std::process::Command;

use super::archive::Cost;
use super::*;
use crate::history::NewSample;
use crate::seal::{Purpose, write_sealed};

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
    let checkpoint = profile.checkpoints().unwrap().join(LAST_TRAINING);
    write_sealed(&checkpoint, profile.key(), Purpose::Checkpoint, LAST_TRAINING, b"step 7").unwrap();
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
