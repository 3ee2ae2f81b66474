//! A profile's home, the program run in it, and what runs print.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::folders::{base, copy_folder};

/// Messages of the sample history that most trainings learn from: too few for the gate.
pub const MESSAGES: usize = 160;
/// Messages of which enough are held out for what was learned to be promoted.
pub const ENOUGH: usize = 400;

/// A folder with a profile that has a history and was never trained on.
pub struct Home {
    pub folder: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Self {
        Self::with(MESSAGES)
    }

    pub fn with(messages: usize) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        let history = fs::read_to_string(base().join("../history.jsonl")).unwrap();
        let some: String = history.lines().take(messages).flat_map(|line| [line, "\n"]).collect();
        fs::write(home.path("some.jsonl"), some).unwrap();
        finish(home.command(&["history", "add", "fresh", "some.jsonl"]));
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A copy of the untrained profile.
    pub fn profile(&self, name: &str) -> String {
        self.copy("fresh", name)
    }

    /// A copy of `profile` that is called `name`.
    pub fn copy(&self, profile: &str, name: &str) -> String {
        copy_folder(&self.path(profile), &self.path(name));
        name.to_owned()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_idiolect"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// The same, watched.
    pub fn traced(&self, strace: &[&str], args: &[&str]) -> Command {
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-s", "64", "-o", "trace"]).args(strace).arg(env!("CARGO_BIN_EXE_idiolect"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }
}

/// A short training with many checkpoints.
pub fn training(profile: &str) -> Vec<String> {
    training_saved_every("0.02", profile)
}

/// The same, with a checkpoint whenever so many seconds have passed.
pub fn training_saved_every(seconds: &str, profile: &str) -> Vec<String> {
    let model = base();
    let arguments = ["train", "--profile", profile, "--model", model.to_str().unwrap(), "--device", "cpu", "--json"];
    let settings = ["--steps", "14", "--seed", "3", "--checkpoint-seconds", seconds];
    arguments.iter().chain(&settings).map(|part| part.to_string()).collect()
}

pub fn strings(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// The object that a successful command ends with.
pub fn finish(mut command: Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", complaint(&output));
    let stdout = String::from_utf8(output.stdout).unwrap();
    stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default()
}

pub fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A training's report without what tells one way to it from another, and how long it took.
pub fn verdict(mut report: Value) -> Value {
    for way in ["/resumed", "/unchanged", "/bytes_written", "/summary/seconds"] {
        report.pointer_mut(way).expect(way).take();
    }
    report
}

pub fn sha256(report: &Value) -> String {
    report["candidate_sha256"].as_str().expect("a candidate").to_owned()
}

pub fn messages(home: &Home, profile: &str) -> u64 {
    finish(home.command(&["history", "stats", profile, "--json"]))["messages"].as_u64().unwrap()
}

/// Whether a profile is as one promotion leaves it: one version, in use, and nothing in the making.
pub fn promoted_once(home: &Home, profile: &str) {
    let row = finish(home.command(&["adapters", "list", profile, "--json"]));
    assert_eq!((&row["version"], &row["active"]), (&1.into(), &true.into()), "{profile}: {row}");
    let files = |folder: &str| {
        let entries = fs::read_dir(home.path(profile).join(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(
        (files("adapters"), files("checkpoints")),
        (
            ["index", "lock", "v00001"].map(str::to_owned).to_vec(),
            ["last-training", "timesheet"].map(str::to_owned).to_vec()
        ),
        "{profile}"
    );
}
