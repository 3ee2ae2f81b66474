//! Trainings that are cancelled, go on, and meet a history that changes.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use idiolect::engine::{CancelToken, Engine, EngineState, LearnOutcome, PauseReason};
use idiolect::gate::generic;
use idiolect::history::{NewSample, Retention, Selection};
use idiolect::personalize::{DropReason, LearnEvent, LearnReport, LearnSettings, is_paused};
use idiolect::profile::{KeySource, Profile};
use idiolect::train::TrainOptions;

use super::{copy_folder, engine, finish, settings};

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

/// Cancels a training after its third step.
fn pause(engine: &Engine) {
    let cancel = CancelToken::new();
    let paused = engine.train(&settings(20), &cancel, &mut |event| {
        if matches!(event, LearnEvent::Step(report) if report.step == 3) {
            cancel.cancel();
        }
    });
    assert_eq!(paused.unwrap(), LearnOutcome::Paused(PauseReason::Cancelled));
}

/// The report of a training, and what it told of checkpoints.
fn heard(engine: &Engine) -> (LearnReport, Vec<LearnEvent>) {
    let mut told = Vec::new();
    let outcome = engine.train(&settings(20), &CancelToken::new(), &mut |event| {
        if matches!(event, LearnEvent::CheckpointDropped(_) | LearnEvent::CheckpointDamaged) {
            told.push(event);
        }
    });
    let LearnOutcome::Finished(report) = outcome.unwrap() else { panic!("paused") };
    (*report, told)
}

#[test]
fn what_was_removed_ends_a_paused_training() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 120);
    pause(&engine);
    // Nothing is there to be removed: nothing is dropped for it.
    let nothing = engine.remove_from_history(&Selection::Source("where nobody wrote".into())).unwrap();
    assert!((nothing.messages, nothing.checkpoint_dropped) == (0, false) && is_paused(engine.profile()).unwrap());
    let latest = engine.history().list(None, 1).unwrap()[0].id;
    let removed = engine.remove_from_history(&Selection::Samples(vec![latest])).unwrap();
    assert!((removed.messages, removed.checkpoint_dropped) == (1, true) && !is_paused(engine.profile()).unwrap());
    let report = finish(&engine, &settings(20));
    assert!(!report.resumed);
    assert_eq!(report.samples.iter().sum::<usize>(), 119);
    assert!(!engine.clear_history().unwrap().checkpoint_dropped, "there is none any more");
}

#[test]
fn the_retention_cap_is_applied_before_a_training() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 0);
    engine.history().set_retention(Retention { max_age: Some(Duration::from_secs(2)), max_messages: None }).unwrap();
    let texts: Vec<_> = (0..30).map(|i| NewSample::new(format!("this is the {i}th text of today"))).collect();
    assert_eq!(engine.history().add(&texts).unwrap().expired, 0);
    thread::sleep(Duration::from_secs(4));
    let refused = engine.train(&settings(5), &CancelToken::new(), &mut |_| {}).unwrap_err();
    assert!(refused.message().contains("nothing to learn"), "{refused}");
    assert_eq!(engine.history().stats().unwrap().total.messages, 0);
}

#[test]
fn what_is_damaged_of_a_paused_training_is_told() {
    let (slots, dropped) = (["training-a", "training-b"], LearnEvent::CheckpointDropped(DropReason::Damaged));
    for files in [&slots[..], &["selection"]] {
        let home = tempfile::tempdir().unwrap();
        let engine = engine(home.path(), 120);
        pause(&engine);
        let paths = files.iter().map(|name| engine.profile().checkpoints().unwrap().join(name));
        for path in paths.filter(|path| path.exists()) {
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        }
        let (report, told) = heard(&engine);
        assert!(!report.resumed && told == [dropped.clone()], "{files:?}: {told:?}");
        assert_eq!(heard(&engine).1, [], "{files:?}");
    }
}

