//! The engine as an app uses it, on the embedded model: what is cancelled, closed, unloaded, switched and served meanwhile.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use idiolect::adapter::merge::{MergeOptions, MergeStage};
use idiolect::engine::{CancelToken, Engine, EngineOptions, EngineState, LearnOutcome, PauseReason, Prompt};
use idiolect::generate::{FinishReason, GenerateOptions, SamplingOptions};
use idiolect::history::{NewSample, Retention, Selection, Split, read_jsonl};
use idiolect::personalize::{DropReason, LearnEvent, LearnReport, LearnSettings, is_paused, last_report};
use idiolect::profile::{KeySource, Profile};
use idiolect::train::{TextRow, TrainOptions};
use idiolect::{DeviceChoice, ErrorKind};

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings/cli/assets")
}

/// A profile with `messages` messages of the sample history.
fn engine(home: &Path, messages: usize) -> Engine {
    let options =
        EngineOptions { device: DeviceChoice::Cpu, ..EngineOptions::new(home.join("profile"), assets().join("base")) };
    let engine = Engine::open(options).unwrap();
    let samples: Vec<NewSample> = read_jsonl(&assets().join("history.jsonl")).unwrap();
    engine.history().add(&samples[..messages]).unwrap();
    engine
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

fn settings(steps: usize) -> LearnSettings {
    LearnSettings {
        train: TrainOptions { steps: Some(steps), ..TrainOptions::default() },
        checkpoint_every: Duration::from_millis(50),
        ..LearnSettings::default()
    }
}

fn finish(engine: &Engine, settings: &LearnSettings) -> LearnReport {
    match engine.train(settings, &CancelToken::new(), &mut |_| {}).unwrap() {
        LearnOutcome::Finished(report) => *report,
        LearnOutcome::Paused(reason) => panic!("{reason:?}"),
    }
}

fn greedy(max_tokens: usize) -> GenerateOptions {
    GenerateOptions { max_tokens, sampling: SamplingOptions::greedy(), ..GenerateOptions::default() }
}

fn text(engine: &Engine, prompt: &str) -> String {
    let prompt = Prompt::Text(prompt.into());
    engine.generate(&prompt, &greedy(12), &CancelToken::new(), &mut |_| ControlFlow::Continue(())).unwrap().text
}

#[test]
fn a_cancelled_training_goes_on_to_the_same_bits() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    engine(one.path(), 200).close();
    // The same profile twice: another key would split the history otherwise.
    copy_folder(&one.path().join("profile"), &other.path().join("profile"));
    let whole = finish(&engine(one.path(), 0), &settings(20));
    let engine = engine(other.path(), 0);
    let mut resumed = Vec::new();
    for stop_at in [3, 4, 11] {
        let cancel = CancelToken::new();
        let mut cancelled = None;
        let outcome = engine.train(&settings(20), &cancel, &mut |event| match event {
            LearnEvent::Started { resumed_at, .. } => resumed.push(resumed_at),
            LearnEvent::Step(report) if report.step == stop_at => {
                cancel.cancel();
                cancelled = Some(Instant::now());
            }
            _ => {}
        });
        assert_eq!(outcome.unwrap(), LearnOutcome::Paused(PauseReason::Cancelled));
        // Not a timed test of speed: a step of this training takes longer than what is allowed here.
        assert!(cancelled.unwrap().elapsed() < Duration::from_secs(5));
        assert_eq!(engine.state(), EngineState::Idle);
    }
    let report = finish(&engine, &settings(20));
    assert_eq!(report.candidate_sha256, whole.candidate_sha256);
    assert_eq!(report.verdict, whole.verdict);
    assert!(report.resumed && resumed[1] > 0 && resumed[2] > resumed[1], "{resumed:?}");

    let again = finish(&engine, &settings(20));
    assert!(again.unchanged && again.candidate_sha256 == whole.candidate_sha256);
    engine.history().add(&[NewSample::new("one message more, and it trains again")]).unwrap();
    assert!(!finish(&engine, &settings(20)).unchanged);
}

#[test]
fn what_was_removed_ends_a_paused_training() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 120);
    let cancel = CancelToken::new();
    let paused = engine.train(&settings(20), &cancel, &mut |event| {
        if matches!(event, LearnEvent::Step(_)) {
            cancel.cancel();
        }
    });
    assert_eq!(paused.unwrap(), LearnOutcome::Paused(PauseReason::Cancelled));
    let latest = engine.history().list(None, 1).unwrap()[0].id;
    engine.remove_from_history(&Selection::Samples(vec![latest])).unwrap();
    let report = finish(&engine, &settings(20));
    assert!(!report.resumed);
    assert_eq!(report.samples.iter().sum::<usize>(), 119);
}

