//! `idiolect status`.

use std::fmt::{self, Display};

use clap::Args;
use idiolect::personalize::last_report;
use idiolect::{ErrorKind, Result};
use serde::Serialize;

use crate::args::ProfileArgs;
use crate::output::{Output, Table};

#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    profile: ProfileArgs,
}

/// A profile at a glance.
#[derive(Serialize)]
struct Report {
    messages: u64,
    versions: usize,
    active: Option<u32>,
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
        Table(&[
            ("messages", self.messages.to_string()),
            ("adapter versions", self.versions.to_string()),
            ("in use", self.active.map_or_else(|| "the base alone".into(), |version| format!("version {version}"))),
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
        let training = match profile.lock_training() {
            Ok(_) => false,
            Err(error) if error.kind() == ErrorKind::TrainingBusy => true,
            Err(error) => return Err(error),
        };
        let last = last_report(&profile)?;
        output.result(&Report {
            messages: profile.history().stats()?.total.messages,
            versions: state.versions.len(),
            active: state.active,
            training,
            paused_training: idiolect::personalize::is_paused(&profile)?,
            last_verdict: last.map(|report| format!("{}: {}", report.verdict.decision, report.verdict.reason)),
        })
    }
}
