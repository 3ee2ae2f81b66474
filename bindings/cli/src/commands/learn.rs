//! `idiolect train --profile`: learning from a profile's history, through the gate.

use std::fmt::{self, Display};
use std::path::Path;

use idiolect::engine::{CancelToken, EngineOptions, LearnOutcome, PauseReason};
use idiolect::gate::{Decision, Forgetting};
use idiolect::personalize::{DeviceStretch, LearnEvent, LearnReport, LearnSettings, Setback};
use idiolect::profile::{KeySource, Profile};
use idiolect::train::SampleCounts;
use idiolect::{DeviceChoice, Engine, Error, ErrorKind, Result};
use serde::Serialize;

use super::train::report_line;
use crate::output::{Output, Table, megabytes};
use crate::preparation::{Cut, planned_memory, worth_telling};
use crate::progress::Progress;

/// The object that `--json` ends with.
#[derive(Serialize)]
struct Report<'a> {
    candidate_sha256: Option<&'a str>,
    verdict: Decision,
    reason: String,
    held_out_before: Option<f64>,
    held_out_after: Option<f64>,
    gain: Option<f64>,
    gain_low: Option<f64>,
    gain_high: Option<f64>,
    forgetting: Option<f64>,
    forgetting_high: Option<f64>,
    forgetting_in: &'a [Forgetting],
    own_sampled_languages: &'a [String],
    unmeasured_languages: &'a [String],
    strength: f32,
    version: Option<u32>,
    steps: usize,
    setbacks: &'a [Setback],
    resumed: bool,
    unchanged: bool,
    bytes_written: u64,
    samples: SampleCounts,
    planned_bytes: usize,
    exceeded_budget_bytes: Option<usize>,
    device: &'a str,
    devices: &'a [DeviceStretch],
}

impl<'a> From<&'a LearnReport> for Report<'a> {
    fn from(report: &'a LearnReport) -> Self {
        let verdict = &report.verdict;
        Self {
            candidate_sha256: report.candidate_sha256.as_deref(),
            verdict: verdict.decision,
            reason: verdict.reason.to_string(),
            held_out_before: verdict.held_out_before,
            held_out_after: verdict.held_out_after,
            gain: verdict.gain.map(|gain| gain.value),
            gain_low: verdict.gain.map(|gain| gain.low),
            gain_high: verdict.gain.map(|gain| gain.high),
            forgetting: verdict.forgetting.map(|forgetting| forgetting.value),
            forgetting_high: verdict.forgetting.map(|forgetting| forgetting.high),
            forgetting_in: &verdict.forgetting_in,
            own_sampled_languages: &report.own_sampled_languages,
            unmeasured_languages: &report.unmeasured_languages,
            strength: report.strength,
            version: report.version,
            steps: report.summary.steps,
            setbacks: &report.setbacks,
            resumed: report.resumed,
            unchanged: report.unchanged,
            bytes_written: report.bytes_written,
            samples: report.counts,
            planned_bytes: report.summary.planned_bytes,
            exceeded_budget_bytes: report.summary.exceeded_budget,
            device: &report.device,
            devices: &report.devices,
        }
    }
}

impl Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![("verdict", format!("{}: {}", self.verdict, self.reason))];
        if let (Some(before), Some(after)) = (self.held_out_before, self.held_out_after) {
            rows.push(("held-out loss", format!("{before:.3} to {after:.3} nats a token")));
        }
        if let (Some(low), Some(high)) = (self.gain_low, self.gain_high) {
            rows.push(("gain", format!("between {low:.3} and {high:.3}")));
        }
        if let Some(high) = self.forgetting_high {
            let (own, generic): (Vec<&str>, Vec<&str>) = self
                .forgetting_in
                .iter()
                .map(|measured| measured.language.as_str())
                .partition(|language| self.own_sampled_languages.iter().any(|own| own == language));
            let own = if own.is_empty() { String::new() } else { format!(", on its own text ({})", own.join(", ")) };
            let generic = generic.join(", ");
            rows.push(("forgetting", format!("at most {:.1} % on generic text ({generic}){own}", 100.0 * high)));
        }
        if !self.unmeasured_languages.is_empty() {
            let languages = self.unmeasured_languages.join(", ");
            let why = "there is no generic text in it, and too little of the person's to have the model write some";
            rows.push(("not measured", format!("what is forgotten in {languages}: {why}")));
        }
        if let Some(version) = self.version {
            // Which one is in use by now is the person's choice.
            let what = if self.unchanged { "made" } else { "in use" };
            rows.push((what, format!("version {version} at strength {}", self.strength)));
        }
        rows.extend(self.setbacks.iter().map(|Setback { steps, learning_rate }| {
            ("set back", format!("after {steps} steps at a learning rate of {learning_rate}: the loss was no number"))
        }));
        if self.devices.len() > 1 {
            rows.push(("devices", self.device.to_owned()));
        }
        if self.bytes_written > 0 {
            rows.push(("written", format!("{} of checkpoints", megabytes(self.bytes_written as usize))));
        }
        rows.extend(worth_telling(self.samples).map(|counts| ("samples", Cut(counts).to_string())));
        if self.unchanged {
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
