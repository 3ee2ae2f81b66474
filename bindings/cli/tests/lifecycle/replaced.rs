//! An adapter that is exported over another one: wherever the process is killed, the next one finds one of the two, whole.

use std::fs;

use crate::folders::base;
use crate::home::{Home, complaint, finish};

pub fn killed() {
    let home = Home::new();
    let model = base();
    let model = model.to_str().unwrap();
    finish(home.command(&[
        "train",
        model,
        "--text",
        "some.jsonl",
        "--out",
        "trained",
        "--steps",
        "1",
        "--device",
        "cpu",
    ]));
    let import = |profile: &str, source: &str| {
        finish(home.command(&["adapters", "import", profile, source, "--model", model, "--json"]))["version"]
            .to_string()
    };
    let strength = |profile: &str, version: &str, strength: &str| {
        finish(home.command(&["adapters", "strength", profile, strength, "--number", version]));
    };
    // What was exported at a strength is imported at it.
    let imported = |source: &str| {
        let profile = home.profile("taken-in");
        import(&profile, source);
        let row = finish(home.command(&["adapters", "list", &profile, "--json"]));
        fs::remove_dir_all(home.path(&profile)).unwrap();
        row["strength"].as_f64().unwrap()
    };
    let from = home.profile("from");
    let [old, new] = [import(&from, "trained"), import(&from, "trained")];
    strength(&from, &old, "0.25");
    strength(&from, &new, "0.5");
    let export = |version: &str, place: &str| {
        ["adapters", "export", &from, place, "--model", model, "--number", version].map(str::to_owned)
    };

    let mut kills = [0; 3];
    let mut missing = 0;
    for (call, kills) in ["rename", "fsync", "unlinkat"].iter().zip(&mut kills) {
        for at in 1.. {
            let place = format!("{call}-{at}");
            let before = export(&old, &place);
            finish(home.command(&before.each_ref().map(String::as_str)));
            let inject = format!("inject={call}:signal=KILL:when={at}");
            let over = export(&new, &place);
            let strace = ["-e", &format!("trace={call}"), "-e", &inject];
            let output = home.traced(&strace, &over.each_ref().map(String::as_str)).output().unwrap();
            if output.status.success() {
                break;
            }
            *kills += 1;
            missing += usize::from(!home.path(&place).exists());
            let found = imported(&place);
            assert!([0.25, 0.5].contains(&found), "{place}: strength {found}: {}", complaint(&output));
            finish(home.command(&over.each_ref().map(String::as_str)));
            assert_eq!(imported(&place), 0.5, "{place}");
            let aside = fs::read_dir(home.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
            let aside: Vec<_> =
                aside.filter(|name| name.to_string_lossy().starts_with(&format!(".{place}.old-"))).collect();
            assert!(aside.is_empty(), "{place}: {aside:?}");
        }
    }
    println!(
        "an export over another one was killed at {kills:?} renames, syncs and removals, {missing} times between the two"
    );
    assert!(kills.iter().all(|&kills| kills >= 3) && missing > 0, "{kills:?}, {missing}");
}
