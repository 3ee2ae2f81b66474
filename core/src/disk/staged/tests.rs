use super::*;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn appears_whole_or_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let destination = home.path().join("deep/model");
    let staged = StagedFolder::begin(&destination).unwrap();
    staged.write("a", b"1").unwrap();
    drop(staged);
    assert_eq!(names(&home.path().join("deep")), [""; 0]);

    let staged = StagedFolder::begin(&destination).unwrap();
    staged.write("a", b"1").unwrap();
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(staged.path()).unwrap().permissions()) & 0o777,
        0o700
    );
    assert!(!destination.exists());
    staged.publish(None).unwrap();
    assert_eq!(names(&home.path().join("deep")), ["model"]);
    assert_eq!(names(&destination), ["a"]);
}

#[test]
fn what_is_in_the_making_is_told_by_its_name() {
    for (name, of) in [
        (".index.partial-12-18a-0", Some("index")),
        (".history.db.partial-07ff-journal", Some("history.db")),
        (".adapter.old-1-2-3", Some("adapter")),
        (".a.partial-1.partial-2", Some("a.partial-1")),
        (".a.partial-1.old-2", Some("a.partial-1")),
        (".a.old-1.partial-2", Some("a.old-1")),
        ("index.partial-12-18a-0", None),
        (".index", None),
        ("index", None),
    ] {
        assert_eq!(in_the_making_of(name), of, "{name}");
    }
    let folder = Path::new("/home/of/a.profile/index");
    let name = beside(folder, PARTIAL).file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(in_the_making_of(&name), Some("index"));
}

#[test]
fn who_looks_finishes_what_a_killed_process_began_to_replace() {
    // (what lies there: at the destination, set aside, in the making; what lies at the destination then, what beside it)
    type Case = (Option<&'static str>, &'static [&'static str], &'static [&'static str], Option<&'static str>, usize);
    let cases: [Case; 7] = [
        (None, &["old"], &["new"], Some("new"), 0),
        (None, &["old"], &[], Some("old"), 0),
        (Some("new"), &["old"], &[], Some("new"), 0),
        (Some("old"), &[], &["new"], Some("old"), 1),
        (None, &[], &["new"], None, 1),
        (Some("old"), &[], &[], Some("old"), 0),
        (None, &["old", "older"], &[], Some("old"), 0),
    ];
    type Look = fn(&Path) -> Result<()>;
    let looks: [(&str, Look); 3] = [
        ("finish", finish_replacing),
        ("refuse", |destination| refuse_occupied(destination).or(Ok(()))),
        ("begin", |destination| StagedFolder::begin(destination).map(drop)),
    ];
    for ((there, aside, making, then, beside), (what, look)) in cases.iter().flat_map(|case| looks.map(|l| (case, l))) {
        let home = tempfile::tempdir().unwrap();
        let destination = home.path().join("a.partial-adapter");
        let make = |path: PathBuf, content: &str| {
            fs::create_dir(&path).unwrap();
            fs::write(path.join("mark"), content).unwrap();
        };
        there.iter().for_each(|content| make(destination.clone(), content));
        for (purpose, contents) in [(OLD, aside), (PARTIAL, making)] {
            for (number, content) in contents.iter().enumerate() {
                make(home.path().join(format!(".a.partial-adapter{purpose}7-18a-{number}")), content);
            }
        }
        // Another destination's.
        make(home.path().join(".adapter.old-7-18a-0"), "another");
        look(&destination).unwrap();
        let found = fs::read_to_string(destination.join("mark")).ok();
        let expected = match then {
            // Either of several comes back.
            Some("old") if aside.len() > 1 => found.as_deref().filter(|found| aside.contains(found)),
            then => *then,
        };
        assert_eq!(found.as_deref(), expected, "{what}: {there:?} {aside:?} {making:?}");
        let left = names(home.path()).len() - usize::from(then.is_some()) - 1;
        assert_eq!(left, *beside, "{what}: {there:?} {aside:?} {making:?}");
    }
}

#[test]
fn one_who_replaces_and_one_who_looks_do_not_harm_each_other() {
    let home = tempfile::tempdir().unwrap();
    let destination = home.path().join("adapter");
    let publish = |content: &str| {
        let staged = StagedFolder::begin(&destination).unwrap();
        staged.write("mark", content.as_bytes()).unwrap();
        staged.publish(Some("mark"))
    };
    publish("0").unwrap();
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    finish_replacing(&destination).unwrap();
                }
            });
        }
        for round in 1..200 {
            publish(&round.to_string()).unwrap();
            assert_eq!(fs::read_to_string(destination.join("mark")).unwrap(), round.to_string());
        }
        ended.store(true, Ordering::Relaxed);
    });
    assert_eq!(names(home.path()), ["adapter"]);
}

#[test]
fn replaces_only_what_is_marked() {
    // (what lies there, may be replaced by a new folder that replaces what holds "mark")
    for (there, replaced) in [(vec![], true), (vec!["mark", "x"], true), (vec!["x"], false)] {
        let home = tempfile::tempdir().unwrap();
        let destination = home.path().join("adapter");
        fs::create_dir(&destination).unwrap();
        for name in &there {
            fs::write(destination.join(name), b"old").unwrap();
        }
        let staged = StagedFolder::begin(&destination).unwrap();
        staged.write("mark", b"new").unwrap();
        assert_eq!(staged.publish(Some("mark")).is_ok(), replaced, "{there:?}");
        assert_eq!(names(home.path()), ["adapter"], "{there:?}");
        let expected = if replaced { vec!["mark"] } else { there.clone() };
        assert_eq!(names(&destination), expected);
    }
}