#[test]
fn what_was_removed_while_it_trained_is_trained_without() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 120);
    let cancel = CancelToken::new();
    let mut dropped = 0;
    // Removed in the midst of a training, which then goes on, saves itself and is cancelled.
    let paused = engine.train(&settings(20), &cancel, &mut |event| {
        if matches!(event, LearnEvent::Step(ref report) if report.step == 2) {
            let latest = engine.history().list(None, 1).unwrap()[0].id;
            engine.remove_from_history(&Selection::Samples(vec![latest])).unwrap();
            cancel.cancel();
        }
    });
    assert_eq!(paused.unwrap(), LearnOutcome::Paused(PauseReason::Cancelled));
    let outcome = engine.train(&settings(20), &CancelToken::new(), &mut |event| {
        dropped += usize::from(event == LearnEvent::CheckpointDropped(DropReason::HistoryRemoved));
    });
    let LearnOutcome::Finished(report) = outcome.unwrap() else { panic!("paused") };
    assert_eq!((dropped, report.resumed, report.samples.iter().sum::<usize>()), (1, false, 119));
}

#[test]
fn what_the_cap_takes_does_not_keep_a_training_from_ending() {
    let cap = |engine: &Engine, messages| {
        let cap = Retention { max_messages: Some(messages), max_age: None };
        engine.history().set_retention(cap).unwrap();
    };
    // How many of 120 messages the cap leaves; whether the training was paused before; what becomes of its checkpoint.
    for (left, pause, dropped) in [(30, false, None), (100, true, None), (30, true, Some(DropReason::HistoryExpired))] {
        let home = tempfile::tempdir().unwrap();
        let engine = engine(home.path(), 120);
        let cancel = CancelToken::new();
        let outcome = engine.train(&settings(8), &cancel, &mut |event| {
            if matches!(event, LearnEvent::Step(ref report) if report.step == 2) {
                cap(&engine, left);
                if pause {
                    cancel.cancel();
                }
            }
        });
        let mut drops = None;
        let report = match outcome.unwrap() {
            LearnOutcome::Finished(report) if !pause => report,
            LearnOutcome::Paused(PauseReason::Cancelled) if pause => {
                let outcome = engine.train(&settings(8), &CancelToken::new(), &mut |event| {
                    if let LearnEvent::CheckpointDropped(reason) = event {
                        drops = Some(reason);
                    }
                });
                let LearnOutcome::Finished(report) = outcome.unwrap() else { panic!("paused") };
                report
            }
            other => panic!("{other:?}"),
        };
        assert_eq!((drops, report.resumed), (dropped, pause && dropped.is_none()), "{left} {pause}");
        let read = report.samples.iter().sum::<usize>() as u64;
        // Training's places are filled again; what is measured is what is left.
        assert!(if dropped.is_some() { read == left } else { (left..=120).contains(&read) }, "{left} {pause}: {read}");
        for version in engine.history().versions().unwrap() {
            assert_eq!(version.removed, 0, "{left} {pause}: {version:?}");
        }
    }
}

#[test]
fn a_training_begins_while_messages_keep_coming() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 120);
    let ended = AtomicBool::new(false);
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !ended.load(Ordering::Relaxed) {
                number += 1;
                engine.history().add(&[NewSample::new(format!("message {number} of those that keep coming"))]).unwrap();
            }
        });
        let cancel = CancelToken::new();
        let outcome = engine.train(&settings(400), &cancel, &mut |event| {
            if matches!(event, LearnEvent::Step(_)) {
                cancel.cancel();
            }
        });
        ended.store(true, Ordering::Relaxed);
        outcome
    });
    assert_eq!(outcome.unwrap(), LearnOutcome::Paused(PauseReason::Cancelled));
    // Cancelled while it reads, it has nothing to say of a step.
    let cancel = CancelToken::new();
    cancel.cancel();
    let mut steps = 0;
    let outcome = engine.train(&settings(401), &cancel, &mut |event| {
        steps += usize::from(matches!(event, LearnEvent::Step(_) | LearnEvent::Started { .. }));
    });
    assert_eq!((outcome.unwrap(), steps), (LearnOutcome::Paused(PauseReason::Cancelled), 0));
}

