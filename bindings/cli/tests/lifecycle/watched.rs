//! A life watched from outside: what it syncs, what it shows of the person's words, whom it talks to.

use std::fs;

use crate::folders::{base, listing};
use crate::home::{Home, finish, strings, training};
use crate::trace::{calls, synced_renames, written};

pub fn order() {
    let home = Home::new();
    let trace = ["-e", "trace=write,fsync,rename,renameat,renameat2"];
    finish(home.traced(&trace, &["history", "add", "new", "some.jsonl"]));
    assert_eq!(synced_renames(&home), ["key", "history.db-anchor"]);
    let profile = home.profile("traced");
    let report = finish(home.traced(&trace, &strings(&training(&profile))));
    let mut renames = synced_renames(&home);
    // The anchor is raised by an opening; the registry notes that the gate was asked, and what it promoted.
    renames.retain(|name| !["history.db-anchor", "index"].contains(&name.as_str()) && !name.starts_with('v'));
    assert_eq!(renames.first().map(String::as_str), Some("selection"));
    assert!(renames.ends_with(&["last-training".into(), "timesheet".into()]), "{renames:?}");
    assert!(renames.iter().filter(|name| name.starts_with("training-")).count() > 3, "{renames:?}");
    // Once an epoch at most, however often there is a checkpoint.
    let best = renames.iter().filter(|name| name.starts_with("best-epoch-")).count();
    assert!((1..=3).contains(&best), "{renames:?}");
    assert_eq!(report["bytes_written"], written(&home), "what it says that it wrote");
}

pub fn silent() {
    let home = Home::new();
    let secret = "quixotic zebra plum";
    let lines: String = (0..40).map(|n| format!("{secret} {n} went down to the harbour\n")).collect();
    fs::write(home.path("secret.txt"), lines).unwrap();
    let profile = home.profile("secret");
    let model = base();
    let model = model.to_str().unwrap();
    let training = training(&profile);
    let mut shown = Vec::new();
    for args in [
        vec!["history", "add", &profile, "secret.txt"],
        vec!["history", "stats", &profile],
        strings(&training),
        vec!["status", &profile],
        vec!["adapters", "list", &profile],
        vec!["history", "add", &profile, "secret.txt", "--format", "jsonl"],
        vec!["suggest", &profile, "--model", "nowhere", "--prompt", secret],
        vec!["train", "--profile", &profile, "--model", model, "--rank", "0"],
    ] {
        let output = home.command(&args).output().unwrap();
        shown.extend([output.stdout, output.stderr].concat());
    }
    assert!(!String::from_utf8_lossy(&shown).contains("zebra"), "what was written shows in the output");
    for file in listing(&home.path(&profile)).into_iter().filter(|path| path.is_file()) {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(5).any(|window| window == b"zebra"), "{}: lies there in plain", file.display());
    }
    finish(home.command(&["erase", &profile, "--yes"]));
    assert!(!home.path(&profile).exists(), "something was left of the profile");
}

pub fn network() {
    let home = Home::new();
    let profile = home.profile("watched");
    let model = base();
    let model = model.to_str().unwrap();
    let training = training(&profile);
    for args in [
        vec!["history", "add", &profile, "some.jsonl"],
        strings(&training),
        vec!["suggest", &profile, "--model", model, "--device", "cpu", "--prompt", "the kettle"],
        vec!["erase", &profile, "--yes"],
    ] {
        finish(home.traced(&["-e", "trace=%network"], &args));
        let touched: Vec<_> = calls(&home).into_iter().map(|(_, line)| line).collect();
        assert!(touched.is_empty(), "{args:?}: {touched:?}");
    }
}
