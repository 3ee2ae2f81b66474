//! `idiolect suggest`.

use std::fmt::{self, Display};

use clap::Args;
use idiolect::Result;
use idiolect::engine::CancelToken;
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
    #[arg(long, default_value_t = 3)]
    count: usize,
}

/// A word, as it continues the prompt.
#[derive(Serialize)]
struct Word {
    text: String,
    probability: f64,
}

impl Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:5.1} %  {}", 100.0 * self.probability, self.text.trim())
    }
}

impl Suggest {
    pub fn run(&self, output: &Output) -> Result<()> {
        let suggestions = self.engine.open_to_answer(output)?.suggest(&self.prompt, self.count, &CancelToken::new())?;
        suggestions.into_iter().try_for_each(|suggestion| {
            output.result(&Word { text: suggestion.text, probability: suggestion.probability })
        })
    }
}
