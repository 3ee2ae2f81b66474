//! A profile's whole life through the program: killed at random instants and at each call of a training's end, on a
//! failing disk, beside another process, watched by strace. The number of kills comes from `IDIOLECT_KILLS`; without it there are a few.

mod common;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

use common::base;

/// Kills where nobody asks for more.
const FEW_KILLS: u64 = 3;
/// Messages of the sample history that most trainings learn from: too few for the gate.
const MESSAGES: usize = 160;
/// Messages of which enough are held out for what was learned to be promoted.
const ENOUGH: usize = 400;

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
        test("a killed training goes on to the same verdict", killed),
        test("a training's end is the same wherever it is killed or the disk fails", ended)
            .with_ignored_flag(no_strace),
        test("one trains, others add", beside),
        test("a file that may not grow leaves the last good state", file_limit),
        test("a full disk leaves the last good state", full_disk).with_ignored_flag(!may_mount()),
        test("a read-only profile is refused and not harmed", read_only).with_ignored_flag(!may_mount()),
        test("nothing that was written shows", silent),
        test("files are synced before they are renamed", order).with_ignored_flag(no_strace),
        test("a failing disk leaves the last good state", failing_disk).with_ignored_flag(no_strace),
        test("no network is touched", network).with_ignored_flag(no_strace),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

