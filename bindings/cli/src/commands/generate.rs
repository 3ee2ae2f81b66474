//! `idiolect generate`.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use idiolect::generate::{
    FinishReason, GenerateOptions, Generation, Generator, SamplingOptions, chat_prompt, plain_prompt,
};
use idiolect::{Adapter, Model, Result};
use serde::Serialize;

use crate::args::{AnswerBudgetArgs, DeviceArgs};
use crate::output::Output;

#[derive(Debug, Args)]
pub struct Generate {
    /// A model folder or a GGUF file
    model: PathBuf,

    /// An adapter folder
    #[arg(long, value_name = "ADAPTER")]
    adapter: Option<PathBuf>,

    /// The text to continue; may be empty
    #[arg(long, allow_hyphen_values = true)]
    prompt: String,

    /// Give the prompt as the user's turn of the model's own chat template
    #[arg(long)]
    chat: bool,

    /// New tokens at most [default: 128, or as many as the model has room for]
    #[arg(long, value_name = "N")]
    max_tokens: Option<usize>,

    #[command(flatten)]
    sampling: SamplingArgs,

    /// Ends the text where this string comes; may be given several times
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    stop: Vec<String>,

    #[command(flatten)]
    budget: AnswerBudgetArgs,

    #[command(flatten)]
    device: DeviceArgs,
}

/// How tokens are chosen.
#[derive(Debug, Args)]
struct SamplingArgs {
    /// Divides the logits; 0 always takes the likeliest token
    #[arg(long, value_name = "T", default_value_t = SamplingOptions::default().temperature, allow_negative_numbers = true)]
    temperature: f32,

    /// Only the K likeliest tokens; 0 for all
    #[arg(long, value_name = "K", default_value_t = SamplingOptions::default().top_k)]
    top_k: usize,

    /// Only the likeliest tokens that together reach this probability
    #[arg(long, value_name = "P", default_value_t = SamplingOptions::default().top_p, allow_negative_numbers = true)]
    top_p: f32,

    /// Only tokens at least this many times as likely as the likeliest
    #[arg(long, value_name = "P", default_value_t = SamplingOptions::default().min_p, allow_negative_numbers = true)]
    min_p: f32,

    /// Makes tokens that came before less likely; 1 for none
    #[arg(long, value_name = "R", default_value_t = SamplingOptions::default().repetition_penalty, allow_negative_numbers = true)]
    repetition_penalty: f32,

    /// The same seed gives the same text
    #[arg(long, default_value_t = SamplingOptions::default().seed)]
    seed: u64,
}

impl SamplingArgs {
    fn options(&self) -> SamplingOptions {
        SamplingOptions {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            seed: self.seed,
        }
    }
}

/// The object that `--json` ends with.
#[derive(Serialize)]
struct Report<'a> {
    text: &'a str,
    ids: &'a [u32],
    finish_reason: FinishReason,
    tokens_per_second: f64,
}

impl Generate {
    pub fn run(&self, output: &Output) -> Result<()> {
        let sampling = self.sampling.options();
        sampling.validate()?;
        let model = Model::open(&self.model)?;
        let adapter = self.adapter.as_deref().map(|path| Adapter::open(path, &model)).transpose()?;
        let prompt = if self.chat {
            chat_prompt(&model, &self.prompt)?
        } else {
            plain_prompt(&model, adapter.as_ref(), &self.prompt)?
        };
        let room = model.base().config.max_position_embeddings.saturating_sub(prompt.len());
        let defaults = GenerateOptions::default();
        let max_tokens = self.max_tokens.unwrap_or(defaults.max_tokens.min(room).max(1));
        let tokens = prompt.len().saturating_add(max_tokens);
        // One that has no room for all of it is opened as it is, and refuses them.
        let model = if max_tokens <= room { model.with_context(tokens)? } else { model };
        let options = GenerateOptions { max_tokens, sampling, stop: self.stop.clone(), ..defaults };
        let mut session = self.device.open(output, Arc::new(model))?;
        let mut generator = Generator::within(&mut session, adapter.as_ref(), tokens, self.budget.bytes())?;
        let mut failure = Ok(());
        let generation = generator.generate(&prompt, &options, &mut |text| {
            failure = output.text(text);
            if failure.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        failure?;
        output.text("\n")?;
        self.report(output, &generation)
    }

    fn report(&self, output: &Output, generation: &Generation) -> Result<()> {
        let tokens_per_second = generation.tokens_per_second();
        if !output.json() {
            let ended = generation.finish_reason;
            output.note(&format!("{} tokens, {tokens_per_second:.1} a second, {ended}", generation.ids.len()));
        }
        output.object(&Report {
            text: &generation.text,
            ids: &generation.ids,
            finish_reason: generation.finish_reason,
            tokens_per_second,
        })
    }
}
