//! An engine that is suspended holds nothing of the profile's, and goes on.

use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use idiolect::engine::{CancelToken, Engine, EngineState, LearnOutcome, PauseReason, Prompt};
use idiolect::generate::SuggestOptions;
use idiolect::history::NewSample;
use idiolect::personalize::{LearnEvent, is_paused};
use idiolect::profile::{KeySource, Profile};
use idiolect::{DeviceChoice, ErrorKind, Result};

use super::{copy_folder, engine, finish, greedy, settings, text};

/// What iOS gives an app to come to rest.
const AT_MOST: Duration = Duration::from_secs(2);

/// Where the child finds the profile.
const FOLDER: &str = "IDIOLECT_TEST_FOLDER";

fn suspend(engine: &Engine) {
    let began = Instant::now();
    engine.suspend().unwrap();
    assert!(began.elapsed() < AT_MOST, "it took {:?}", began.elapsed());
}

/// The files of a folder that this process has open, and those of its locks that lie there.
#[cfg(target_os = "linux")]
fn held(folder: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;

    let open = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let mut held: Vec<_> = open.filter(|path| path.starts_with(folder)).map(|path| format!("{path:?}")).collect();
    let own = std::process::id().to_string();
    let inodes: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().ino().to_string()).collect();
    let locks = fs::read_to_string("/proc/locks").unwrap();
    held.extend(locks.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let inode = fields.get(5)?.rsplit(':').next()?;
        (fields[4] == own && inodes.iter().any(|known| known == inode)).then(|| line.to_owned())
    }));
    held
}

#[cfg(not(target_os = "linux"))]
fn held(_: &Path) -> Vec<String> {
    Vec::new()
}

/// Run by the tests below in a process of its own: takes the right to train, adds a message, and keeps that right until
/// its input ends.
#[test]
#[ignore = "a part of the others"]
fn takes_the_lock_in_a_child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let profile = Profile::open(Path::new(&folder), &KeySource::Beside).unwrap();
    let lock = profile.lock_training().unwrap();
    profile.history().add(&[NewSample::new("written by another process meanwhile")]).unwrap();
    println!("\nholding");
    std::io::stdin().lines().for_each(drop);
    drop(lock);
}

/// Such a child, once it holds the lock.
fn child(folder: &Path) -> (Child, ChildStdin) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["suspension::takes_the_lock_in_a_child", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(|line| line.ok());
    assert!(lines.any(|line| line == "holding"), "the child could not take the lock");
    thread::spawn(move || lines.for_each(drop));
    (child, input)
}

fn end((mut child, input): (Child, ChildStdin)) {
    drop(input);
    assert!(child.wait().unwrap().success());
}

/// Trains, and calls `suspended` with the engine suspended at the first event of which `moment` is true.
fn train_suspended(engine: &Engine, moment: fn(&LearnEvent) -> bool, suspended: impl Fn() + Sync) -> LearnOutcome {
    let called = AtomicBool::new(false);
    thread::scope(|scope| {
        let suspending = scope.spawn(|| {
            while !called.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
            suspend(engine);
            suspended();
            engine.resume().unwrap();
        });
        let outcome = engine.train(&settings(14), &CancelToken::new(), &mut |event| {
            if moment(&event) {
                called.store(true, Ordering::Relaxed);
            }
        });
        suspending.join().unwrap();
        outcome.unwrap()
    })
}

#[test]
fn a_training_rests_without_a_lock_and_goes_on_to_the_same_bits() {
    let moments: [fn(&LearnEvent) -> bool; 3] = [
        |event| matches!(event, LearnEvent::Step(report) if report.step == 1),
        |event| matches!(event, LearnEvent::Step(report) if report.step == 7),
        |event| matches!(event, LearnEvent::Measuring { done, total } if 0 < *done && done < total),
    ];
    let first = tempfile::tempdir().unwrap();
    engine(first.path(), 120).close();
    let homes: Vec<_> = moments.iter().map(|_| tempfile::tempdir().unwrap()).collect();
    for home in &homes {
        copy_folder(&first.path().join("profile"), &home.path().join("profile"));
    }
    let whole = finish(&engine(first.path(), 0), &settings(14));
    for (moment, home) in moments.into_iter().zip(&homes) {
        let (engine, folder) = (engine(home.path(), 0), home.path().join("profile"));
        let outcome = train_suspended(&engine, moment, || {
            assert_eq!(held(&folder), [] as [String; 0]);
            assert!(matches!(engine.state(), EngineState::Training { .. }));
            end(child(&folder));
        });
        let LearnOutcome::Finished(report) = outcome else { panic!("{outcome:?}") };
        assert!(report.resumed);
        assert_eq!((report.candidate_sha256, &report.verdict), (whole.candidate_sha256.clone(), &whole.verdict));
    }
}

