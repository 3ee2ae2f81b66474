//! Generation: passes over a key/value cache, sampling, and text streamed as it comes.

mod branches;
mod casing;
mod generator;
mod plan;
mod prefix_cache;
mod prompt;
mod sampler;
mod score;
mod stop;
mod stream;
mod suggest;
mod suggest_prompt;
mod transcript;
mod word_search;
mod word_table;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use generator::{GenerateOptions, Generation, Generator};
pub use plan::GenerationPlan;
pub(crate) use plan::check_capacity;
pub use prompt::{chat_prompt, plain_prompt};
pub use sampler::{Sampler, SamplingOptions};
pub(crate) use score::Continuation;
pub use score::Score;
pub use stop::StopMatcher;
pub use stream::{Piece, TextStream};
pub use suggest::{SuggestOptions, Suggestion};
pub use suggest_prompt::SuggestPrompt;
pub(crate) use transcript::Transcript;
pub use word_table::WordTable;

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model gave an end-of-turn token.
    EndOfTurn,
    /// As many tokens came as were asked for.
    MaxTokens,
    /// A stop string came.
    Stop,
    /// The caller cancelled.
    Cancelled,
}

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FinishReason::EndOfTurn => "end_of_turn",
            FinishReason::MaxTokens => "max_tokens",
            FinishReason::Stop => "stop",
            FinishReason::Cancelled => "cancelled",
        })
    }
}
