//! Files of what a person wrote.

use std::path::Path;

use clap::{Args, ValueEnum};
use idiolect::chat_export;
use idiolect::history::{NewSample, Rows, read_every_line, read_jsonl, read_lines};
use idiolect::{Error, ErrorKind, Result};

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// JSON lines with "text" and optionally "context", "id", "timestamp", "source", "contact", "conversation",
    /// "origin", "incognito"
    Jsonl,
    /// One message a line, every line the person's own
    Text,
    /// A chat export, "[date, time] Name: text": the messages of --name alone
    Whatsapp,
}

/// How a file of texts is written, and who the person is in it.
#[derive(Debug, Args)]
pub struct FormatArgs {
    /// How the file is written [default: by its ending; what begins like a chat export is refused]
    #[arg(long)]
    format: Option<Format>,

    /// The person's own name in a chat export
    #[arg(long, required_if_eq("format", "whatsapp"))]
    name: Option<String>,
}

impl FormatArgs {
    /// Reads what the person wrote in `file`.
    pub fn read(&self, file: &Path) -> Result<Rows> {
        match self.format {
            None => {
                chat_export::refuse_export(file).map_err(name_options)?;
                let text = file.extension().is_some_and(|extension| extension == "txt");
                if text { read_lines(file) } else { read_jsonl(file) }
            }
            Some(Format::Jsonl) => read_jsonl(file),
            Some(Format::Text) => read_every_line(file),
            Some(Format::Whatsapp) => Ok(Rows { samples: self.read_chat(file)?, ..Rows::default() }),
        }
    }

    /// The person's own messages of an exported chat.
    fn read_chat(&self, file: &Path) -> Result<Vec<NewSample>> {
        let missing = || Error::new(ErrorKind::BadOption, "whose messages a chat export is read for: give --name");
        let name = self.name.as_deref().ok_or_else(missing)?;
        let export = chat_export::read(file)?;
        let samples = chat_export::samples_of(&export, name).map_err(|error| match error.kind() {
            ErrorKind::BadOption => error.with_hint("`idiolect history authors FILE` lists the names"),
            _ => error,
        })?;
        Ok(samples.into_iter().map(NewSample::from).collect())
    }
}

/// The refusal of a chat export with the options that say how to read it.
fn name_options(error: Error) -> Error {
    match error.kind() {
        ErrorKind::BadOption => error.with_hint(
            "`--format whatsapp --name NAME` takes NAME's messages alone (`idiolect history authors FILE` lists the \
             names); `--format text` takes every line as the person's own",
        ),
        _ => error,
    }
}
