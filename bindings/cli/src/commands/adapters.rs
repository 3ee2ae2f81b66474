//! `idiolect adapters`.

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use idiolect::personalize::delete_adapter;
use idiolect::registry::{Origin, Version};
use idiolect::{Error, ErrorKind, Result};
use serde::Serialize;

use super::merge::Merge;
use crate::args::ProfileArgs;
use crate::output::Output;

#[derive(Debug, Args)]
pub struct Adapters {
    #[command(subcommand)]
    command: AdaptersCommand,
}

#[derive(Debug, Subcommand)]
enum AdaptersCommand {
    /// List the versions
    List(ProfileArgs),
    /// Put a version to use
    Use(OneVersion),
    /// Use the base alone
    None(ProfileArgs),
    /// Go back to what was in use before
    Rollback(ProfileArgs),
    /// Set how strongly a version works, from 0 (the base's own bits) to 1
    Strength(Strength),
    /// Write a version at its strength, unsealed: a folder that PEFT loads, or one .tar file of it
    Export(Export),
    /// Take in an adapter's folder, or a .tar file of one
    Import(Import),
    /// Write a model folder with a version merged in, unsealed: it needs no adapter, here or in mlx-lm
    Merge(Merge),
    /// Delete a version
    Delete(OneVersion),
}

#[derive(Debug, Args)]
struct OneVersion {
    #[command(flatten)]
    profile: ProfileArgs,

    /// The version's number
    #[arg(id = "number", value_name = "VERSION")]
    version: u32,
}

#[derive(Debug, Args)]
struct Strength {
    #[command(flatten)]
    profile: ProfileArgs,

    /// From 0 to 1
    #[arg(allow_negative_numbers = true)]
    strength: f32,

    /// The version's number [default: of the one in use]
    #[arg(id = "number", long = "number", value_name = "VERSION")]
    version: Option<u32>,
}

#[derive(Debug, Args)]
struct Export {
    #[command(flatten)]
    profile: ProfileArgs,

    /// The folder or .tar file to write
    destination: PathBuf,

    /// The base model that it was trained on
    #[arg(long)]
    model: PathBuf,

    /// The version's number [default: of the one in use]
    #[arg(id = "number", long = "number", value_name = "VERSION")]
    version: Option<u32>,
}

#[derive(Debug, Args)]
struct Import {
    #[command(flatten)]
    profile: ProfileArgs,

    /// The folder or .tar file to read
    source: PathBuf,

    /// The base model that it was trained on
    #[arg(long)]
    model: PathBuf,
}

/// A version, as `adapters list` prints it.
#[derive(Serialize)]
struct Row<'a> {
    version: u32,
    active: bool,
    created: i64,
    origin: Origin,
    strength: f32,
    base_fingerprint: &'a str,
    sha256: &'a str,
    learned_from_removed: bool,
}

impl<'a> Row<'a> {
    fn new(version: &'a Version, active: Option<u32>) -> Self {
        Self {
            version: version.version,
            active: active == Some(version.version),
            created: version.created,
            origin: version.origin,
            strength: version.strength,
            base_fingerprint: &version.base_fingerprint,
            sha256: &version.sha256,
            learned_from_removed: version.learned_from_removed,
        }
    }
}

impl Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = match self.origin {
            Origin::Trained => "trained",
            Origin::Imported => "imported",
        };
        let mark = if self.active { "*" } else { " " };
        write!(f, "{mark} {:>4}  {origin}, strength {}", self.version, self.strength)?;
        if self.learned_from_removed {
            write!(f, "; learned from text that was removed since: train again")?;
        }
        Ok(())
    }
}

/// What is in use after a change.
#[derive(Serialize)]
struct InUse {
    active: Option<u32>,
}

impl Display for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.active {
            Some(version) => write!(f, "version {version} is in use"),
            None => f.write_str("the base alone is in use"),
        }
    }
}

/// A version that was made or written.
#[derive(Serialize)]
struct Done {
    version: u32,
}

impl Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {}", self.version)
    }
}

impl Adapters {
    pub fn run(&self, output: &Output) -> Result<()> {
        match &self.command {
            AdaptersCommand::List(profile) => {
                let state = profile.adapters()?.state()?;
                state.versions.iter().try_for_each(|version| output.result(&Row::new(version, state.active)))
            }
            AdaptersCommand::Use(OneVersion { profile, version }) => activate(output, profile, Some(*version)),
            AdaptersCommand::None(profile) => activate(output, profile, None),
            AdaptersCommand::Rollback(profile) => output.result(&InUse { active: profile.adapters()?.rollback()? }),
            AdaptersCommand::Strength(strength) => {
                let version = version(&strength.profile, strength.version)?;
                strength.profile.adapters()?.set_strength(version, strength.strength)?;
                output.result(&Done { version })
            }
            AdaptersCommand::Export(export) => {
                let version = version(&export.profile, export.version)?;
                let model = Arc::new(export.profile.open()?.open_model(&export.model)?);
                export.profile.adapters()?.export(version, &model, &export.destination)?;
                output.result(&Done { version })
            }
            AdaptersCommand::Import(import) => {
                let model = import.profile.open()?.open_model(&import.model)?;
                output.result(&Done { version: import.profile.adapters()?.import(&import.source, &model)? })
            }
            AdaptersCommand::Merge(merge) => merge.run(output),
            AdaptersCommand::Delete(OneVersion { profile, version }) => {
                let profile = profile.open()?;
                delete_adapter(&profile, *version)?;
                output.result(&InUse { active: profile.registry()?.state()?.active })
            }
        }
    }
}

fn activate(output: &Output, profile: &ProfileArgs, version: Option<u32>) -> Result<()> {
    profile.adapters()?.activate(version)?;
    output.result(&InUse { active: version })
}

/// The version that is meant: the one in use where none is named.
pub(super) fn version(profile: &ProfileArgs, named: Option<u32>) -> Result<u32> {
    let active = || profile.adapters()?.state().map(|state| state.active);
    match named {
        Some(version) => Ok(version),
        None => active()?.ok_or_else(|| {
            Error::new(ErrorKind::BadOption, "no version is in use").with_hint("name one with --number")
        }),
    }
}
