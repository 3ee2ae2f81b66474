//! What to read: a person's texts, or rows of token ids.

use std::path::PathBuf;

use clap::Args;
use idiolect::history::Skipped;
use idiolect::samples::{Texts, read_ids};
use idiolect::train::TrainingData;
use idiolect::{Error, ErrorKind, Model, Result};

use super::texts::FormatArgs;

/// The text of a training or an evaluation: one of two files.
#[derive(Debug, Args)]
#[group(multiple = false, args = ["text", "ids"])]
pub struct DataArgs {
    /// What the person wrote: JSON lines with "text" and optionally "context", or .txt with one message a line
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,

    #[command(flatten)]
    format: FormatArgs,

    /// A JSON array of rows of token ids, used as they are and in order
    #[arg(long, value_name = "FILE.json")]
    ids: Option<PathBuf>,
}

impl DataArgs {
    /// Whether rows of token ids are read.
    pub fn is_ids(&self) -> bool {
        self.ids.is_some()
    }

    /// Reads the file; samples of text have at most `seq_len` tokens. Beside them what in it was no row.
    pub fn read(&self, model: &Model, seq_len: usize) -> Result<(TrainingData, Skipped)> {
        match (&self.text, &self.ids) {
            (Some(path), _) => {
                let texts = Texts::from(self.format.read(path)?);
                Ok((TrainingData::from_texts(&texts.rows, model, seq_len)?, texts.skipped))
            }
            (None, Some(path)) => Ok((TrainingData::from_ids(&read_ids(path)?, model)?, Skipped::default())),
            (None, None) => Err(Error::new(ErrorKind::BadOption, "give --text or --ids")),
        }
    }
}