#[test]
fn how_often_it_is_saved_changes_no_bit() {
    let homes = [(); 3].map(|()| tempfile::tempdir().unwrap());
    engine(homes[0].path(), 200).close();
    for home in &homes[1..] {
        copy_folder(&homes[0].path().join("profile"), &home.path().join("profile"));
    }
    let every = |time| LearnSettings { checkpoint_every: Some(time), ..settings(30) };
    let [seldom, always, stopped] = homes.each_ref().map(|home| engine(home.path(), 0));
    let seldom = finish(&seldom, &every(Duration::from_secs(3600)));
    assert!(!seldom.validation.is_empty());
    let always = finish(&always, &every(Duration::ZERO));
    // Stopped while it measures, again and again.
    let mut stops = 0;
    let report = loop {
        let (cancel, mut measured) = (CancelToken::new(), 0);
        let outcome = stopped.train(&every(Duration::ZERO), &cancel, &mut |event| {
            measured += usize::from(matches!(event, LearnEvent::Measuring { .. }));
            if measured == 5 && stops < 4 {
                cancel.cancel();
            }
        });
        match outcome.unwrap() {
            LearnOutcome::Finished(report) => break report,
            LearnOutcome::Paused(_) => stops += 1,
            LearnOutcome::Failed(report) => panic!("{report:?}"),
        }
    };
    assert!(report.resumed && stops > 0, "{stops} stops");
    for other in [always, *report] {
        assert_eq!(other.candidate_sha256, seldom.candidate_sha256);
        assert_eq!((other.validation, other.verdict), (seldom.validation.clone(), seldom.verdict.clone()));
    }
}

#[test]
fn a_verdict_stands_while_the_version_that_it_is_about_is_there() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 300);
    let train = |steps| {
        let report = finish(&engine, &settings(steps));
        (report.version, report.unchanged, engine.adapters().state().unwrap().active)
    };
    let (switch, add) = (
        |version| engine.adapters().activate(version).unwrap(),
        |text: &str| {
            engine.history().add(&[NewSample::new(text)]).unwrap();
        },
    );
    assert_eq!(train(40), (Some(1), false, Some(1)));
    // What the person chose is not undone.
    switch(None);
    assert_eq!(train(40), (Some(1), true, None));
    switch(Some(1));
    assert_eq!(engine.adapters().rollback().unwrap(), None);
    assert_eq!(train(40), (Some(1), true, None));
    // What they deleted can be had again.
    engine.delete_adapter(1).unwrap();
    assert_eq!(train(40), (Some(2), false, Some(2)));
    // One that did not better version 2, until that is gone.
    add("one message more");
    assert_eq!(train(1), (None, false, Some(2)));
    switch(None);
    assert_eq!(train(1), (None, true, None));
    engine.delete_adapter(2).unwrap();
    assert!(!train(1).1);
}

#[test]
fn askings_are_counted_for_life() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 300);
    let ask = |steps| {
        let text = format!("another message, so that {steps} steps are worth taking");
        engine.history().add(&[NewSample::new(text)]).unwrap();
        let report = finish(&engine, &settings(steps));
        (report.version, report.asked)
    };
    let lost = |name: &str| {
        let path = engine.profile().checkpoints().unwrap().join(name);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    };
    assert_eq!(ask(40), (Some(1), 1));
    assert_eq!(ask(1), (None, 2), "a promotion begins no new count");
    assert_eq!(ask(2), (None, 3));
    lost("last-training");
    assert_eq!(ask(1), (None, 4), "a damaged record loses nothing");
    engine.delete_adapter(1).unwrap();
    assert_eq!(ask(40), (Some(2), 5));
    lost("last-training");

    let archive = home.path().join("archive");
    engine.profile().export(&archive, "passphrase").unwrap();
    let elsewhere = home.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    Profile::import(&archive, "passphrase", &elsewhere.join("profile"), &KeySource::Beside).unwrap();
    let engine = self::engine(&elsewhere, 0);
    engine.history().add(&[NewSample::new("and one in another place")]).unwrap();
    assert_eq!(finish(&engine, &settings(1)).asked, 6);
}

