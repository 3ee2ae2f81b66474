//! `idiolect profile`: a whole profile on its way to another device.

use std::fmt::{self, Display};
use std::fs::File;
use std::io::{BufRead, BufReader, stdin};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use idiolect::profile::KeySource;
use idiolect::{Error, ErrorKind, Result};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::args::ProfileArgs;
use crate::output::Output;

#[derive(Debug, Args)]
pub struct Profile {
    #[command(subcommand)]
    command: ProfileCommand,
}

#[derive(Debug, Subcommand)]
enum ProfileCommand {
    /// Write history, adapters and checkpoints to one file under a passphrase
    Export(Export),
    /// Make a profile of such a file
    Import(Import),
    /// Take a history that was put back from a backup as it is, with what was removed since
    AcceptHistory(ProfileArgs),
}

#[derive(Debug, Args)]
struct Export {
    #[command(flatten)]
    profile: ProfileArgs,

    /// The file to write; one that lies there is replaced
    archive: PathBuf,

    #[command(flatten)]
    passphrase: PassphraseArgs,
}

#[derive(Debug, Args)]
struct Import {
    /// The file to read
    archive: PathBuf,

    /// The folder of the new profile
    #[arg(value_name = "PROFILE")]
    profile: PathBuf,

    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Never as an argument: other users see those.
#[derive(Debug, Args)]
struct PassphraseArgs {
    /// The file whose first line is the passphrase; - for standard input
    #[arg(long, value_name = "FILE")]
    passphrase_file: PathBuf,
}

impl PassphraseArgs {
    fn read(&self) -> Result<Zeroizing<String>> {
        let file = &self.passphrase_file;
        let mut line = Zeroizing::new(String::new());
        let read = match file == Path::new("-") {
            true => stdin().read_line(&mut line),
            false => File::open(file).and_then(|file| BufReader::new(file).read_line(&mut line)),
        };
        read.map_err(|cause| Error::new(ErrorKind::Io, format!("{}: {cause}", file.display())))?;
        let length = line.trim_end_matches(['\r', '\n']).len();
        line.truncate(length);
        Ok(line)
    }
}

/// What an archive holds.
#[derive(Serialize)]
struct Exported {
    path: PathBuf,
    files: u64,
    bytes: u64,
}

impl Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files, {} bytes in {}", self.files, self.bytes, self.path.display())
    }
}

/// What came out of one.
#[derive(Serialize)]
struct Imported {
    path: PathBuf,
    messages: u64,
    versions: usize,
}

impl Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages, {} adapter versions in {}", self.messages, self.versions, self.path.display())
    }
}

/// What was taken as it is.
#[derive(Serialize)]
struct Accepted {
    path: PathBuf,
    messages: u64,
}

impl Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages in {}", self.messages, self.path.display())
    }
}

impl Profile {
    pub fn run(&self, output: &Output) -> Result<()> {
        match &self.command {
            ProfileCommand::Export(Export { profile, archive, passphrase }) => {
                let archived = profile.open()?.export(archive, &passphrase.read()?)?;
                output.result(&Exported { path: archive.clone(), files: archived.files, bytes: archived.bytes })
            }
            ProfileCommand::Import(Import { archive, profile: folder, passphrase }) => {
                let profile =
                    idiolect::profile::Profile::import(archive, &passphrase.read()?, folder, &KeySource::Beside)?;
                let messages = profile.history().stats()?.total.messages;
                let versions = ProfileArgs { profile: folder.clone() }.adapters()?.state()?.versions.len();
                output.result(&Imported { path: folder.clone(), messages, versions })
            }
            ProfileCommand::AcceptHistory(ProfileArgs { profile: folder }) => {
                let profile = idiolect::profile::Profile::open_put_back(folder, &KeySource::Beside)?;
                let messages = profile.history().stats()?.total.messages;
                output.result(&Accepted { path: folder.clone(), messages })
            }
        }
    }
}
