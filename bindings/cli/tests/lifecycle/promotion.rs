//! A promotion is entered once, wherever its process is killed or the disk fails.

use std::collections::HashMap;
use std::fs;

use crate::home::{ENOUGH, Home, complaint, finish, promoted_once, strings, training_saved_every, verdict};
use crate::trace::{Point, points, synced_renames};

/// A profile whose training has come to its verdict, and has entered nothing of it.
pub fn nearly_promoted(home: &Home) -> String {
    let profile = home.profile("nearly");
    // The adapters' lock cannot be taken.
    fs::create_dir_all(home.path("nearly/adapters/lock")).unwrap();
    let stopped = home.command(&strings(&training_saved_every("0.001", &profile))).output().unwrap();
    assert!(complaint(&stopped).contains("adapters/lock"), "{}", complaint(&stopped));
    fs::remove_dir(home.path("nearly/adapters/lock")).unwrap();
    profile
}

/// The calls that change what lies on a disk, and how a process sees them.
pub const CHANGING: &str = "trace=openat,write,pwrite64,fsync,fdatasync,rename,unlink";

pub fn ended() {
    let home = Home::with(ENOUGH);
    let nearly = nearly_promoted(&home);
    // No checkpoint comes by time: one run's calls are the next one's.
    let finishing = |profile: &str| training_saved_every("1000", profile);
    let whole = home.copy(&nearly, "whole");
    let expected = verdict(finish(home.traced(&["-e", CHANGING], &strings(&finishing(&whole)))));
    assert_eq!(expected["verdict"]["decision"], "promoted", "{expected}");
    assert_eq!(synced_renames(&home), ["v00001", "index", "last-training", "timesheet"]);
    promoted_once(&home, &whole);

    let points = points(&home, &whole, "/adapters/lock");
    let mut held = HashMap::new();
    for (number, point) in points.iter().enumerate() {
        let Point { call, path, .. } = point;
        *held.entry(call.as_str()).or_insert(0) += 1;
        let kill = ["fsync", "rename", "unlink"].contains(&call.as_str());
        for tampering in ["error=EIO", "signal=KILL"].iter().take(if kill { 2 } else { 1 }) {
            let profile = home.copy(&nearly, &format!("ending-{number}"));
            let strace = point.inject(&home, &profile, tampering);
            let output = home.traced(&strings(&strace), &strings(&finishing(&profile))).output().unwrap();
            let (what, told) = (format!("{} {path:?}", strace[3]), complaint(&output));
            assert!(!told.contains("panicked"), "{what}: {told}");
            let killed = *tampering == "signal=KILL";
            assert!(!(killed && output.status.success()), "{what}: it came to its end");
            assert!(killed || output.status.success() != told.contains("error: "), "{what}: {told}");
            let report = finish(home.command(&strings(&finishing(&profile))));
            assert_eq!(verdict(report), expected, "{what}");
            promoted_once(&home, &profile);
            fs::remove_dir_all(home.path(&profile)).unwrap();
        }
    }
    println!("{} calls of a promotion failed or were the last: {held:?}", points.len());
    for (call, least) in [("openat", 1), ("write", 3), ("pwrite64", 1), ("fsync", 6), ("rename", 3), ("unlink", 2)] {
        assert!(held.get(call).is_some_and(|held| *held >= least), "{call}: {held:?}");
    }
}
