//! Losses that are no number: a training begins again with a lower learning rate, and fails after a few tries.

use std::fs;
use std::path::{Path, PathBuf};

use idiolect::DeviceChoice;
use idiolect::adapter::LoraOptions;
use idiolect::engine::{CancelToken, Engine, EngineOptions, LearnOutcome, PauseReason};
use idiolect::gate::{Decision, Reason};
use idiolect::history::NewSample;
use idiolect::personalize::{LearnEvent, LearnReport, LearnSettings, is_paused, last_report};
use idiolect::train::{Schedule, TrainOptions};

use super::{assets, copy_folder, engine, settings};

/// Settings under which the adapter outgrows what a float holds within a step or two, the sooner the larger its scale.
fn steep(alpha: f64) -> LearnSettings {
    let schedule = Schedule { warmup: 0, ..TrainOptions::default().schedule };
    let train = TrainOptions { steps: Some(4), schedule, ..TrainOptions::default() };
    LearnSettings { train, lora: LoraOptions { alpha: Some(alpha), ..LoraOptions::default() }, ..settings(4) }
}

/// What a training told while it went on.
#[derive(Debug, Default, PartialEq)]
struct Told {
    starts: usize,
    setbacks: Vec<(usize, f32)>,
}

/// Trains, and where `pausing` is set, pauses at every setback and goes on.
fn train(engine: &Engine, settings: &LearnSettings, pausing: bool) -> (LearnOutcome, Told) {
    let mut told = Told::default();
    loop {
        let cancel = CancelToken::new();
        let outcome = engine.train(settings, &cancel, &mut |event| match event {
            LearnEvent::Started { .. } => told.starts += 1,
            LearnEvent::SetBack { steps, learning_rate } => {
                told.setbacks.push((steps, learning_rate));
                if pausing {
                    cancel.cancel();
                }
            }
            _ => {}
        });
        match outcome.unwrap() {
            LearnOutcome::Paused(PauseReason::Cancelled) => {}
            outcome => return (outcome, told),
        }
    }
}

/// The same profile twice: another key would split the history otherwise.
fn twins(homes: [&Path; 2]) -> [Engine; 2] {
    engine(homes[0], 60).close();
    copy_folder(&homes[0].join("profile"), &homes[1].join("profile"));
    homes.map(|home| engine(home, 0))
}

/// The rates of the tries that were given up: each a quarter of the one before.
fn tried(report: &LearnReport) -> Vec<f32> {
    let rates: Vec<f32> = report.setbacks.iter().map(|setback| setback.learning_rate).collect();
    assert_eq!(rates.first(), Some(&2e-3), "{rates:?}");
    assert!(rates.windows(2).all(|pair| pair[1] == pair[0] / 4.0), "{rates:?}");
    rates
}

#[test]
fn a_lower_rate_is_tried_to_the_same_bits_wherever_it_is_paused() {
    let homes = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [whole, paused] = twins(homes.each_ref().map(|home| home.path()));
    let (LearnOutcome::Finished(expected), told) = train(&whole, &steep(5e7), false) else { panic!("no end") };
    let rates = tried(&expected);
    assert!((1..=3).contains(&rates.len()), "{expected:?}");
    assert_eq!((told.starts, told.setbacks.len()), (rates.len() + 1, rates.len()));
    assert_eq!(told.setbacks[0], (expected.setbacks[0].steps, 5e-4));
    let (LearnOutcome::Finished(report), again) = train(&paused, &steep(5e7), true) else { panic!("no end") };
    assert!(report.resumed && again.setbacks == told.setbacks, "{again:?}");
    assert_eq!(report.setbacks, expected.setbacks);
    assert_eq!((report.candidate_sha256, report.verdict), (expected.candidate_sha256, expected.verdict));
}

#[test]
fn a_training_that_no_rate_saves_fails_once_and_for_all() {
    let homes = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [whole, paused] = twins(homes.each_ref().map(|home| home.path()));
    let (LearnOutcome::Failed(failed), told) = train(&whole, &steep(1e10), false) else { panic!("it did not fail") };
    assert_eq!((tried(&failed).len(), told.setbacks.len(), told.starts), (4, 3, 4));
    let last = failed.setbacks[3];
    assert_eq!(failed.verdict.reason, Reason::Diverged { steps: last.steps, tries: 4 });
    assert_eq!((failed.verdict.decision, failed.version), (Decision::Rejected, None));
    // However often it is paused, the tries are counted.
    let (LearnOutcome::Failed(report), again) = train(&paused, &steep(1e10), true) else { panic!("it did not fail") };
    assert_eq!((&report.setbacks, again.setbacks), (&failed.setbacks, told.setbacks));

    // On the same history it is not tried again; on another it is.
    assert!(!is_paused(whole.profile()).unwrap());
    assert_eq!(last_report(whole.profile()).unwrap().as_ref(), Some(&*failed));
    let (LearnOutcome::Failed(unchanged), told) = train(&whole, &steep(1e10), false) else { panic!("another end") };
    assert_eq!((told, *unchanged), (Told::default(), LearnReport { unchanged: true, ..*failed }));
    whole.history().add(&[NewSample::new("one message more, and it trains again")]).unwrap();
    assert_eq!(train(&whole, &steep(1e10), false).1.starts, 4);
}

/// The embedded model with a scale that is no number.
fn damaged_model(home: &Path) -> PathBuf {
    let model = home.join("model");
    copy_folder(&assets().join("base"), &model);
    let file = model.join("model.safetensors");
    let mut weights = fs::read(&file).unwrap();
    let header = 8 + u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    let tensors: serde_json::Value = serde_json::from_slice(&weights[8..header]).unwrap();
    let (_, scales) = tensors.as_object().unwrap().iter().find(|(name, _)| name.ends_with("down_proj.scales")).unwrap();
    let place = header + scales["data_offsets"][0].as_u64().unwrap() as usize;
    // All bits set is NaN in f16, bf16 and f32.
    weights[place..place + 4].fill(0xff);
    fs::write(&file, weights).unwrap();
    model
}

#[test]
fn a_base_whose_loss_is_no_number_fails_at_once() {
    let home = tempfile::tempdir().unwrap();
    engine(home.path(), 60).close();
    let options = EngineOptions::new(home.path().join("profile"), damaged_model(home.path()));
    let engine = Engine::open(EngineOptions { device: DeviceChoice::Cpu, ..options }).unwrap();
    let (LearnOutcome::Failed(report), told) = train(&engine, &settings(4), false) else { panic!("it did not fail") };
    assert_eq!((told.starts, told.setbacks.len()), (1, 0));
    assert_eq!(report.verdict.reason, Reason::Diverged { steps: 0, tries: 1 });
    assert!(report.verdict.reason.to_string().contains("the model"), "{}", report.verdict.reason);
}
