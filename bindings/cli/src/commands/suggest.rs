//! `idiolect suggest`.

use std::fmt::{self, Display};

use clap::Args;
use idiolect::Result;
use idiolect::engine::CancelToken;
use idiolect::generate::SuggestOptions;
use serde::Serialize;

use crate::args::EngineArgs;
use crate::output::Output;

#[derive(Debug, Args)]
pub struct Suggest {
    #[command(flatten)]
    engine: EngineArgs,

    /// The text so far
    #[arg(long, allow_hyphen_values = true)]
    prompt: String,

    /// How many words
    #[arg(long, default_value_t = SuggestOptions::default().count)]
    count: usize,

    /// Suggest punctuation marks as well
    #[arg(long)]
    punctuation: bool,

    /// Suggest emoji as well
    #[arg(long)]
    emoji: bool,
}

/// A word, and how many characters at the prompt's end it takes the place of.
#[derive(Serialize)]
struct Word {
    text: String,
    replaces: usize,
    probability: f64,
}

impl Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:5.1} %  {}", 100.0 * self.probability, self.text.trim())
    }
}

impl Suggest {
    pub fn run(&self, output: &Output) -> Result<()> {
        let options = SuggestOptions { count: self.count, punctuation: self.punctuation, emoji: self.emoji };
        let suggestions = self.engine.open_to_answer(output)?.suggest(&self.prompt, &options, &CancelToken::new())?;
        suggestions.into_iter().try_for_each(|suggestion| {
            let (replaces, probability) = (suggestion.replaces, suggestion.probability);
            output.result(&Word { text: suggestion.text, replaces, probability })
        })
    }
}
