//! A removal takes what a training has kept of it, wherever its process is killed.

use std::collections::HashMap;
use std::fs;

use crate::home::{ENOUGH, Home, complaint, finish, messages, strings};
use crate::promotion::{CHANGING, nearly_promoted};
use crate::trace::{Point, points};

pub fn killed() {
    let home = Home::with(ENOUGH);
    let paused = nearly_promoted(&home);
    let kept = |profile: &str| {
        let entries = fs::read_dir(home.path(profile).join("checkpoints")).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !["last-training", "timesheet"].contains(&name.as_str()))
            .count()
    };
    let training = kept(&paused);
    assert!(training >= 2, "a checkpoint and its selection");
    let removal = |profile: &str| ["history", "remove", profile, "--number", "1", "--json"].map(str::to_owned);
    let whole = home.copy(&paused, "whole");
    let removed = finish(home.traced(&["-e", CHANGING], &strings(&removal(&whole))));
    assert_eq!((&removed["messages"], &removed["checkpoint_dropped"]), (&1.into(), &true.into()), "{removed}");
    assert_eq!(kept(&whole), 0);

    let (mut held, mut repaired) = (HashMap::new(), 0);
    for (number, point) in points(&home, &whole, "/history.db").iter().enumerate() {
        let Point { call, path, .. } = point;
        if !["pwrite64", "fsync", "fdatasync", "rename", "unlink"].contains(&call.as_str()) {
            continue;
        }
        *held.entry(call.clone()).or_insert(0) += 1;
        let profile = home.copy(&paused, &format!("removed-{number}"));
        let strace = point.inject(&home, &profile, "signal=KILL");
        let output = home.traced(&strings(&strace), &strings(&removal(&profile))).output().unwrap();
        let what = format!("{} {path:?}", strace[3]);
        assert!(!output.status.success(), "{what}: it came to its end: {}", complaint(&output));
        let before = kept(&profile);
        // Both or neither, for whoever opens it next.
        let left = messages(&home, &profile);
        let gone = left == ENOUGH as u64 - 1;
        assert!(gone || left == ENOUGH as u64, "{what}: {left} messages");
        assert_eq!(kept(&profile), if gone { 0 } else { training }, "{what}");
        repaired += usize::from(gone && before > 0);
        let status = finish(home.command(&["status", &profile, "--json"]));
        assert_eq!(status["paused_training"], !gone, "{what}: {status}");
        fs::remove_dir_all(home.path(&profile)).unwrap();
    }
    println!("a removal was killed at {held:?}; {repaired} times the next process dropped what had been learned");
    assert!(repaired > 0, "{held:?}");
}