#[test]
fn forgetting_is_measured_in_the_persons_languages() {
    let of = |language: &str| {
        let text = [generic::replay(language), generic::measuring(language)].concat().join(" ");
        let characters: Vec<char> = text.chars().collect();
        characters.chunks(50).map(|message| NewSample::new(String::from_iter(message))).collect::<Vec<_>>()
    };
    // From the Universal Declaration: there is no file of it here.
    let georgian = [
        "ყოველ ადამიანს აქვს სიცოცხლის, თავისუფლებისა და პირადი ხელშეუხებლობის უფლება.",
        "არავინ შეიძლება დაექვემდებაროს თვითნებურ დაკავებას, დაპატიმრებას ან გაძევებას.",
        "ყოველ ადამიანს აქვს მოქალაქეობის უფლება.",
        "ყველა ადამიანს აქვს უფლება ფლობდეს ქონებას, როგორც ერთპიროვნულად, ასევე სხვებთან ერთად.",
        "არავის უნდა ჩამოერთვას მისი ქონება თვითნებურად.",
        "არავინ შეიძლება აიძულონ შევიდეს რაიმე გაერთიანებაში.",
        "მშობლებს აქვთ უპირატესი უფლება აირჩიონ, თუ რა სახის განათლება სურთ თავიანთი შვილებისათვის.",
    ];
    for (history, measured, unmeasured) in [
        (of("deu"), vec!["deu"], vec![]),
        (of("hin").into_iter().chain(of("eng").into_iter().take(80)).collect(), vec!["hin", "eng"], vec![]),
        (of("eng").into_iter().take(30).chain(georgian.map(NewSample::new)).collect(), vec!["eng"], vec!["kat"]),
    ] {
        let home = tempfile::tempdir().unwrap();
        let engine = engine(home.path(), 0);
        engine.history().add(&history).unwrap();
        let report = finish(&engine, &settings(1));
        let languages: Vec<&str> = report.verdict.forgetting_in.iter().map(|of| of.language.as_str()).collect();
        assert_eq!(
            (languages, report.unmeasured_languages),
            (measured, unmeasured.into_iter().map(String::from).collect())
        );
    }
}

#[test]
fn what_was_removed_while_it_trained_is_trained_without() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 120);
    let cancel = CancelToken::new();
    let mut dropped = 0;
    // Removed in the midst of a training, which then goes on, is cancelled and saves itself for the first time.
    let unhurried = LearnSettings { checkpoint_every: Some(Duration::from_secs(3600)), ..settings(20) };
    let paused = engine.train(&unhurried, &cancel, &mut |event| {
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

/// Settings under which many of the sample history's messages are longer than a row.
fn short_rows() -> LearnSettings {
    let train = TrainOptions { epochs: 1, seq_len: 24, ..TrainOptions::default() };
    LearnSettings { train, ..settings(1) }
}

/// How many steps a training has, paused after its second one.
fn paused_steps(engine: &Engine) -> usize {
    let (cancel, mut planned) = (CancelToken::new(), 0);
    let outcome = engine.train(&short_rows(), &cancel, &mut |event| match event {
        LearnEvent::Started { steps, .. } => planned = steps,
        LearnEvent::Step(report) if report.step == 2 => cancel.cancel(),
        _ => {}
    });
    assert_eq!(outcome.unwrap(), LearnOutcome::Paused(PauseReason::Cancelled));
    planned
}

#[test]
fn texts_in_parts_count_once_and_keep_their_places() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    engine(one.path(), 120).close();
    copy_folder(&one.path().join("profile"), &other.path().join("profile"));
    let whole = finish(&engine(one.path(), 0), &short_rows());
    let counts = whole.counts;
    assert!(counts.texts_parted > 20 && counts.parts >= 2 * counts.texts_parted, "{counts:?}");
    assert_eq!((counts.texts, whole.samples.iter().sum::<usize>()), (120, 120));
    assert_eq!(counts.samples, 120 - counts.texts_parted + counts.parts);
    // The gate counts texts, not parts.
    assert!(whole.verdict.samples == whole.samples[2] && whole.verdict.units <= whole.samples[2]);

    let engine = engine(other.path(), 0);
    let steps = paused_steps(&engine);
    let resumed = finish(&engine, &short_rows());
    assert_eq!((resumed.resumed, resumed.counts), (true, counts));
    assert_eq!((resumed.candidate_sha256, resumed.verdict), (whole.candidate_sha256, whole.verdict));

    // What the cap takes leaves as many places as it had samples.
    engine.history().add(&[NewSample::new("one message more, and it trains again")]).unwrap();
    let begun = paused_steps(&engine);
    assert!(begun >= steps, "{begun} steps, {steps} before");
    engine.history().set_retention(Retention { max_messages: Some(100), max_age: None }).unwrap();
    let mut again = 0;
    let outcome = engine.train(&short_rows(), &CancelToken::new(), &mut |event| {
        if let LearnEvent::Started { steps, resumed_at, .. } = event {
            assert!(resumed_at > 0);
            again = steps;
        }
    });
    assert!(matches!(outcome.unwrap(), LearnOutcome::Finished(report) if report.resumed));
    assert_eq!(again, begun);
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
