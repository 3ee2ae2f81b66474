use std::io::Read;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::*;
use crate::seal::KeyStore;

/// A key store with one key, by which it veils secrets; it knows its own.
struct Store(u8);

impl KeyStore for Store {
    fn wrap(&self, secret: &[u8]) -> Result<Vec<u8>> {
        Ok(secret.iter().map(|byte| byte ^ self.0).chain([self.0]).collect())
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        match wrapped.split_last() {
            Some((&own, veiled)) if own == self.0 => Ok(Zeroizing::new(veiled.iter().map(|byte| byte ^ own).collect())),
            _ => Err(Error::new(ErrorKind::WrongKey, "sealed by another key")),
        }
    }
}

/// A key store that fails in some way.
enum Failing {
    Refuses,
    Panics,
    Forgets,
    GivesNothing,
    GivesTooMuch,
}

impl KeyStore for Failing {
    fn wrap(&self, secret: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Refuses => Err(Error::new(ErrorKind::Io, "the device is locked")),
            Self::Panics => panic!("in the app's code"),
            Self::Forgets => Ok(secret.to_vec()),
            Self::GivesNothing => Ok(Vec::new()),
            Self::GivesTooMuch => Ok(vec![1; 1 << 20]),
        }
    }

    fn unwrap(&self, _: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        match self {
            Self::Refuses => Err(Error::new(ErrorKind::Io, "the device is locked")),
            Self::Panics => panic!("in the app's code"),
            Self::Forgets | Self::GivesNothing | Self::GivesTooMuch => Ok(Zeroizing::new(vec![7; 32])),
        }
    }
}

fn store(byte: u8) -> KeySource {
    KeySource::Store(Arc::new(Store(byte)))
}

#[test]
fn a_key_is_changed_in_place() {
    let sources = || [KeySource::Beside, app(1), app(2), store(1), store(2)];
    for (from, old) in sources().iter().enumerate() {
        for (to, new) in sources().iter().enumerate() {
            let home = tempfile::tempdir().unwrap();
            let folder = home.path().join("profile");
            let profile = filled(&folder, old);
            let before = names(&folder);
            let mut held = fs::File::open(folder.join(KEY)).unwrap();
            profile.change_key(new).unwrap();
            assert_eq!(names(&folder), before, "{from} to {to}");
            // Who has it open goes on, and can change it again.
            profile.history().add(&[NewSample::new("later")]).unwrap();
            let secret = *profile.key().as_bytes();
            drop(profile);
            let opened = Profile::open(&folder, new).unwrap();
            assert_eq!((*opened.key().as_bytes(), opened.history().stats().unwrap().total.samples), (secret, 101));
            let wrong = (from != to).then_some(ErrorKind::WrongKey);
            assert_eq!(kind(Profile::open(&folder, old)), wrong, "{from} to {to}");
            // Neither in the file nor where the old one lay.
            let mut left = Vec::new();
            held.read_to_end(&mut left).unwrap();
            let shown = |bytes: &[u8]| bytes.windows(8).any(|window| secret.windows(8).any(|part| part == window));
            assert!(!shown(&left), "{from} to {to}");
            assert_eq!(shown(&fs::read(folder.join(KEY)).unwrap()), to == 0, "{from} to {to}");
        }
    }
}

/// A key store that counts how often it is asked.
#[derive(Default)]
struct Counting(std::sync::Mutex<(usize, usize)>);

impl KeyStore for Counting {
    fn wrap(&self, secret: &[u8]) -> Result<Vec<u8>> {
        self.0.lock().unwrap().0 += 1;
        Store(3).wrap(secret)
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.0.lock().unwrap().1 += 1;
        Store(3).unwrap(wrapped)
    }
}

/// It may ask the person each time.
#[test]
fn a_key_store_is_asked_once_to_open() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("profile");
    let store = Arc::new(Counting::default());
    let source = KeySource::Store(store.clone());
    for (what, asked) in [("made, and looked at", (1, 1)), ("opened", (1, 2)), ("opened again", (1, 3))] {
        drop(Profile::create(&folder, &source).unwrap());
        assert_eq!(*store.0.lock().unwrap(), asked, "{what}");
    }
    drop(Profile::open(&folder, &source).unwrap());
    assert_eq!(*store.0.lock().unwrap(), (1, 4));
}

