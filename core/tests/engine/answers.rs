//! Answers beside a training, adapters that are switched and merged.

use std::fs;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use idiolect::ErrorKind;
use idiolect::engine::{
    AdapterChoice, CancelToken, Engine, EngineOptions, EngineState, LearnOutcome, PauseReason, Prompt,
};
use idiolect::generate::SuggestOptions;
use idiolect::merge::{MergeOptions, MergeStage};
use idiolect::personalize::LearnReport;
use idiolect::samples::TextRow;

use super::{engine, finish, greedy, settings, text};

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
fn suggestions_change_no_answer_and_are_those_of_the_text() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 1);
    let (options, cancel) = (SuggestOptions::default(), CancelToken::new());
    let typed = "The kettle is on the bo";
    let answer = text(&engine, typed);
    let mut last = Vec::new();
    for (end, _) in typed.char_indices().skip(1).chain([(typed.len(), ' ')]) {
        last = engine.suggest(&typed[..end], &options, &cancel).unwrap();
    }
    assert_eq!(text(&engine, typed), answer);
    engine.unload().unwrap();
    let alone = engine.suggest(typed, &options, &cancel).unwrap();
    assert!(!alone.is_empty() && alone.len() == last.len(), "{alone:?} {last:?}");
    for (alone, typed) in alone.iter().zip(&last) {
        assert_eq!((&alone.text, alone.replaces), (&typed.text, 2));
        // What was explored for earlier letters spares passes, and finds nothing else.
        assert!((alone.probability / typed.probability - 1.0).abs() < 1e-5, "{alone:?} {typed:?}");
    }
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
    let [with, without] = [AdapterChoice::InUse, AdapterChoice::base()]
        .map(|adapters| engine.evaluate(&rows, &adapters, &cancel).unwrap().nll);
    assert!(with < without, "{with} {without}");
    let words = engine.suggest("kettle is ", &SuggestOptions::default(), &cancel).unwrap();
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
    let without = alone.evaluate(&rows, &AdapterChoice::InUse, &cancel).unwrap().nll;
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
