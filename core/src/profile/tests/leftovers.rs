use super::*;
use crate::adapter::LoraOptions;
use crate::history::{Retention, Selection};
use crate::model::Model;
use crate::personalize::remove_from_history;
use crate::registry::Origin;

/// What killed processes leave, below the profile's folder.
const LEFT: [&str; 8] = [
    ".history.db.partial-07ff",
    ".history.db.partial-07ff-journal",
    "checkpoints/.training-a.partial-12-18a-0",
    "checkpoints/.last-training.partial-12-18a-1",
    "adapters/.index.partial-12-18a-2",
    "adapters/.incoming.partial-12-18a-3/adapter_model.safetensors",
    "adapters/.export.partial-12-18a-4/adapter/adapter_model.safetensors",
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
            if adapters { 0 } else { 4 },
            "{what}: {left:?}"
        );
        let others = left.iter().filter(|name| !of_adapters(name)).count();
        assert_eq!(others, if what == "adapters" { 4 } else { 0 }, "{what}: {left:?}");
    }
    // Nothing that is there whole is taken.
    assert!(folder.join("adapters/1/weights").exists() && folder.join("checkpoints/last-training").exists());
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

#[test]
fn a_checkpoint_that_may_know_what_was_removed_goes_before_anything_is_served() {
    const PROGRESS: [&str; 3] = ["training-a", "training-b", SELECTION];
    let home = tempfile::tempdir().unwrap();
    let one = |profile: &Profile| Selection::Samples(vec![profile.history().list(None, 1).unwrap()[0].id]);
    type Change = Box<dyn Fn(&Profile)>;
    let cases: [(&str, Change, bool); 6] = [
        ("nothing happened", Box::new(|_| ()), true),
        ("a killed removal", Box::new(move |profile| drop(profile.history().remove(&one(profile)).unwrap())), false),
        ("a killed clearing", Box::new(|profile| drop(profile.history().clear().unwrap())), false),
        (
            "a removal of nothing",
            Box::new(|profile| drop(profile.history().remove(&Selection::Source("nobody".into())).unwrap())),
            true,
        ),
        (
            "what retention took",
            Box::new(|profile| {
                let one = Retention { max_messages: Some(1), ..Retention::default() };
                profile.history().set_retention(one).unwrap();
            }),
            true,
        ),
        (
            "a checkpoint after a removal, of one who went on and was killed",
            Box::new(|profile| fs::remove_file(profile.checkpoints().unwrap().join(SELECTION)).unwrap()),
            false,
        ),
    ];
    for (what, change, stays) in cases {
        let folder = home.path().join(what);
        let profile = filled(&folder, &KeySource::Beside);
        // A removal that came to its end, before the training began.
        assert_eq!(remove_from_history(&profile, &one(&profile)).unwrap().messages, 1);
        for name in PROGRESS {
            fs::write(profile.checkpoints().unwrap().join(name), b"what a training has come to").unwrap();
        }
        change(&profile);
        drop(profile);
        for _ in 0..2 {
            let profile = Profile::open(&folder, &KeySource::Beside).unwrap();
            let there = PROGRESS.map(|name| profile.checkpoints().unwrap().join(name).exists());
            assert_eq!(there, [stays; 3], "{what}");
            assert!(profile.checkpoints().unwrap().join(LAST_TRAINING).exists(), "{what}");
        }
        // The next training's checkpoints are its own.
        let profile = Profile::open(&folder, &KeySource::Beside).unwrap();
        for name in PROGRESS {
            fs::write(profile.checkpoints().unwrap().join(name), b"of the next one").unwrap();
        }
        drop(Profile::open(&folder, &KeySource::Beside).unwrap());
        assert!(PROGRESS.iter().all(|name| profile.checkpoints().unwrap().join(name).exists()), "{what}");
    }
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
