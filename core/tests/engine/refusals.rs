//! Texts that the model refuses, of which one must not keep the others from being learned.

use std::fs;
use std::path::{Path, PathBuf};

use idiolect::DeviceChoice;
use idiolect::engine::{AdapterChoice, CancelToken, Engine, EngineOptions};
use idiolect::history::NewSample;
use idiolect::samples::TextRow;

use super::{assets, copy_folder, finish, settings};

/// The embedded model with a chat template that refuses what answers something with `refused` in it.
fn picky_model(home: &Path, refused: &str) -> PathBuf {
    let model = home.join("model");
    copy_folder(&assets().join("base"), &model);
    let refusal = format!("{{% if '{refused}' in m.content %}}{{{{ raise_exception('no such words') }}}}{{% endif %}}");
    let turn = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n";
    fs::write(model.join("chat_template.jinja"), format!("{{% for m in messages %}}{refusal}{turn}{{% endfor %}}"))
        .unwrap();
    model
}

/// An engine with a history of 120 answers; every fourth answers what has `zebra` in it.
fn answers(home: &Path, model: &Path) -> Engine {
    let options = EngineOptions { device: DeviceChoice::Cpu, ..EngineOptions::new(home.join("profile"), model) };
    let engine = Engine::open(options).unwrap();
    let samples = idiolect::history::read_jsonl(&assets().join("history.jsonl")).unwrap().samples;
    let answer = |(number, sample): (usize, NewSample)| {
        let asked = if number % 4 == 0 { "did you see the zebra?" } else { "did you see the ducks?" };
        NewSample { context: Some(format!("{asked} {number}")), ..sample }
    };
    let answers: Vec<NewSample> = samples.into_iter().take(120).enumerate().map(answer).collect();
    engine.history().add(&answers).unwrap();
    engine
}

#[test]
fn refused_texts_are_left_out_and_counted_wherever_they_lie() {
    let home = tempfile::tempdir().unwrap();
    let engine = answers(home.path(), &picky_model(home.path(), "zebra"));
    let report = finish(&engine, &settings(2));
    let counts = report.counts;
    assert_eq!((counts.texts, counts.refused, counts.samples), (120, 30, 90), "{counts:?}");
    assert_eq!(report.samples.iter().sum::<usize>(), 90);
    assert!(report.samples.iter().all(|texts| *texts > 0), "{:?}", report.samples);
    assert_eq!(finish(&engine, &settings(2)).counts, counts);

    let row = |context: &str| TextRow::new("on my way", Some(context.into()));
    let measure = |rows: &[TextRow]| engine.evaluate(rows, &AdapterChoice::base(), &CancelToken::new());
    let (both, one) = (measure(&[row("a zebra?"), row("a duck?")]).unwrap(), measure(&[row("a duck?")]).unwrap());
    assert_eq!((both.counts.texts, both.counts.refused, both.nll), (2, 1, one.nll));
    let refusal = measure(&[row("a zebra?"), TextRow::new(" ", None)]).unwrap_err();
    assert!(refusal.message().contains("refuses the conversation"), "{refusal}");
}

#[test]
fn a_template_that_refuses_every_text_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let engine = answers(home.path(), &picky_model(home.path(), "did you see"));
    let error = engine.train(&settings(2), &CancelToken::new(), &mut |_| {}).unwrap_err();
    assert!(error.message().contains("refuses the conversation"), "{error}");
}
