//! `idiolect chat`: a conversation in the person's voice, a line at a time.

use std::io::{BufRead, stdin};
use std::ops::ControlFlow;

use clap::Args;
use idiolect::engine::{CancelToken, ConversationOptions};
use idiolect::generate::{FinishReason, GenerateOptions};
use idiolect::{Error, ErrorKind, Result};
use serde::Serialize;

use crate::args::{AnswerBudgetArgs, EngineArgs};
use crate::output::Output;

#[derive(Debug, Args)]
pub struct Chat {
    #[command(flatten)]
    engine: EngineArgs,

    /// What stands above the conversation, as the system's turn of the model's chat template
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    instructions: Option<String>,

    /// New tokens of an answer at most
    #[arg(long, value_name = "N", default_value_t = GenerateOptions::default().max_tokens)]
    max_tokens: usize,

    #[command(flatten)]
    budget: AnswerBudgetArgs,
}

/// An answer.
#[derive(Serialize)]
struct Answer {
    text: String,
    finish_reason: FinishReason,
    /// Tokens of everything that was said until then.
    prompt_tokens: usize,
    /// Those of them that did not have to be computed.
    cached_tokens: usize,
    /// The first lines and answers that do not fit the context any more.
    forgotten_turns: usize,
}

impl Chat {
    pub fn run(&self, output: &Output) -> Result<()> {
        let engine = self.engine.open_to_answer(output)?;
        let conversation = engine.conversation(ConversationOptions {
            instructions: self.instructions.clone(),
            context: self.engine.context,
            budget_bytes: self.budget.bytes(),
            turns: Vec::new(),
        })?;
        output.note("a line is a message; an empty line or the end of input ends the chat");
        let options = GenerateOptions { max_tokens: self.max_tokens, ..GenerateOptions::default() };
        let mut forgotten = 0;
        for line in stdin().lock().lines() {
            let line = line.map_err(|cause| Error::new(ErrorKind::Io, format!("standard input: {cause}")))?;
            if line.trim().is_empty() {
                break;
            }
            let reply =
                conversation.say(&line, &options, &CancelToken::new(), &mut |text| match output.text(text) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                })?;
            output.text("\n")?;
            if reply.forgotten_turns > forgotten {
                forgotten = reply.forgotten_turns;
                output.note(&format!("the first {forgotten} turns do not fit the context and are forgotten"));
            }
            let generation = reply.generation;
            output.object(&Answer {
                text: generation.text,
                finish_reason: generation.finish_reason,
                prompt_tokens: generation.prompt_tokens,
                cached_tokens: generation.cached_tokens,
                forgotten_turns: reply.forgotten_turns,
            })?;
        }
        Ok(())
    }
}
