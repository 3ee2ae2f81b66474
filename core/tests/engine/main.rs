//! The engine as an app uses it, on the embedded model: what is cancelled, closed, unloaded, switched and served meanwhile.

mod answers;
mod attending;
mod choosing;
mod conversing;
mod diverging;
mod ending;
mod own_samples;
mod refusals;
mod saving;
mod suspension;
mod training;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use idiolect::DeviceChoice;
use idiolect::engine::{CancelToken, Engine, EngineOptions, LearnOutcome, Prompt};
use idiolect::generate::{GenerateOptions, SamplingOptions};
use idiolect::history::{NewSample, read_jsonl};
use idiolect::personalize::{LearnReport, LearnSettings};
use idiolect::train::TrainOptions;

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings/cli/assets")
}

/// A profile with `messages` messages of the sample history.
fn engine(home: &Path, messages: usize) -> Engine {
    let options =
        EngineOptions { device: DeviceChoice::Cpu, ..EngineOptions::new(home.join("profile"), assets().join("base")) };
    let engine = Engine::open(options).unwrap();
    let samples: Vec<NewSample> = read_jsonl(&assets().join("history.jsonl")).unwrap().samples;
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

/// So many small steps.
fn settings(steps: usize) -> LearnSettings {
    LearnSettings {
        train: TrainOptions { steps: Some(steps), batch_samples: 4, ..TrainOptions::default() },
        checkpoint_every: Some(Duration::from_millis(50)),
        ..LearnSettings::default()
    }
}

fn finish(engine: &Engine, settings: &LearnSettings) -> LearnReport {
    match engine.train(settings, &CancelToken::new(), &mut |_| {}).unwrap() {
        LearnOutcome::Finished(report) => *report,
        other => panic!("{other:?}"),
    }
}

fn greedy(max_tokens: usize) -> GenerateOptions {
    GenerateOptions { max_tokens, sampling: SamplingOptions::greedy(), ..GenerateOptions::default() }
}

fn text(engine: &Engine, prompt: &str) -> String {
    let prompt = Prompt::Text(prompt.into());
    engine.generate(&prompt, &greedy(12), &CancelToken::new(), &mut |_| ControlFlow::Continue(())).unwrap().text
}