#[test]
fn a_key_store_that_fails_changes_nothing() {
    for failing in [Failing::Refuses, Failing::Panics, Failing::Forgets, Failing::GivesNothing, Failing::GivesTooMuch] {
        let home = tempfile::tempdir().unwrap();
        let [folder, new] = ["profile", "new"].map(|name| home.path().join(name));
        let profile = filled(&folder, &store(1));
        let before = fs::read(folder.join(KEY)).unwrap();
        // Of a store that gives another key at once, nothing tells but that nothing opens.
        let expected = match failing {
            Failing::Refuses | Failing::Panics => ErrorKind::KeyStore,
            _ => ErrorKind::WrongKey,
        };
        let failing = KeySource::Store(Arc::new(failing));
        assert_eq!(kind(profile.change_key(&failing)), Some(ErrorKind::KeyStore));
        assert_eq!(fs::read(folder.join(KEY)).unwrap(), before);
        assert_eq!(kind(Profile::open(&folder, &failing)), Some(expected));
        assert_eq!(kind(Profile::open(&folder, &store(1))), None);
        assert_eq!(kind(Profile::create(&new, &failing)), Some(ErrorKind::KeyStore));
        assert!(!new.join(KEY).exists() && !new.join(HISTORY).exists());
        assert_eq!(kind(Profile::create(&new, &store(1))), None);
    }
}

#[test]
fn a_damaged_file_is_told_from_a_wrong_key() {
    let home = tempfile::tempdir().unwrap();
    for (name, own, other) in
        [("beside", KeySource::Beside, app(1)), ("app", app(1), app(2)), ("store", store(1), store(2))]
    {
        let folder = home.path().join(name);
        drop(filled(&folder, &own));
        let path = folder.join(KEY);
        let whole = fs::read(&path).unwrap();
        assert_eq!(kind(Profile::open(&folder, &other)), Some(ErrorKind::WrongKey), "{name}");
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            fs::write(&path, &bytes).unwrap();
            for source in [&own, &other] {
                assert_eq!(kind(Profile::open(&folder, source)), Some(ErrorKind::BadFile), "{name}: byte {at}");
            }
            fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(kind(Profile::open(&folder, &own)), Some(ErrorKind::BadFile), "{name}: cut at {at}");
        }
    }
}

#[test]
fn a_key_in_the_making_goes_with_the_next_that_opens() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("profile");
    let profile = filled(&folder, &app(1));
    let staged = folder.join(".key.partial-12-18a-0");
    fs::write(&staged, b"a key in plain").unwrap();
    let mut held = fs::File::open(&staged).unwrap();
    // Made under the same lock.
    let beside = folder.join(".known-weights.partial-12-18a-1");
    fs::write(&beside, b"hashes").unwrap();
    drop(Profile::open(&folder, &app(1)).unwrap());
    assert!(!staged.exists() && !beside.exists());
    let mut left = Vec::new();
    held.read_to_end(&mut left).unwrap();
    assert_ne!(left, b"a key in plain");
    // One who makes a key holds the mark: then it stays.
    let making = lock::wait(&folder.join(MARK)).unwrap();
    fs::write(&staged, b"a key in plain").unwrap();
    drop(Profile::open(&folder, &app(1)).unwrap());
    assert!(staged.exists());
    drop(making);
    profile.change_key(&app(2)).unwrap();
    assert!(!staged.exists());
}

#[cfg(unix)]
#[test]
fn a_folder_that_others_can_read_is_closed_to_them() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("profile");
    drop(filled(&folder, &KeySource::Beside));
    for mode in [0o755, 0o770, 0o701, 0o700] {
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
        drop(Profile::open(&folder, &KeySource::Beside).unwrap());
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700, "{mode:o}");
    }
}
