//! `idiolect erase`.

use std::fmt::{self, Display};

use clap::Args;
use idiolect::profile::erase;
use idiolect::{Error, ErrorKind, Result};
use serde::Serialize;

use crate::args::ProfileArgs;
use crate::output::Output;

#[derive(Debug, Args)]
pub struct Erase {
    #[command(flatten)]
    profile: ProfileArgs,

    /// Really erase it: nothing of it can be had back
    #[arg(long)]
    yes: bool,
}

/// What went.
#[derive(Serialize)]
struct Report {
    files: u64,
    bytes: u64,
    left: Vec<String>,
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files, {} bytes erased", self.files, self.bytes)?;
        if !self.left.is_empty() {
            write!(f, "; left, being none of the profile's: {}", self.left.join(", "))?;
        }
        Ok(())
    }
}

impl Erase {
    pub fn run(&self, output: &Output) -> Result<()> {
        if !self.yes {
            let message = format!("{} would be erased for good", self.profile.profile.display());
            return Err(Error::new(ErrorKind::BadOption, message).with_hint("add --yes to erase it"));
        }
        let report = erase(&self.profile.profile)?;
        let total = report.total();
        let left = report.left.iter().map(|path| path.display().to_string()).collect();
        output.result(&Report { files: total.files, bytes: total.bytes, left })
    }
}
