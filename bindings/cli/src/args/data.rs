//! What to read: a person's texts, or rows of token ids.

use std::path::PathBuf;

use clap::Args;
use idiolect::train::{TrainingData, read_ids, read_texts};
use idiolect::{Error, ErrorKind, Model, Result};

/// The text of a training or an evaluation: one of two files.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct DataArgs {
    /// What the person wrote: JSON lines with "text" and optionally "context", or .txt with one message a line
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,

    /// A JSON array of rows of token ids, used as they are and in order
    #[arg(long, value_name = "FILE.json")]
    ids: Option<PathBuf>,
}

impl DataArgs {
    /// Whether rows of token ids are read.
    pub fn is_ids(&self) -> bool {
        self.ids.is_some()
    }

    /// Reads the file; samples of text have at most `seq_len` tokens.
    pub fn read(&self, model: &Model, seq_len: usize) -> Result<TrainingData> {
        match (&self.text, &self.ids) {
            (Some(path), _) => TrainingData::from_texts(&read_texts(path)?, model, seq_len),
            (None, Some(path)) => TrainingData::from_ids(&read_ids(path)?, model),
            (None, None) => Err(Error::new(ErrorKind::BadOption, "give --text or --ids")),
        }
    }
}
