use std::fs::File;

use super::*;
use crate::history::Selection;

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
            // What earlier releases made.
            fs::create_dir(folder.join("cache")).unwrap();
            fs::write(folder.join("cache/bases"), b"cached").unwrap();
            drop(Profile::open(&folder, &source).unwrap());
            // What killed processes leave behind.
            let unfinished = home.path().join(".profile.partial-1-2-3");
            fs::create_dir(&unfinished).unwrap();
            fs::copy(folder.join(KEY), unfinished.join(KEY)).unwrap();
            for name in [
                ".key.partial-1-2-3",
                ".history.db-anchor.partial-7",
                ".history.db.partial-7-journal",
                ".known-weights.partial-7",
            ] {
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
    std::os::unix::fs::symlink(&elsewhere, folder.join("cache")).unwrap();
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

#[test]
fn no_other_that_has_it_open_brings_its_folder_back() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("profile");
    let profile = filled(&folder, &KeySource::Beside);
    let other = Profile::open(&folder, &KeySource::Beside).unwrap();
    assert!(profile.erase().unwrap().left.is_empty());
    for made in [other.adapters(), other.checkpoints()] {
        assert_eq!(kind(made), Some(ErrorKind::Io));
    }
    assert_eq!(kind(other.lock_training()), Some(ErrorKind::Io));
    assert_eq!(kind(profile.erase()), Some(ErrorKind::Closed));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}
