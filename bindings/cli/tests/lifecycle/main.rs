//! A profile's whole life through the program: killed at random instants and at each call of a training's end, on a
//! failing disk, beside another process, watched by strace. The number of kills comes from `IDIOLECT_KILLS`; without it
//! there are a few.

mod disk;
#[path = "../common/folders.rs"]
mod folders;
mod home;
mod killed;
mod promotion;
mod removal;
mod replaced;
mod trace;
mod watched;

use std::process::Command;

use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let no_strace = Command::new("strace").arg("--version").output().is_err();
    let test = |name: &str, run: fn()| {
        let caught = move || {
            std::panic::catch_unwind(run).map_err(|panic| {
                let message = panic.downcast_ref::<String>().cloned();
                Failed::from(message.unwrap_or_else(|| "panicked".into()))
            })
        };
        Trial::test(name, caught)
    };
    let trials = vec![
        test("a killed training goes on to the same verdict", killed::killed),
        test("a training's end is the same wherever it is killed or the disk fails", promotion::ended)
            .with_ignored_flag(no_strace),
        test("a removal takes what was learned of it, wherever it is killed", removal::killed)
            .with_ignored_flag(no_strace),
        test("an adapter that is replaced is one of the two, wherever it is killed", replaced::killed)
            .with_ignored_flag(no_strace),
        test("one trains, others add", killed::beside),
        test("a file that may not grow leaves the last good state", disk::file_limit),
        test("a full disk leaves the last good state", disk::full_disk).with_ignored_flag(!disk::may_mount()),
        test("a read-only profile is refused and not harmed", disk::read_only).with_ignored_flag(!disk::may_mount()),
        test("nothing that was written shows", watched::silent),
        test("files are synced before they are renamed", watched::order).with_ignored_flag(no_strace),
        test("a failing disk leaves the last good state", disk::failing_disk).with_ignored_flag(no_strace),
        test("no network is touched", watched::network).with_ignored_flag(no_strace),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}