/// A folder with a profile that has a history and was never trained on.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self::with(MESSAGES)
    }

    fn with(messages: usize) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        let history = fs::read_to_string(base().join("../history.jsonl")).unwrap();
        let some: String = history.lines().take(messages).flat_map(|line| [line, "\n"]).collect();
        fs::write(home.path("some.jsonl"), some).unwrap();
        finish(home.command(&["history", "add", "fresh", "some.jsonl"]));
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A copy of the untrained profile.
    fn profile(&self, name: &str) -> String {
        self.copy("fresh", name)
    }

    fn copy(&self, profile: &str, name: &str) -> String {
        copy_tree(&self.path(profile), &self.path(name));
        name.to_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_idiolect"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// The same, watched.
    fn traced(&self, strace: &[&str], args: &[&str]) -> Command {
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-s", "64", "-o", "trace"]).args(strace).arg(env!("CARGO_BIN_EXE_idiolect"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }
}

/// A short training with many checkpoints.
fn training(profile: &str) -> Vec<String> {
    let model = base();
    let arguments = ["train", "--profile", profile, "--model", model.to_str().unwrap(), "--device", "cpu", "--json"];
    let settings = ["--steps", "14", "--seed", "3", "--checkpoint-seconds", "0.02"];
    arguments.iter().chain(&settings).map(|part| part.to_string()).collect()
}

fn strings(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// The object that a successful command ends with.
fn finish(mut command: Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", complaint(&output));
    let stdout = String::from_utf8(output.stdout).unwrap();
    stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default()
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A training's report without what tells one way to it from another.
fn verdict(mut report: Value) -> Value {
    for way in ["resumed", "unchanged"] {
        report[way].take();
    }
    report
}

fn sha256(report: &Value) -> String {
    report["candidate_sha256"].as_str().expect("a candidate").to_owned()
}

fn messages(home: &Home, profile: &str) -> u64 {
    finish(home.command(&["history", "stats", profile, "--json"]))["messages"].as_u64().unwrap()
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy_tree(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

fn killed() {
    let home = Home::with(ENOUGH);
    let whole = home.profile("whole");
    let began = Instant::now();
    let expected = verdict(finish(home.command(&strings(&training(&whole)))));
    assert_eq!((&expected["verdict"], &expected["version"]), (&"promoted".into(), &1.into()), "{expected}");
    let took = began.elapsed();
    let kills = std::env::var("IDIOLECT_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(FEW_KILLS);
    let (mut resumed, mut random) = (0, 0x9e37_79b9_7f4a_7c15_u64);
    for kill in 0..kills {
        let profile = home.profile(&format!("killed-{kill}"));
        // Killed twice, the second time wherever it has come to by then.
        for _ in 0..2 {
            let mut child: Child = home
                .command(&strings(&training(&profile)))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            sleep(took.mul_f64((random >> 33) as f64 / f64::from(u32::MAX >> 1)));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let report = finish(home.command(&strings(&training(&profile))));
        resumed += u64::from(report["resumed"] == true);
        assert_eq!(verdict(report), expected, "kill {kill}");
        assert_eq!(messages(&home, &profile), ENOUGH as u64, "kill {kill}");
        promoted_once(&home, &profile);
        fs::remove_dir_all(home.path(&profile)).unwrap();
    }
    println!("{kills} trainings killed twice in {took:.1?}, {resumed} went on from a checkpoint");
    assert!(resumed > 0 || kills < 4, "no training ever went on from a checkpoint");
}

/// Whether a profile is as one promotion leaves it: one version, in use, and nothing in the making.
fn promoted_once(home: &Home, profile: &str) {
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
        (["index", "lock", "v00001"].map(str::to_owned).to_vec(), vec!["last-training".to_owned()]),
        "{profile}"
    );
}

/// A profile whose training has come to its verdict, and has entered nothing of it.
fn nearly_promoted(home: &Home) -> String {
    let profile = home.profile("nearly");
    // The adapters' lock cannot be taken.
    fs::create_dir_all(home.path("nearly/adapters/lock")).unwrap();
    let arguments: Vec<String> =
        training(&profile).into_iter().map(|part| if part == "0.02" { "0.001".into() } else { part }).collect();
    let stopped = home.command(&strings(&arguments)).output().unwrap();
    assert!(complaint(&stopped).contains("adapters/lock"), "{}", complaint(&stopped));
    fs::remove_dir(home.path("nearly/adapters/lock")).unwrap();
    profile
}

/// The calls that enter a promotion, and how a process sees them.
const ENTERING: &str = "trace=openat,write,pwrite64,fsync,fdatasync,rename,unlink";

fn ended() {
    let home = Home::with(ENOUGH);
    let nearly = nearly_promoted(&home);
    // No checkpoint comes by time: one run's calls are the next one's.
    let finishing = |profile: &str| -> Vec<String> {
        training(profile).into_iter().map(|part| if part == "0.02" { "1000".into() } else { part }).collect()
    };
    let whole = home.copy(&nearly, "whole");
    let expected = verdict(finish(home.traced(&["-e", ENTERING], &strings(&finishing(&whole)))));
    assert_eq!(expected["verdict"], "promoted", "{expected}");
    assert_eq!(synced_renames(&home), ["v00001", "index", "last-training"]);
    promoted_once(&home, &whole);

    let points = points(&home, &whole, "/adapters/lock");
    let mut held = HashMap::new();
    for (number, Point { call, path, at }) in points.iter().enumerate() {
        *held.entry(call.as_str()).or_insert(0) += 1;
        let kill = ["fsync", "rename", "unlink"].contains(&call.as_str());
        for tampering in ["error=EIO", "signal=KILL"].iter().take(if kill { 2 } else { 1 }) {
            let profile = home.copy(&nearly, &format!("ending-{number}"));
            let inject = format!("inject={call}:{tampering}:when={at}");
            let trace = format!("trace={call}");
            let mut strace = vec!["-e", &trace, "-e", &inject];
            // As the program names it, and as the system does.
            let paths = path.iter().flat_map(|path| [Path::new(&profile).join(path), home.path(&profile).join(path)]);
            let paths: Vec<PathBuf> = paths.collect();
            strace.extend(paths.iter().flat_map(|path| ["-P", path.to_str().unwrap()]));
            let output = home.traced(&strace, &strings(&finishing(&profile))).output().unwrap();
            let (what, told) = (format!("{inject} {path:?}"), complaint(&output));
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

/// A call of a traced process.
struct Point {
    call: String,
    /// What it concerns below the profile; none for a file in the making, whose name is another every time.
    path: Option<PathBuf>,
    /// Its number in its thread, among the calls of this name; of those that concern `path`, where there is one.
    at: usize,
}

/// The calls of a trace on `profile` from the one on that first names `place`, in that thread; those whose number another
/// thread comes to as well are left out.
fn points(home: &Home, profile: &str, place: &str) -> Vec<Point> {
    let trace = fs::read_to_string(home.path("trace")).unwrap();
    let below = |arguments: &str| {
        let path = arguments.split(['"', '<', '>']).find(|part| part.contains(&format!("{profile}/")))?;
        let path = path.split_once(&format!("{profile}/"))?.1;
        (!path.contains(".partial-")).then(|| PathBuf::from(path))
    };
    let mut counts: HashMap<(String, Option<PathBuf>), HashMap<String, usize>> = HashMap::new();
    let (mut points, mut begun) = (Vec::new(), None);
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let Some((call, arguments)) = call.trim_start().split_once('(') else { continue };
        let path = below(arguments);
        let mut count = |path: Option<PathBuf>| {
            let count = counts.entry((call.to_owned(), path)).or_default().entry(thread.to_owned()).or_default();
            *count += 1;
            *count
        };
        let of_its_name = count(None);
        let at = if path.is_some() { count(path.clone()) } else { of_its_name };
        if begun.is_none() && arguments.contains(place) {
            begun = Some(thread.to_owned());
        }
        if begun.as_deref() == Some(thread) {
            points.push(Point { call: call.to_owned(), path, at });
        }
    }
    let thread = begun.expect("it never came there");
    points.retain(|Point { call, path, at }| {
        counts[&(call.clone(), path.clone())].iter().all(|(other, count)| *other == thread || count < at)
    });
    points
}

fn beside() {
    let home = Home::new();
    let profile = home.profile("shared");
    let mut child =
        home.command(&strings(&training(&profile))).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    while !home.path(&profile).join("checkpoints").read_dir().is_ok_and(|mut files| files.next().is_some()) {
        sleep(Duration::from_millis(5));
    }
    let second = home.command(&strings(&training(&profile))).output().unwrap();
    assert_eq!(second.status.code(), Some(1), "a second training was let in");
    assert!(complaint(&second).contains("train"), "{}", complaint(&second));
    let status = finish(home.command(&["status", &profile, "--json"]));
    assert_eq!(status["training"], true, "{status}");
    fs::write(home.path("more.txt"), "this came while it trained\n").unwrap();
    finish(home.command(&["history", "add", &profile, "more.txt"]));
    assert!(child.wait().unwrap().success());
    assert_eq!(messages(&home, &profile), MESSAGES as u64 + 1);
}

fn file_limit() {
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
fn may_mount() -> bool {
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

fn full_disk() {
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

fn read_only() {
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
    let files = common::listing(folder).into_iter().filter(|path| path.is_file());
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn silent() {
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
    for file in common::listing(&home.path(&profile)).into_iter().filter(|path| path.is_file()) {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(5).any(|window| window == b"zebra"), "{}: lies there in plain", file.display());
    }
    finish(home.command(&["erase", &profile, "--yes"]));
    assert!(!home.path(&profile).exists(), "something was left of the profile");
}

/// The calls of a trace that concern `what`, in order: name and line.
fn calls(home: &Home) -> Vec<(String, String)> {
    let trace = fs::read_to_string(home.path("trace")).unwrap();
    let call = |line: &str| {
        let line = line.split_once(' ')?.1.trim_start();
        Some((line.split_once('(')?.0.to_owned(), line.to_owned()))
    };
    trace.lines().filter_map(call).collect()
}

fn order() {
    let home = Home::new();
    let trace = ["-e", "trace=write,fsync,rename,renameat,renameat2"];
    finish(home.traced(&trace, &["history", "add", "new", "some.jsonl"]));
    assert_eq!(synced_renames(&home), ["key"]);
    let profile = home.profile("traced");
    finish(home.traced(&trace, &strings(&training(&profile))));
    let renames = synced_renames(&home);
    assert_eq!((renames.first(), renames.last()), (Some(&"selection".into()), Some(&"last-training".into())));
    assert!(renames.iter().filter(|name| name.starts_with("training-")).count() > 3, "{renames:?}");
}

/// What a trace renames, by the new names: each was synced before, and its folder after.
fn synced_renames(home: &Home) -> Vec<String> {
    let mut unsynced: HashMap<String, bool> = HashMap::new();
    let mut waiting: Option<String> = None;
    let mut renamed = Vec::new();
    for (name, line) in calls(home) {
        let descriptor =
            || line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(path, _)| path.to_owned());
        match name.as_str() {
            "write" => {
                if let Some(path) = descriptor() {
                    unsynced.insert(path, true);
                }
            }
            "fsync" => {
                let path = descriptor().unwrap_or_default();
                unsynced.insert(path.clone(), false);
                if waiting.as_ref().is_some_and(|folder| path.ends_with(folder.as_str())) {
                    waiting = None;
                }
            }
            "rename" | "renameat" | "renameat2" => {
                assert!(waiting.is_none(), "a rename whose folder was not synced: {line}");
                let mut paths = line.split('"').skip(1).step_by(2).map(Path::new);
                let (source, destination) = (paths.next().unwrap(), paths.next().unwrap());
                let synced = unsynced.iter().find(|(path, _)| Path::new(path).file_name() == source.file_name());
                assert_eq!(synced.map(|(_, unsynced)| *unsynced), Some(false), "renamed before it was synced: {line}");
                let folder = destination.parent().and_then(Path::file_name).unwrap();
                waiting = Some(format!("/{}", folder.to_str().unwrap()));
                renamed.push(destination.file_name().unwrap().to_str().unwrap().to_owned());
            }
            _ => {}
        }
    }
    assert!(waiting.is_none(), "never synced: {waiting:?}");
    renamed
}

fn failing_disk() {
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

fn network() {
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
