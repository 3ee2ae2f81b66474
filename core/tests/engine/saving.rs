//! Checkpoints at an app's call, and what lies beside them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use idiolect::ErrorKind;
use idiolect::engine::{CancelToken, Engine, LearnOutcome, PauseReason};
use idiolect::history::Selection;
use idiolect::personalize::{DropReason, LearnEvent, LearnReport, LearnSettings, is_paused};

use super::{copy_folder, engine, finish, settings};

/// Settings under which no checkpoint comes by time.
fn by_call() -> LearnSettings {
    LearnSettings { checkpoint_every: Some(Duration::from_secs(3600)), ..settings(30) }
}

/// What lies in a profile's folder of checkpoints.
fn files(engine: &Engine) -> Vec<String> {
    let folder = engine.profile().checkpoints().unwrap();
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_call_saves_what_is_trained_and_the_training_goes_on() {
    // The call comes at the first step of which it is true, or in the midst of the measuring.
    type Moment = fn(&LearnEvent) -> bool;
    let moments: [(&str, Moment); 2] = [
        ("training", |event| matches!(event, LearnEvent::Step(report) if report.step == 3)),
        ("measuring", |event| matches!(event, LearnEvent::Measuring { done, total } if 0 < *done && done < total)),
    ];
    for (what, moment) in moments {
        let homes = [(); 2].map(|()| tempfile::tempdir().unwrap());
        engine(homes[0].path(), 120).close();
        let [profile, killed] = homes.each_ref().map(|home| home.path().join("profile"));
        copy_folder(&profile, &killed);
        let engine_of = |home: &Path| engine(home, 0);
        let engine = engine_of(homes[0].path());
        engine.save_progress().unwrap();
        let mut called = false;
        let outcome = engine.train(&by_call(), &CancelToken::new(), &mut |event| {
            if moment(&event) && !called {
                called = true;
                engine.save_progress().unwrap();
                // What a kill leaves.
                let _ = fs::remove_dir_all(killed.join("checkpoints"));
                copy_folder(&profile.join("checkpoints"), &killed.join("checkpoints"));
            }
        });
        let LearnOutcome::Finished(whole) = outcome.unwrap() else { panic!("paused") };
        assert!(called && !whole.resumed, "{what}");
        engine.save_progress().unwrap();

        let engine = engine_of(homes[1].path());
        let mut resumed_at = None;
        let outcome = engine.train(&by_call(), &CancelToken::new(), &mut |event| {
            if let LearnEvent::Started { resumed_at: at, .. } = event {
                resumed_at = Some(at);
            }
        });
        let LearnOutcome::Finished(report) = outcome.unwrap() else { panic!("paused") };
        assert!(report.resumed, "{what}");
        assert!(
            if what == "training" { resumed_at >= Some(3) } else { resumed_at.is_none() },
            "{what}: {resumed_at:?}"
        );
        assert_eq!((&report.candidate_sha256, &report.verdict), (&whole.candidate_sha256, &whole.verdict), "{what}");
        // All processes together wrote what one would have, but for the digits of their notes.
        assert!(whole.bytes_written > 0, "{what}");
        assert!(report.bytes_written.abs_diff(whole.bytes_written) < 1000, "{what}: {report:?}, {whole:?}");
        engine.close();
        engine.save_progress().unwrap();
    }
}

#[test]
fn a_call_hears_that_the_disk_refuses() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 120);
    let mut refused = None;
    let outcome = engine.train(&by_call(), &CancelToken::new(), &mut |event| {
        if matches!(event, LearnEvent::Step(report) if report.step == 1) {
            // A folder lies where the checkpoint would.
            for name in ["training-a", "training-b"] {
                fs::create_dir_all(engine.profile().checkpoints().unwrap().join(name).join("x")).unwrap();
            }
            refused = engine.save_progress().err();
        }
    });
    let refused = refused.expect("an error");
    assert_eq!(refused.kind(), ErrorKind::Io);
    assert_eq!(outcome.unwrap_err(), refused);
}

/// Pauses a training in its second epoch.
fn pause(engine: &Engine) {
    let (cancel, mut epochs) = (CancelToken::new(), 0);
    let outcome = engine.train(&by_call(), &cancel, &mut |event| match event {
        LearnEvent::Epoch { .. } => epochs += 1,
        LearnEvent::Step(_) if epochs > 0 => cancel.cancel(),
        _ => {}
    });
    assert_eq!(outcome.unwrap(), LearnOutcome::Paused(PauseReason::Cancelled));
}

fn trained(engine: &Engine) -> (LearnReport, Vec<DropReason>) {
    let mut dropped = Vec::new();
    let outcome = engine.train(&by_call(), &CancelToken::new(), &mut |event| {
        if let LearnEvent::CheckpointDropped(reason) = event {
            dropped.push(reason);
        }
    });
    let LearnOutcome::Finished(report) = outcome.unwrap() else { panic!("paused") };
    (*report, dropped)
}

#[test]
fn the_best_epoch_lies_beside_the_checkpoints_and_goes_with_them() {
    let homes = [(); 2].map(|()| tempfile::tempdir().unwrap());
    engine(homes[0].path(), 120).close();
    copy_folder(&homes[0].path().join("profile"), &homes[1].path().join("profile"));
    let whole = finish(&engine(homes[0].path(), 0), &by_call());
    let paused = |checked: &dyn Fn(&Engine)| {
        let home = tempfile::tempdir().unwrap();
        copy_folder(&homes[1].path().join("profile"), &home.path().join("profile"));
        let engine = engine(home.path(), 0);
        pause(&engine);
        let names = files(&engine);
        assert!(names.iter().any(|name| name.starts_with("best-epoch-")), "{names:?}");
        checked(&engine);
    };
    paused(&|engine| {
        let (report, dropped) = trained(engine);
        assert_eq!((report.resumed, dropped), (true, vec![]));
        assert_eq!(report.candidate_sha256, whole.candidate_sha256);
        assert_eq!(files(engine), ["last-training", "timesheet"]);
    });
    // Damaged, it costs the training; gone, as well.
    for damage in [&|path: &Path| fs::write(path, b"x").unwrap(), &|path: &Path| fs::remove_file(path).unwrap()]
        as [&dyn Fn(&Path); 2]
    {
        paused(&|engine| {
            let folder = engine.profile().checkpoints().unwrap();
            files(engine).iter().filter(|name| name.starts_with("best")).for_each(|name| damage(&folder.join(name)));
            let (report, dropped) = trained(engine);
            assert_eq!((report.resumed, dropped), (false, vec![DropReason::Damaged]));
            assert_eq!(report.candidate_sha256, whole.candidate_sha256);
        });
    }
    // What was removed from the history may be known to it.
    paused(&|engine| {
        let latest = engine.history().list(None, 1).unwrap()[0].id;
        assert!(engine.remove_from_history(&Selection::Samples(vec![latest])).unwrap().checkpoint_dropped);
        assert_eq!((files(engine), is_paused(engine.profile()).unwrap()), (vec!["timesheet".to_owned()], false));
    });
    // Left by a process that was killed before its first checkpoint, it is no training's.
    paused(&|engine| {
        let folder = engine.profile().checkpoints().unwrap();
        files(engine)
            .iter()
            .filter(|name| !name.starts_with("best"))
            .for_each(|name| fs::remove_file(folder.join(name)).unwrap());
        let (report, dropped) = trained(engine);
        assert_eq!(
            (report.resumed, dropped, files(engine)),
            (false, vec![], ["last-training", "timesheet"].map(String::from).to_vec())
        );
    });
}
