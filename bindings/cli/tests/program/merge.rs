//! `adapters merge` as a user runs it: what it writes and prints, and what it refuses.

use std::fs;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use crate::folders::listing;
use crate::results::keys;
use crate::run::{idiolect, workspace};

/// A workspace with the profile `me`, whose only version a short training made.
fn learned() -> TempDir {
    let home = workspace();
    let text = "ta flower, back by six xx\n\nkettle is on love\n\nrunning late, save me a seat\n".repeat(8);
    fs::write(home.path().join("t.txt"), text).unwrap();
    let run = |args: &[&str]| assert_eq!(idiolect(home.path(), args).code, Some(0), "{args:?}");
    run(&["train", "base", "--text", "t.txt", "--out", "a", "--steps", "6", "--warmup", "1", "--device", "cpu"]);
    run(&["history", "add", "me", "t.txt"]);
    run(&["adapters", "import", "me", "a", "--model", "base"]);
    home
}

fn merge<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["adapters", "merge", "me", "merged", "--model", "base", "--number", "1", "--device", "cpu"], more].concat()
}

#[test]
fn a_merged_folder_needs_no_adapter() {
    let home = learned();
    let home = home.path();
    let report = idiolect(home, &merge(&["--json", "--max-divergence", "0.1"])).object();
    let expected = ["path", "version", "fingerprint", "bytes_before", "bytes", "bits", "copied", "worst", "divergence"];
    let mut expected: Vec<&str> = expected.into_iter().chain(["seconds"]).collect();
    expected.sort_unstable();
    let mut found = keys(&report);
    found.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!((&report["version"], &report["copied"]), (&json!(1), &json!(1)));
    let share = report["divergence"]["share"].as_f64().unwrap();
    assert!(share > 0.0 && share <= 0.1, "{report}");
    for of in report["bits"].as_object().unwrap().values() {
        let kept = of["kept"].as_f64().unwrap();
        assert!((kept - 1.0).abs() < 0.32 && of["noise"].as_f64().unwrap() > 0.0, "{report}");
    }
    let nll = |args: &[&str]| {
        let args = [args, &["--text", "t.txt", "--device", "cpu", "--json"]].concat();
        idiolect(home, &args).object()["nll"].as_f64().unwrap()
    };
    let (base, adapted, merged) =
        (nll(&["eval", "base"]), nll(&["eval", "base", "--adapter", "a"]), nll(&["eval", "merged"]));
    assert!(adapted < base && (merged - adapted).abs() < 0.25 * (base - adapted), "{base}, {adapted}, {merged}");
}

#[test]
fn a_merge_that_is_refused_leaves_nothing() {
    let home = learned();
    let refused = |args: &[&str], code: i32, message: &str| {
        let before = listing(Path::new(home.path()));
        let run = idiolect(home.path(), args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(code), ""), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains("error: ") && run.stderr.contains(message), "{args:?}: {}", run.stderr);
        assert_eq!(listing(home.path()), before, "{args:?}");
    };
    for (options, code, message) in [
        // What it would do, not how it was asked.
        (&["--max-bits", "4", "--max-divergence", "1e-4"][..], 1, "merged within 4 bits"),
        (&["--max-bits", "5"], 2, "max-bits"),
        (&["--max-divergence", "0"], 2, "max-divergence"),
        (&["--max-divergence", "-1"], 2, "max-divergence"),
    ] {
        refused(&merge(options), code, message);
    }
}