#[test]
fn a_training_whose_lock_another_process_took_is_paused() {
    let home = tempfile::tempdir().unwrap();
    let (engine, folder) = (engine(home.path(), 120), home.path().join("profile"));
    let other = std::sync::Mutex::new(None);
    let outcome = train_suspended(
        &engine,
        |event| matches!(event, LearnEvent::Step(report) if report.step == 2),
        || *other.lock().unwrap() = Some(child(&folder)),
    );
    assert_eq!(outcome, LearnOutcome::Paused(PauseReason::Suspended));
    assert!(is_paused(engine.profile()).unwrap());
    let busy = engine.train(&settings(14), &CancelToken::new(), &mut |_| {});
    assert_eq!(busy.unwrap_err().kind(), ErrorKind::TrainingBusy);
    end(other.into_inner().unwrap().unwrap());
    assert!(finish(&engine, &settings(14)).resumed);
}

#[test]
fn calls_are_refused_until_it_is_resumed() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 60);
    let (prompt, cancel) = ("The kettle", CancelToken::new());
    let answer = text(&engine, prompt);
    suspend(&engine);
    suspend(&engine);
    engine.set_device(DeviceChoice::Cpu).unwrap();
    let calls: [(&str, &dyn Fn() -> Result<()>); 9] = [
        ("generate", &|| {
            let options = greedy(2);
            engine
                .generate(&Prompt::Text(prompt.into()), &options, &cancel, &mut |_| ControlFlow::Continue(()))
                .map(drop)
        }),
        ("suggest", &|| engine.suggest(prompt, &SuggestOptions::default(), &cancel).map(drop)),
        ("train", &|| engine.train(&settings(2), &cancel, &mut |_| {}).map(drop)),
        ("add", &|| engine.history().add(&[NewSample::new("later")]).map(drop)),
        ("read", &|| engine.history().stats().map(drop)),
        ("learnable", &|| engine.history().learnable(idiolect::history::Split::Training).map(drop)),
        ("activate", &|| engine.adapters().activate(None)),
        ("clear", &|| engine.clear_history().map(drop)),
        ("status", &|| engine.status(&Default::default(), false).map(drop)),
    ];
    for (name, call) in &calls {
        assert_eq!(call().map_err(|error| error.kind()), Err(ErrorKind::Suspended), "{name}");
    }
    engine.resume().unwrap();
    engine.resume().unwrap();
    assert_eq!(text(&engine, prompt), answer);
    for (name, call) in calls {
        call().unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    suspend(&engine);
    engine.close();
    for refused in [engine.suspend(), engine.resume()] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Closed);
    }
}

#[test]
fn what_is_being_added_is_undone_whole() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 20);
    let before = engine.history().stats().unwrap().total;
    let many: Vec<NewSample> = (0..200_000).map(|i| NewSample::new(format!("message number {i}, of many"))).collect();
    thread::scope(|scope| {
        let adding = scope.spawn(|| engine.history().add(&many).map(drop));
        thread::sleep(Duration::from_millis(150));
        assert!(!adding.is_finished(), "it was faster than this test");
        suspend(&engine);
        assert_eq!(adding.join().unwrap().unwrap_err().kind(), ErrorKind::Suspended);
    });
    engine.resume().unwrap();
    assert_eq!(engine.history().stats().unwrap().total, before);
    engine.history().add(&many[..10]).unwrap();
}

#[test]
fn any_thread_may_suspend_and_resume_while_others_work() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 60);
    let over = AtomicBool::new(false);
    let allowed = |result: Result<()>| match result {
        Err(error) if matches!(error.kind(), ErrorKind::Suspended | ErrorKind::TrainingBusy) => {}
        other => other.unwrap(),
    };
    let kinds: [&(dyn Fn(usize) -> Result<()> + Sync); 5] = [
        &|_| engine.suspend(),
        &|_| engine.resume(),
        &|i| engine.history().add(&[NewSample::new(format!("message {i} of a busy day"))]).map(drop),
        &|_| engine.suggest("The ket", &SuggestOptions::default(), &CancelToken::new()).map(drop).or_else(cancelled),
        &|_| engine.train(&settings(2), &CancelToken::new(), &mut |_| {}).map(drop),
    ];
    thread::scope(|scope| {
        for call in kinds {
            let (over, allowed) = (&over, &allowed);
            scope.spawn(move || {
                for i in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    allowed(call(i));
                    thread::sleep(Duration::from_millis(3));
                }
            });
        }
        thread::sleep(Duration::from_secs(2));
        over.store(true, Ordering::Relaxed);
        // A training that rests would wait for it.
        while engine.state() != EngineState::Idle {
            engine.resume().unwrap();
            thread::sleep(Duration::from_millis(5));
        }
    });
    engine.resume().unwrap();
    assert!(engine.history().stats().unwrap().total.messages > 60);
}

/// An answer that the suspension ended.
fn cancelled(error: idiolect::Error) -> Result<()> {
    if error.kind() == ErrorKind::Cancelled { Ok(()) } else { Err(error) }
}