#[test]
fn answers_come_while_it_trains_and_after_memory_was_given_back() {
    let home = tempfile::tempdir().unwrap();
    let engine = Arc::new(engine(home.path(), 200));
    let alone = text(&engine, "The kettle");
    let served = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let asking = Arc::clone(&engine);
        let served = &served;
        let cancel = CancelToken::new();
        let stop = cancel.clone();
        scope.spawn(move || {
            while !matches!(asking.state(), EngineState::Training { step: 2.., .. }) {
                thread::sleep(Duration::from_millis(2));
            }
            let prompt = Prompt::Text("The kettle".into());
            let too_much = greedy(1 << 20);
            let refused = asking.generate(&prompt, &too_much, &CancelToken::new(), &mut |_| ControlFlow::Continue(()));
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::BadOption);
            for _ in 0..3 {
                let answer = text(&asking, "The kettle");
                served.lock().unwrap().push((asking.state(), answer));
            }
            stop.cancel();
        });
        let outcome = engine.train(&settings(400), &cancel, &mut |_| {}).unwrap();
        assert_eq!(outcome, LearnOutcome::Paused(PauseReason::Cancelled));
    });
    for (state, answer) in served.into_inner().unwrap() {
        assert!(matches!(state, EngineState::Training { .. }), "{state:?}");
        assert_eq!(answer, alone);
    }
    engine.unload().unwrap();
    assert_eq!(text(&engine, "The kettle"), alone);
}

#[test]
fn adapters_switch_and_strength_zero_is_the_base() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 300);
    let base = text(&engine, "Ay up");
    let report = finish(&engine, &settings(40));
    let version = report.version.expect("promoted");
    let learned = text(&engine, "Ay up");
    assert_ne!(learned, base);
    for (change, expected) in [
        (Box::new(|| engine.adapters().activate(None)) as Box<dyn Fn() -> idiolect::Result<()>>, &base),
        (Box::new(|| engine.adapters().activate(Some(version))), &learned),
        (Box::new(|| engine.adapters().set_strength(version, 0.0)), &base),
        (Box::new(|| engine.adapters().set_strength(version, 1.0)), &learned),
        (Box::new(|| engine.adapters().rollback().map(drop)), &base),
    ] {
        change().unwrap();
        assert_eq!(text(&engine, "Ay up"), *expected);
    }
    let rows = [TextRow::new("ay up flower, kettle is on", None)];
    engine.adapters().activate(Some(version)).unwrap();
    let cancel = CancelToken::new();
    let [with, without] = [true, false].map(|adapter| engine.evaluate(&rows, adapter, &cancel).unwrap().nll);
    assert!(with < without, "{with} {without}");
    let words = engine.suggest("kettle is", 3, &cancel).unwrap();
    assert!(words.len() == 3 && words.is_sorted_by(|a, b| a.probability >= b.probability), "{words:?}");
    assert!(words.iter().map(|word| word.probability).sum::<f64>() <= 1.0);

    // A version's report is that of its training.
    let listed = engine.adapters().state().unwrap();
    let kept = LearnReport::of(listed.version(version).unwrap()).expect("trained here");
    assert_eq!(kept, report);

    // Merged, it answers as base and adapter do, without either.
    let merged = home.path().join("merged");
    let mut stages = Vec::new();
    let mut hear = |stage, done: u64, all: u64| {
        assert!(done <= all);
        if stages.last() != Some(&stage) {
            stages.push(stage);
        }
    };
    let made = engine.merge(version, &merged, MergeOptions::default(), &cancel, &mut hear).unwrap();
    // Once, or again where matrices need more bits.
    stages.truncate(3);
    assert_eq!(stages, [MergeStage::Choosing, MergeStage::Writing, MergeStage::Comparing]);
    assert!(made.divergence.kl < 0.1 * made.divergence.kl_of_base, "{:?}", made.divergence);
    let alone = Engine::open(EngineOptions::new(home.path().join("other"), &merged)).unwrap();
    assert_eq!(alone.model().unwrap().fingerprint(), made.fingerprint);
    let without = alone.evaluate(&rows, false, &cancel).unwrap().nll;
    assert!((without - with).abs() < 0.1, "{without} {with}");
    let entries = || fs::read_dir(home.path()).unwrap().count();
    let before = entries();
    for stage in stages {
        let token = CancelToken::new();
        let mut hear = |at, _, _| {
            if at == stage {
                token.cancel();
            }
        };
        let ended = engine.merge(version, &home.path().join("x"), MergeOptions::default(), &token, &mut hear);
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Cancelled, "{stage:?}");
        assert_eq!(entries(), before, "{stage:?}: something was left");
    }
    for (version, place, kind) in [(version, "merged", ErrorKind::Io), (9, "x", ErrorKind::BadOption)] {
        let place = home.path().join(place);
        let refused = engine.merge(version, &place, MergeOptions::default(), &cancel, &mut |_, _, _| {});
        assert_eq!(refused.unwrap_err().kind(), kind, "version {version}");
    }

    // Deleted, it is not in the history's ledger either.
    assert!(!engine.history().learned_from(version).unwrap().is_empty());
    engine.delete_adapter(version).unwrap();
    assert_eq!(engine.history().versions().unwrap(), []);
    assert!(engine.adapters().state().unwrap().versions.is_empty());
    assert_eq!(engine.delete_adapter(version).unwrap_err().kind(), ErrorKind::BadOption);
}

