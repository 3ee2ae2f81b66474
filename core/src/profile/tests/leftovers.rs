use super::*;
use crate::adapter::LoraOptions;
use crate::history::Selection;
use crate::model::Model;
use crate::personalize::remove_from_history;
use crate::registry::Origin;

/// What killed processes leave, below the profile's folder.
const LEFT: [&str; 7] = [
    ".history.db.partial-07ff",
    ".history.db.partial-07ff-journal",
    "checkpoints/.training-a.partial-12-18a-0",
    "checkpoints/.last-training.partial-12-18a-1",
    "adapters/.index.partial-12-18a-2",
    "adapters/.incoming.partial-12-18a-3/adapter_model.safetensors",
    "adapters/v00007",
];

fn leave(folder: &Path) {
    for name in LEFT {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"left").unwrap();
    }
}

fn left(folder: &Path) -> Vec<&'static str> {
    LEFT.into_iter().filter(|name| folder.join(name).exists()).collect()
}

#[test]
fn what_killed_processes_left_goes_with_the_next_that_comes() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("profile");
    let profile = filled(&folder, &KeySource::Beside);
    let everything = Selection::Time(0..i64::MAX);
    type Call<'a> = (&'a str, Box<dyn Fn() + 'a>, bool);
    let calls: Vec<Call<'_>> = vec![
        ("opening", Box::new(|| drop(Profile::open(&folder, &KeySource::Beside).unwrap())), false),
        ("training", Box::new(|| drop(profile.lock_training().unwrap())), false),
        ("exporting", Box::new(|| assert!(profile.export_at(&home.path().join("a"), "pass", QUICK).is_ok())), false),
        ("adapters", Box::new(|| drop(profile.registry().unwrap())), true),
        ("removing", Box::new(|| drop(remove_from_history(&profile, &everything).unwrap())), true),
    ];
    for (what, call, adapters) in calls {
        leave(&folder);
        call();
        let of_adapters = |name: &&str| name.starts_with("adapters/");
        let left = left(&folder);
        assert_eq!(
            left.iter().filter(|name| of_adapters(name)).count(),
            if adapters { 0 } else { 3 },
            "{what}: {left:?}"
        );
        let others = left.iter().filter(|name| !of_adapters(name)).count();
        assert_eq!(others, if what == "adapters" { 4 } else { 0 }, "{what}: {left:?}");
    }
    // Nothing that is there whole is taken.
    assert!(folder.join("adapters/1/weights").exists() && folder.join("checkpoints/latest").exists());
    leave(&folder);
    let lock = profile.lock_training().unwrap();
    leave(&folder);
    drop(Profile::open(&folder, &KeySource::Beside).unwrap());
    profile.history().add(&[NewSample::new("hello")]).unwrap();
    remove_from_history(&profile, &everything).unwrap();
    assert_eq!(left(&folder), LEFT[..4], "they may be of the one who trains");
    drop(lock);
    erase(&folder).unwrap();
    assert!(!folder.exists());
}

#[cfg(unix)]
#[test]
fn a_copy_of_the_history_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let profile = filled(&home.path().join("profile"), &KeySource::Beside);
    let copy = home.path().join("copy");
    profile.history().copy_to(&copy).unwrap();
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(kind(profile.history().copy_to(&copy)), Some(ErrorKind::Io));
    assert_eq!(kind(History::open(&copy, profile.key())), Some(ErrorKind::PutBack));
    let copied = History::open_put_back(&copy, profile.key()).unwrap();
    assert_eq!(copied.stats().unwrap().total, profile.history().stats().unwrap().total);
}

#[test]
fn history_and_adapters_come_in_line_after_a_kill_between_them() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("profile");
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings/cli/assets/base");
    let model = Model::open(&base).unwrap();
    let profile = filled(&folder, &KeySource::Beside);
    let (history, registry) = (profile.history(), profile.registry().unwrap());
    let ids: Vec<_> = history.list(None, 2).unwrap().into_iter().map(|sample| sample.id).collect();
    for id in &ids {
        let adapter = LoraOptions { rank: Some(2), ..LoraOptions::default() }.fresh(&model, id.0 as u64).unwrap();
        let version = registry.add(&adapter, &model, Origin::Trained, Default::default()).unwrap();
        history.record_learning(version, [*id], history.removals().unwrap()).unwrap();
    }
    // A removal that was killed after the history's part, a making before the registry's, a deletion after it.
    history.remove(&Selection::Samples(vec![ids[0]])).unwrap();
    history.record_learning(9, [ids[1]], history.removals().unwrap()).unwrap();
    let marked = |registry: &Registry| -> Vec<bool> {
        registry.state().unwrap().versions.iter().map(|version| version.learned_from_removed).collect()
    };
    assert_eq!(marked(&registry), [false, false]);
    let again = Profile::open(&folder, &KeySource::Beside).unwrap();
    assert_eq!(marked(&again.registry().unwrap()), [true, false]);
    let known =
        |history: &History| -> Vec<u32> { history.versions().unwrap().iter().map(|learned| learned.version).collect() };
    assert_eq!(known(history), [1, 2]);
    registry.delete(2).unwrap();
    again.registry().unwrap();
    assert_eq!(known(history), [1]);
}

#[test]
fn who_looks_keeps_nobody_from_training() {
    let home = tempfile::tempdir().unwrap();
    let profile = filled(&home.path().join("profile"), &KeySource::Beside);
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ended = &ended;
        for _ in 0..2 {
            scope.spawn(|| {
                while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                    profile.is_training().unwrap();
                }
            });
        }
        for round in 0..100 {
            let lock = profile.lock_training();
            assert!(lock.is_ok() && profile.is_training().unwrap(), "round {round}: {lock:?}");
        }
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(!profile.is_training().unwrap());
}
