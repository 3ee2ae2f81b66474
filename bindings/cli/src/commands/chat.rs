//! `idiolect chat`: answers in the person's voice, a line at a time.

use std::io::{BufRead, stdin};
use std::ops::ControlFlow;

use clap::Args;
use idiolect::engine::{CancelToken, Prompt};
use idiolect::generate::{FinishReason, GenerateOptions};
use idiolect::{Error, ErrorKind, Result};
use serde::Serialize;

use crate::args::EngineArgs;
use crate::output::Output;

#[derive(Debug, Args)]
pub struct Chat {
    #[command(flatten)]
    engine: EngineArgs,

    /// New tokens of an answer at most
    #[arg(long, value_name = "N", default_value_t = GenerateOptions::default().max_tokens)]
    max_tokens: usize,
}

/// An answer.
#[derive(Serialize)]
struct Answer {
    text: String,
    finish_reason: FinishReason,
}

impl Chat {
    pub fn run(&self, output: &Output) -> Result<()> {
        let engine = self.engine.open_to_answer(output)?;
        output.note("a line is a message; an empty line or the end of input ends the chat");
        let options = GenerateOptions { max_tokens: self.max_tokens, ..GenerateOptions::default() };
        for line in stdin().lock().lines() {
            let line = line.map_err(|cause| Error::new(ErrorKind::Io, format!("standard input: {cause}")))?;
            if line.trim().is_empty() {
                break;
            }
            let prompt = Prompt::Chat(line);
            let answer =
                engine.generate(&prompt, &options, &CancelToken::new(), &mut |text| match output.text(text) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                })?;
            output.text("\n")?;
            output.object(&Answer { text: answer.text, finish_reason: answer.finish_reason })?;
        }
        Ok(())
    }
}