#[test]
fn closing_is_safe_at_any_time() {
    let home = tempfile::tempdir().unwrap();
    let engine = Arc::new(engine(home.path(), 120));
    let training = {
        let engine = Arc::clone(&engine);
        thread::spawn(move || engine.train(&settings(400), &CancelToken::new(), &mut |_| {}))
    };
    while !matches!(engine.state(), EngineState::Training { step: 1.., .. }) {
        thread::sleep(Duration::from_millis(2));
    }
    let busy = engine.train(&settings(400), &CancelToken::new(), &mut |_| {});
    assert_eq!(busy.unwrap_err().kind(), ErrorKind::TrainingBusy);
    engine.close();
    assert_eq!(training.join().unwrap().unwrap(), LearnOutcome::Paused(PauseReason::Closing));
    assert_eq!(engine.state(), EngineState::Closed);
    let refused = engine.suggest("hello", 1, &CancelToken::new());
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Closed);
    engine.close();

    let engine = Engine::open(EngineOptions::new(home.path().join("profile"), assets().join("base"))).unwrap();
    let cancel = CancelToken::new();
    cancel.cancel();
    let prompt = Prompt::Text("hello".into());
    let generation = engine.generate(&prompt, &greedy(5), &cancel, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(generation.finish_reason, FinishReason::Cancelled);
}

#[test]
fn what_waits_when_it_closes_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 120);
    thread::scope(|scope| {
        let engine = &engine;
        let training = scope.spawn(|| engine.train(&settings(400), &CancelToken::new(), &mut |_| {}));
        while !matches!(engine.state(), EngineState::Training { step: 1.., .. }) {
            thread::sleep(Duration::from_millis(2));
        }
        let rows = [TextRow::new("ay up flower", None)];
        let waiting = scope.spawn(move || engine.evaluate(&rows, false, &CancelToken::new()));
        thread::sleep(Duration::from_millis(100));
        assert!(!waiting.is_finished(), "it waits for the training");
        // Both return when the worker has ended, whoever came first.
        let closing = scope.spawn(|| engine.close());
        engine.close();
        closing.join().unwrap();
        assert_eq!(training.join().unwrap().unwrap(), LearnOutcome::Paused(PauseReason::Closing));
        assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
    });
    // What needs no model goes on.
    assert_eq!(engine.history().stats().unwrap().total.messages, 120);
    engine.adapters().activate(None).unwrap();
}

