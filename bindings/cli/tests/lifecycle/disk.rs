//! A disk that is full, fails or may not be written leaves the last good state.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::folders::{base, listing};
use crate::home::{Home, MESSAGES, complaint, finish, messages, sha256, strings, training};

pub fn file_limit() {
    let home = Home::new();
    let expected = sha256(&finish(home.command(&strings(&training(&home.profile("whole"))))));
    let profile = home.profile("full");
    // A file-size limit below a checkpoint's size; the signal that comes with it is ignored, so that writes fail.
    let limited = |blocks: u32, args: &[String]| {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut command = Command::new("bash");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_idiolect")]).args(args).current_dir(home.folder.path());
        command.output().unwrap()
    };
    let output = limited(600, &training(&profile));
    assert_eq!(output.status.code(), Some(1), "{}", complaint(&output));
    assert!(
        complaint(&output).contains("too large") || complaint(&output).contains("os error"),
        "{}",
        complaint(&output)
    );
    assert_eq!(messages(&home, &profile), MESSAGES as u64);
    assert_eq!(sha256(&finish(home.command(&strings(&training(&profile))))), expected);
}

/// Whether this process may mount in a namespace of its own.
pub fn may_mount() -> bool {
    let mount = Command::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    mount.is_ok_and(|output| output.status.success())
}

/// Runs the program with what `mounts` does to `$1` (a shell's words) in a mount namespace of its own; `$2` is the
/// program, then come its arguments. What happens there is gone afterwards, but for what `mounts` copies out.
fn mounted(home: &Home, mounts: &str, profile: &str, args: &[&str]) -> Output {
    let mut command = Command::new("unshare");
    command.args(["--mount", "bash", "-ec", mounts, "bash", profile, env!("CARGO_BIN_EXE_idiolect")]).args(args);
    command.current_dir(home.folder.path()).stdin(Stdio::null()).output().unwrap()
}

pub fn full_disk() {
    let home = Home::new();
    let expected = sha256(&finish(home.command(&strings(&training(&home.profile("whole"))))));
    // From no room for a checkpoint at all to room for one and a half.
    for kilobytes in [1000, 3000, 5000] {
        let profile = home.profile(&format!("full-{kilobytes}"));
        let script = format!(
            "mkdir disk; mount -t tmpfs -o size={kilobytes}k none disk; cp -r $1/. disk; rm -r $1; mkdir $1
             program=$2; name=$1; shift 2; code=0; mount --bind disk $name; $program \"$@\" || code=$?
             umount $name; cp -r disk/. $name; umount disk; rmdir disk; exit $code"
        );
        let output = mounted(&home, &script, &profile, &strings(&training(&profile)));
        assert_eq!(output.status.code(), Some(1), "{kilobytes}: {}", complaint(&output));
        assert!(complaint(&output).contains("No space left"), "{kilobytes}: {}", complaint(&output));
        assert_eq!(messages(&home, &profile), MESSAGES as u64, "{kilobytes}");
        assert_eq!(sha256(&finish(home.command(&strings(&training(&profile))))), expected, "{kilobytes}");
    }
}

pub fn read_only() {
    let home = Home::new();
    let profile = home.profile("read-only");
    finish(home.command(&strings(&training(&profile))));
    let model = base();
    let model = model.to_str().unwrap();
    let before = contents(&home.path(&profile));
    let script = "mount --bind $1 $1; mount -o remount,ro,bind $1; shift; exec \"$@\"";
    let again = ["train", "--profile", &profile, "--model", model, "--device", "cpu", "--steps", "3"];
    for args in [
        &["history", "add", &profile, "some.jsonl"][..],
        &["history", "remove", &profile, "--source", "x"],
        &["adapters", "none", &profile],
        &again,
        &["erase", &profile, "--yes"],
    ] {
        let output = mounted(&home, script, &profile, args);
        let complaint = complaint(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {complaint}");
        let named = complaint.contains(&*profile) && complaint.to_lowercase().contains("read");
        assert!(named && !complaint.contains("panicked"), "{args:?}: {complaint}");
        assert!(contents(&home.path(&profile)) == before, "{args:?} changed the profile");
    }
}

/// Every file of a folder with its bytes.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = listing(folder).into_iter().filter(|path| path.is_file());
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

pub fn failing_disk() {
    let home = Home::new();
    let expected = sha256(&finish(home.command(&strings(&training(&home.profile("whole"))))));
    for (number, fault) in [
        "fsync:error=EIO:when=9",
        "fsync:error=EIO:when=12",
        "fsync:error=EIO:when=15",
        "rename:error=EIO:when=2",
        "rename:error=ENOSPC:when=5",
        "fsync:error=ENOSPC:when=20",
    ]
    .iter()
    .enumerate()
    {
        let profile = home.profile(&format!("failing-{number}"));
        let inject = format!("inject={fault}");
        let output =
            home.traced(&["-e", "trace=fsync,rename", "-e", &inject], &strings(&training(&profile))).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{fault}: {}", complaint(&output));
        assert!(complaint(&output).contains("error: "), "{fault}: {}", complaint(&output));
        assert_eq!(messages(&home, &profile), MESSAGES as u64, "{fault}");
        assert_eq!(sha256(&finish(home.command(&strings(&training(&profile))))), expected, "{fault}");
    }
}
