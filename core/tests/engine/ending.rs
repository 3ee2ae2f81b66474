//! Closing and erasing at any time.

use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use idiolect::ErrorKind;
use idiolect::engine::{
    AdapterChoice, CancelToken, Engine, EngineOptions, EngineState, LearnOutcome, PauseReason, Prompt,
};
use idiolect::generate::{FinishReason, GenerateOptions, SuggestOptions};
use idiolect::history::{NewSample, Retention, Selection, Split};
use idiolect::personalize::{LearnEvent, LearnSettings, is_paused, last_report};
use idiolect::profile::{KeySource, Profile};
use idiolect::samples::TextRow;

use super::{assets, engine, greedy, settings, text};

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
    let refused = engine.suggest("hello", &SuggestOptions::default(), &CancelToken::new());
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
        let waiting = scope.spawn(move || engine.evaluate(&rows, &AdapterChoice::base(), &CancelToken::new()));
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
        ("suggest", Box::new(|| engine.suggest("hello", &SuggestOptions::default(), &cancel).map(drop))),
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
                scope.spawn(|| {
                    until_refused(|| engine.suggest("hello", &SuggestOptions::default(), &CancelToken::new()).map(drop))
                }),
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

/// An answer that goes on for long.
fn endless() -> GenerateOptions {
    GenerateOptions { ignore_eos: true, ..greedy(900) }
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

#[test]
fn an_answer_ends_with_the_engine_and_where_memory_is_asked_back() {
    let home = tempfile::tempdir().unwrap();
    let (opened, prompt) = (engine(home.path(), 10), Prompt::Text("The kettle".into()));
    let again = || Engine::open(EngineOptions::new(home.path().join("profile"), assets().join("base"))).unwrap();
    type End = fn(&Engine);
    let cases: [(&str, Engine, End); 3] = [
        ("unload", opened, |engine| engine.unload().unwrap()),
        ("close", again(), Engine::close),
        ("erase", again(), |engine| drop(engine.erase().unwrap())),
    ];
    for (what, engine, end) in cases {
        let mut pieces = 0;
        let mut on_text = |_: &str| {
            pieces += 1;
            if pieces == 1 {
                end(&engine);
            }
            ControlFlow::Continue(())
        };
        let generation = engine.generate(&prompt, &endless(), &CancelToken::new(), &mut on_text).unwrap();
        assert_eq!(generation.finish_reason, FinishReason::Cancelled, "{what}");
        assert!(generation.ids.len() < endless().max_tokens, "{what}");
    }
}

#[test]
fn what_still_waits_is_cancelled_at_once() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 120);
    let (end, cancelled) = (CancelToken::new(), CancelToken::new());
    cancelled.cancel();
    let mut checked = false;
    let outcome = engine.train(&settings(400), &end, &mut |event| {
        if !matches!(event, LearnEvent::Step(_)) || checked {
            return;
        }
        checked = true;
        let rows = [TextRow::new("ay up flower", None)];
        let (prompt, merged) = (Prompt::Text("hello".into()), home.path().join("merged"));
        let kinds = [
            engine.evaluate(&rows, &AdapterChoice::base(), &cancelled).unwrap_err().kind(),
            engine.merge(1, &merged, Default::default(), &cancelled, &mut |_, _, _| {}).unwrap_err().kind(),
            engine.suggest("hello", &SuggestOptions::default(), &cancelled).unwrap_err().kind(),
        ];
        assert_eq!(kinds, [ErrorKind::Cancelled; 3]);
        let generation = engine.generate(&prompt, &greedy(5), &cancelled, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!((generation.finish_reason, generation.ids.len()), (FinishReason::Cancelled, 0));
        // What needs no turn of its own does not wait for the training.
        engine.check().unwrap();
        assert_eq!(engine.stale_version().unwrap(), None);
        assert!(matches!(engine.state(), EngineState::Training { .. }));
        end.cancel();
    });
    assert!(checked);
    assert_eq!(outcome.unwrap(), LearnOutcome::Paused(PauseReason::Cancelled));
}

#[test]
fn a_training_ends_however_many_answers_are_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 120);
    let (end, ended) = (CancelToken::new(), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !matches!(engine.state(), EngineState::Training { step: 1.., .. }) {
                    thread::sleep(Duration::from_millis(2));
                }
                // At any time three more wait.
                while !ended.load(Ordering::Relaxed) {
                    text(&engine, "The kettle");
                    end.cancel();
                }
            });
        }
        let outcome = engine.train(&settings(400), &end, &mut |_| {});
        ended.store(true, Ordering::Relaxed);
        assert_eq!(outcome.unwrap(), LearnOutcome::Paused(PauseReason::Cancelled));
    });
}
