//! `idiolect train --profile`: learning from a profile's history, through the gate.

use std::fmt::{self, Display};
use std::path::Path;

use idiolect::engine::{CancelToken, EngineOptions, LearnOutcome, PauseReason};
use idiolect::personalize::{LearnEvent, LearnReport, LearnSettings, Setback};
use idiolect::profile::{KeySource, Profile};
use idiolect::{DeviceChoice, Engine, Error, ErrorKind, Result};
use serde::Serialize;

use super::train::report_line;
use crate::output::{Output, Table, megabytes};
use crate::preparation::{Cut, planned_memory, worth_telling};
use crate::progress::Progress;

/// The object that `--json` ends with: the library's own report, and its verdict in words.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    report: &'a LearnReport,
    reason: String,
}

impl<'a> From<&'a LearnReport> for Report<'a> {
    fn from(report: &'a LearnReport) -> Self {
        Self { report, reason: report.verdict.reason.to_string() }
    }
}

impl Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { report, reason } = self;
        let verdict = &report.verdict;
        let mut rows = vec![("verdict", format!("{}: {reason}", verdict.decision))];
        if let (Some(before), Some(after)) = (verdict.held_out_before, verdict.held_out_after) {
            rows.push(("held-out loss", format!("{before:.3} to {after:.3} nats a token")));
        }
        if let Some(gain) = verdict.gain {
            rows.push(("gain", format!("between {:.3} and {:.3}", gain.low, gain.high)));
        }
        if let Some(forgetting) = verdict.forgetting {
            let (own, generic): (Vec<&str>, Vec<&str>) = verdict
                .forgetting_in
                .iter()
                .map(|measured| measured.language.as_str())
                .partition(|language| report.own_sampled_languages.iter().any(|own| own == language));
            let own = if own.is_empty() { String::new() } else { format!(", on its own text ({})", own.join(", ")) };
            let generic = generic.join(", ");
            rows.push((
                "forgetting",
                format!("at most {:.1} % on generic text ({generic}){own}", 100.0 * forgetting.high),
            ));
        }
        if !report.unmeasured_languages.is_empty() {
            let languages = report.unmeasured_languages.join(", ");
            let why = "there is no generic text in it, and too little of the person's to have the model write some";
            rows.push(("not measured", format!("what is forgotten in {languages}: {why}")));
        }
        if let Some(version) = report.version {
            // Which one is in use by now is the person's choice.
            let what = if report.unchanged { "made" } else { "in use" };
            rows.push((what, format!("version {version} at strength {}", report.strength)));
        }
        rows.extend(report.setbacks.iter().map(|Setback { steps, learning_rate }| {
            ("set back", format!("after {steps} steps at a learning rate of {learning_rate}: the loss was no number"))
        }));
        if report.devices.len() > 1 {
            rows.push(("devices", report.device.clone()));
        }
        if report.bytes_written > 0 {
            rows.push(("written", format!("{} of checkpoints", megabytes(report.bytes_written as usize))));
        }
        rows.extend(worth_telling(report.counts).map(|counts| ("samples", Cut(counts).to_string())));
        if report.unchanged {
            rows.push(("unchanged", "nothing was added or set since the last training".into()));
        }
        Table(&rows).fmt(f)
    }
}

/// Trains on the history of a profile, or goes on where an earlier run was ended.
pub fn run(
    output: &Output,
    profile: &Path,
    model: &Path,
    device: DeviceChoice,
    settings: &LearnSettings,
) -> Result<()> {
    drop(Profile::open(profile, &KeySource::Beside)?);
    let engine = Engine::open(EngineOptions { device, ..EngineOptions::new(profile, model) })?;
    let mut training = Progress::new(output, "training");
    let mut measuring = Progress::new(output, "measuring");
    let mut total = 0;
    let outcome = engine.train(settings, &CancelToken::new(), &mut |event| match event {
        LearnEvent::Started { steps, resumed_at, planned_bytes, exceeded_budget, device } => {
            output.note(&planned_memory(planned_bytes, exceeded_budget));
            total = steps;
            if resumed_at > 0 {
                output.note(&format!("going on at step {resumed_at} of {steps} on {device}"));
            }
        }
        LearnEvent::Step(report) => training.reach(report.step, total, report_line(&report)),
        LearnEvent::Epoch { epoch, validation_nll } => {
            output.note(&format!("epoch {epoch}: validation loss {validation_nll:.3} nats a token"));
        }
        LearnEvent::Measuring { done, total } => measuring.reach(done, total, ""),
        LearnEvent::SetBack { steps, learning_rate } => output.note(&format!(
            "after {steps} steps the loss is no number; beginning again at a learning rate of {learning_rate}"
        )),
        LearnEvent::CheckpointDropped(reason) => output.note(&format!("the checkpoint was dropped: {reason}")),
        LearnEvent::CheckpointDamaged => output.note("the newest checkpoint is damaged; the one before it is used"),
        _ => {}
    })?;
    drop((training, measuring));
    match outcome {
        LearnOutcome::Finished(report) => output.result(&Report::from(&*report)),
        LearnOutcome::Failed(report) => {
            output.result(&Report::from(&*report))?;
            let why = format!("the training failed: {}", report.verdict.reason);
            Err(Error::new(ErrorKind::NotFinite, why).with_hint("give a lower --lr, or another model"))
        }
        LearnOutcome::Paused(reason) => {
            let why = match reason {
                PauseReason::DeviceLost => "the device was lost",
                _ => "the training was paused",
            };
            Err(Error::new(ErrorKind::Device, why).with_hint("run the command again: it goes on where it stopped"))
        }
    }
}
