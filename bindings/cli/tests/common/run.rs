//! Runs of the program, and what they print.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::folders::{base, copy_folder};

/// What a run of the program came to.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// Standard output as JSON objects, one a line, after a success.
    pub fn objects(&self) -> Vec<Value> {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        self.stdout.lines().map(parse).collect()
    }

    /// Fails where it printed a line twice, on either stream.
    pub fn check_no_line_comes_twice(&self) {
        let mut lines: Vec<&str> = self.stdout.lines().chain(self.stderr.lines()).collect();
        lines.retain(|line| !line.trim().is_empty());
        lines.sort_unstable();
        for pair in lines.windows(2) {
            assert_ne!(pair[0], pair[1], "printed twice");
        }
    }

    /// The only object.
    pub fn object(&self) -> Value {
        let mut objects = self.objects();
        assert_eq!(objects.len(), 1, "{}", self.stdout);
        objects.remove(0)
    }
}

/// Runs `idiolect` in `folder`.
pub fn idiolect(folder: &Path, args: &[&str]) -> Run {
    idiolect_where(folder, args, |command| command)
}

/// The same in an environment that `prepare` makes.
pub fn idiolect_where(folder: &Path, args: &[&str], prepare: impl FnOnce(&mut Command) -> &mut Command) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_idiolect"));
    let output = prepare(command.args(args).current_dir(folder)).output().unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A folder with a copy of the base model in `base`, and what a test writes.
pub fn workspace() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    copy_folder(&base(), &home.path().join("base"));
    home
}
