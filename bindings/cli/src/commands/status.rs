//! `idiolect status`.

use std::fmt::{self, Display};
use std::path::PathBuf;

use clap::Args;
use idiolect::gate::GateSettings;
use idiolect::personalize::{self, InUse, LearnReport};
use idiolect::{Model, Result};
use serde::Serialize;

use crate::args::ProfileArgs;
use crate::output::{Output, Table, day};

/// Sources that people are shown; the others are counted.
const SOURCES: usize = 10;

#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    profile: ProfileArgs,

    /// The base model, to say whether the adapter in use was made for it
    #[arg(long)]
    model: Option<PathBuf>,
}

/// A profile at a glance.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    status: personalize::Status,
    /// The last training's, in words.
    last_verdict: Option<String>,
    next_worthwhile: bool,
    /// What would make the next training worthwhile, in words.
    next_explanation: String,
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = &self.status;
        let mut rows = vec![("messages", self.messages())];
        rows.extend(self.sources().into_iter().map(|source| ("", source)));
        rows.push(("to learn from", self.parts()));
        rows.push(("adapter versions", status.versions.to_string()));
        let report = status.in_use.as_ref().and_then(|version| version.report.as_ref());
        rows.push(("in use", self.in_use()));
        rows.extend(report.map(|report| ("learned from", learned_from(report))));
        rows.extend(report.and_then(gained).map(|gained| ("gained", gained)));
        let training = match (status.training, status.paused_training) {
            (true, _) => "under way",
            (false, true) => "paused; the next one goes on from its checkpoint",
            (false, false) => "none under way",
        };
        rows.push(("training", training.into()));
        rows.push(("last verdict", self.last_verdict.clone().unwrap_or_else(|| "none yet".into())));
        rows.push(("next training", self.next_explanation.clone()));
        Table(&rows).fmt(f)
    }
}

impl Report {
    fn messages(&self) -> String {
        let status = &self.status;
        let Some((first, last)) = status.period else { return "none yet".into() };
        format!("{}, {} different; {}", status.messages, status.texts, span(first, last))
    }

    /// The messages of each app or field, where more than one or a name tells them apart.
    fn sources(&self) -> Vec<String> {
        let sources = &self.status.sources;
        if let [only] = &sources[..]
            && only.source.is_none()
        {
            return Vec::new();
        }
        let line = |tally: &idiolect::history::SourceTally| {
            let name = tally.source.as_deref().unwrap_or("(no source)");
            format!("{name}: {}; {}", tally.messages, span(tally.period.0, tally.period.1))
        };
        let mut lines: Vec<String> = sources.iter().take(SOURCES).map(line).collect();
        if sources.len() > SOURCES {
            lines.push(format!("and {} more sources", sources.len() - SOURCES));
        }
        lines
    }

    fn parts(&self) -> String {
        let status = &self.status;
        format!(
            "{} train, {} validate, {} are held out ({} independent)",
            status.trains.samples, status.validates.samples, status.held_out.samples, status.held_out_units
        )
    }

    fn in_use(&self) -> String {
        match (&self.status.in_use, self.status.stale) {
            (None, _) => "the base alone".into(),
            (Some(InUse { version, .. }), Some(true)) => {
                format!("none: version {version} was made for another model, train again")
            }
            (Some(version), _) => {
                let marked = if version.learned_from_removed { "; learned from what was removed since" } else { "" };
                let (number, strength) = (version.version, version.strength);
                format!("version {number} at strength {strength}, made {}{marked}", day(version.created))
            }
        }
    }
}

fn learned_from(report: &LearnReport) -> String {
    let [training, validation, held_out] = report.samples;
    format!("{training} messages, {validation} to validate, {held_out} held out; on {}", report.device)
}

fn gained(report: &LearnReport) -> Option<String> {
    let verdict = &report.verdict;
    let (gain, before, after) = (verdict.gain?, verdict.held_out_before?, verdict.held_out_after?);
    Some(format!(
        "{:.3} nats a token on held-out text (between {:.3} and {:.3}): {before:.3} to {after:.3}",
        gain.value, gain.low, gain.high
    ))
}

/// From one day to another.
fn span(first: i64, last: i64) -> String {
    let (first, last) = (day(first), day(last));
    if first == last { first } else { format!("{first} to {last}") }
}

impl Status {
    pub fn run(&self, output: &Output) -> Result<()> {
        let profile = self.profile.open()?;
        let model = self.model.as_deref().map(|path| profile.open_model(path)).transpose()?;
        let fingerprint = model.as_ref().map(Model::fingerprint);
        let status = personalize::status(&profile, &GateSettings::default(), fingerprint)?;
        let last = status.last_training.as_ref().map(|report| &report.verdict);
        output.result(&Report {
            last_verdict: last.map(|verdict| format!("{}: {}", verdict.decision, verdict.reason)),
            next_worthwhile: status.next_training.is_worthwhile(),
            next_explanation: status.next_training.to_string(),
            status,
        })
    }
}
