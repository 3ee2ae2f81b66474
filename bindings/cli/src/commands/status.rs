//! `idiolect status`.

use std::fmt::{self, Display};
use std::path::PathBuf;

use clap::Args;
use idiolect::personalize::last_report;
use idiolect::{Model, Result};
use serde::Serialize;

use crate::args::ProfileArgs;
use crate::output::{Output, Table};

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
    messages: u64,
    versions: usize,
    active: Option<u32>,
    /// Whether it was made for another model than the one named; none without a model.
    stale: Option<bool>,
    training: bool,
    paused_training: bool,
    last_verdict: Option<String>,
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let training = match (self.training, self.paused_training) {
            (true, _) => "under way",
            (false, true) => "paused; the next one goes on from its checkpoint",
            (false, false) => "none under way",
        };
        let in_use = match (self.active, self.stale) {
            (None, _) => "the base alone".into(),
            (Some(version), Some(true)) => format!("none: version {version} was made for another model, train again"),
            (Some(version), _) => format!("version {version}"),
        };
        Table(&[
            ("messages", self.messages.to_string()),
            ("adapter versions", self.versions.to_string()),
            ("in use", in_use),
            ("training", training.into()),
            ("last verdict", self.last_verdict.clone().unwrap_or_else(|| "none yet".into())),
        ])
        .fmt(f)
    }
}

impl Status {
    pub fn run(&self, output: &Output) -> Result<()> {
        let profile = self.profile.open()?;
        let state = self.profile.adapters()?.state()?;
        let model = self.model.as_deref().map(Model::open).transpose()?;
        let last = last_report(&profile)?;
        output.result(&Report {
            messages: profile.history().stats()?.total.messages,
            versions: state.versions.len(),
            active: state.active,
            stale: model.map(|model| state.stale(model.fingerprint()).is_some()),
            training: profile.is_training()?,
            paused_training: idiolect::personalize::is_paused(&profile)?,
            last_verdict: last.map(|report| format!("{}: {}", report.verdict.decision, report.verdict.reason)),
        })
    }
}