#[test]
fn after_an_erasure_every_call_is_refused_and_no_file_comes_back() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 60);
    let registry = engine.adapters().clone();
    let key = engine.profile().key().clone();
    let everything = Selection::Time(0..i64::MAX);
    engine.close();
    let report = engine.erase().unwrap();
    assert_eq!((report.keys.files, report.left.len()), (1, 0));
    let (history, cancel) = (engine.history(), CancelToken::new());
    type Call<'a> = (&'a str, Box<dyn Fn() -> idiolect::Result<()> + 'a>);
    let calls: Vec<Call<'_>> = vec![
        ("erase", Box::new(|| engine.erase().map(drop))),
        ("check", Box::new(|| engine.check())),
        ("train", Box::new(|| engine.train(&settings(2), &cancel, &mut |_| {}).map(drop))),
        ("suggest", Box::new(|| engine.suggest("hello", 1, &cancel).map(drop))),
        ("remove from history", Box::new(|| engine.remove_from_history(&everything).map(drop))),
        ("clear history", Box::new(|| engine.clear_history().map(drop))),
        ("delete adapter", Box::new(|| engine.delete_adapter(1))),
        ("add", Box::new(|| history.add(&[NewSample::new("hello")]).map(drop))),
        ("list", Box::new(|| history.list(None, 1).map(drop))),
        ("stats", Box::new(|| history.stats().map(drop))),
        ("clear", Box::new(|| history.clear().map(drop))),
        ("learnable", Box::new(|| history.learnable(Split::Training).map(drop))),
        ("copy", Box::new(|| history.copy_to(&home.path().join("copy")))),
        ("state", Box::new(|| registry.state().map(drop))),
        ("activate", Box::new(|| registry.activate(None))),
        ("export", Box::new(|| engine.profile().export(&home.path().join("archive"), "a passphrase").map(drop))),
        ("lock", Box::new(|| engine.profile().lock_training().map(drop))),
        ("folders", Box::new(|| engine.profile().checkpoints().map(drop))),
        ("registry", Box::new(|| engine.profile().registry().map(drop))),
        ("last report", Box::new(|| last_report(engine.profile()).map(drop))),
        ("paused", Box::new(|| is_paused(engine.profile()).map(drop))),
    ];
    for (what, call) in calls {
        assert_eq!(call().unwrap_err().kind(), ErrorKind::Closed, "{what}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "{what} brought a file back");
    }
    // Another profile at the same place is none of the old engine's business.
    let other = Engine::open(EngineOptions::new(home.path().join("profile"), assets().join("base"))).unwrap();
    assert_ne!(other.profile().key().as_bytes(), key.as_bytes());
    assert_eq!(engine.erase().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(engine.history().stats().unwrap_err().kind(), ErrorKind::Closed);
    other.history().add(&[NewSample::new("hello")]).unwrap();
}

#[test]
fn an_erasure_is_safe_in_the_midst_of_everything() {
    for round in 0..2 {
        let home = tempfile::tempdir().unwrap();
        let engine = engine(home.path(), 120);
        let report = thread::scope(|scope| {
            let engine = &engine;
            // Each goes on until it is refused.
            let busy: Vec<thread::ScopedJoinHandle<'_, ErrorKind>> = vec![
                scope.spawn(|| until_refused(|| engine.history().set_retention(Retention::default()).map(drop))),
                scope.spawn(|| until_refused(|| engine.adapters().activate(None))),
                scope.spawn(|| until_refused(|| engine.remove_from_history(&Selection::Time(0..1)).map(drop))),
                scope.spawn(|| {
                    until_refused(|| engine.history().learnable(Split::Training).map(|rows| drop(rows.last())))
                }),
                scope.spawn(|| until_refused(|| engine.suggest("hello", 1, &CancelToken::new()).map(drop))),
            ];
            // Now from within its own callback, now from another thread.
            let mut erased = None;
            let outcome = engine.train(&settings(400), &CancelToken::new(), &mut |event| {
                if matches!(event, LearnEvent::Step(_)) && erased.is_none() {
                    let erase = || engine.erase().unwrap();
                    erased = Some(if round == 0 { erase() } else { thread::scope(|s| s.spawn(erase).join().unwrap()) });
                }
            });
            assert_eq!(outcome.unwrap(), LearnOutcome::Paused(PauseReason::Closing));
            for thread in busy {
                assert_eq!(thread.join().unwrap(), ErrorKind::Closed);
            }
            erased.unwrap()
        });
        assert!(report.history.files > 0 && report.left.is_empty(), "{report:?}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "round {round}");
    }
}

fn until_refused(call: impl Fn() -> idiolect::Result<()>) -> ErrorKind {
    loop {
        match call() {
            // The training has to come to its step meanwhile.
            Ok(()) => thread::sleep(Duration::from_millis(5)),
            Err(error) => return error.kind(),
        }
    }
}

#[test]
fn a_training_elsewhere_stops_the_erasure_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 10);
    let elsewhere = Profile::open(&home.path().join("profile"), &KeySource::Beside).unwrap();
    let lock = elsewhere.lock_training().unwrap();
    assert_eq!(engine.erase().unwrap_err().kind(), ErrorKind::TrainingBusy);
    assert_eq!(engine.history().stats().unwrap().total.messages, 10);
    drop((lock, elsewhere));
    assert!(engine.erase().unwrap().total().files > 0);
}

#[test]
fn errors_say_what_is_wrong() {
    let home = tempfile::tempdir().unwrap();
    let missing = EngineOptions::new(home.path().join("profile"), home.path().join("nowhere"));
    let engine = Engine::open(missing).unwrap();
    let error = engine.check().unwrap_err();
    assert!(error.kind() == ErrorKind::Io && error.message().contains("nowhere"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("GGUF")), "{error:?}");
    let nothing = engine.train(&LearnSettings::default(), &CancelToken::new(), &mut |_| {});
    assert!(nothing.is_err());
}
