//! Generation, suggestions and evaluation.

use std::fmt;

use idiolect::engine::AdapterChoice;
use idiolect::generate::{self, SamplingOptions};
use idiolect::samples::TextRow;
use idiolect::{engine, eval};

use crate::mirror::mirror;
use crate::report::SampleCounts;
use crate::samples::hidden;

/// What to generate from.
#[derive(Clone, PartialEq, Eq, uniffi::Enum)]
#[uniffi::export(Debug)]
pub enum Prompt {
    /// Text to go on with.
    Text {
        /// The text.
        text: String,
    },
    /// A message to answer, by the model's chat template.
    Chat {
        /// The message.
        message: String,
    },
}

impl From<Prompt> for engine::Prompt {
    fn from(prompt: Prompt) -> Self {
        match prompt {
            Prompt::Text { text } => Self::Text(text),
            Prompt::Chat { message } => Self::Chat(message),
        }
    }
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        engine::Prompt::from(self.clone()).fmt(f)
    }
}

mirror! {
    /// An adapter version and how strongly it is used.
    #[derive(Debug, Clone, Copy, PartialEq, uniffi::Record)]
    pub struct AdapterWeight into engine::AdapterWeight {
        /// Its number.
        pub version: u32,
        /// What takes the place of its strength, from −2 to 2: 1 is what it was trained to do, below 0 its opposite.
        pub weight: f32,
    }
}

/// The adapters that an app chose; the version in use where it chose none.
pub(crate) fn chosen(adapters: Option<Vec<AdapterWeight>>) -> AdapterChoice {
    match adapters {
        Some(weights) => AdapterChoice::These(weights.into_iter().map(Into::into).collect()),
        None => AdapterChoice::InUse,
    }
}

/// How to generate. What is left open takes the engine's default.
#[derive(Clone, Default, PartialEq, uniffi::Record)]
#[uniffi::export(Debug)]
pub struct GenerateOptions {
    /// New tokens at most.
    #[uniffi(default = None)]
    pub max_tokens: Option<u32>,
    /// Divides the logits; 0 always takes the likeliest token.
    #[uniffi(default = None)]
    pub temperature: Option<f32>,
    /// Only this many of the likeliest tokens; 0 for all of them.
    #[uniffi(default = None)]
    pub top_k: Option<u32>,
    /// Only the likeliest tokens that together reach this probability, in (0, 1].
    #[uniffi(default = None)]
    pub top_p: Option<f32>,
    /// Only tokens at least this many times as likely as the likeliest, in [0, 1].
    #[uniffi(default = None)]
    pub min_p: Option<f32>,
    /// Divides the positive logits of tokens that came before, and multiplies the negative ones; 1 for none.
    #[uniffi(default = None)]
    pub repetition_penalty: Option<f32>,
    /// The same seed draws the same tokens.
    #[uniffi(default = None)]
    pub seed: Option<u64>,
    /// Strings that end the text; they are not part of it.
    #[uniffi(default)]
    pub stop: Vec<String>,
    /// Go on behind end-of-turn tokens, for measuring.
    #[uniffi(default = false)]
    pub ignore_eos: bool,
    /// Versions that answer together in the place of the one in use, each with its weight; empty for the base alone.
    #[uniffi(default = None)]
    pub adapters: Option<Vec<AdapterWeight>>,
}

impl fmt::Debug for GenerateOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenerateOptions")
            .field("max_tokens", &self.max_tokens)
            .field("temperature", &self.temperature)
            .field("top_k", &self.top_k)
            .field("top_p", &self.top_p)
            .field("min_p", &self.min_p)
            .field("repetition_penalty", &self.repetition_penalty)
            .field("seed", &self.seed)
            .field("ignore_eos", &self.ignore_eos)
            .field("adapters", &self.adapters)
            .finish_non_exhaustive()
    }
}

impl From<GenerateOptions> for generate::GenerateOptions {
    fn from(options: GenerateOptions) -> Self {
        let defaults = Self::default();
        let sampling = defaults.sampling;
        Self {
            max_tokens: options.max_tokens.map_or(defaults.max_tokens, |most| most as usize),
            sampling: SamplingOptions {
                temperature: options.temperature.unwrap_or(sampling.temperature),
                top_k: options.top_k.map_or(sampling.top_k, |top_k| top_k as usize),
                top_p: options.top_p.unwrap_or(sampling.top_p),
                min_p: options.min_p.unwrap_or(sampling.min_p),
                repetition_penalty: options.repetition_penalty.unwrap_or(sampling.repetition_penalty),
                seed: options.seed.unwrap_or(sampling.seed),
            },
            stop: options.stop,
            ignore_eos: options.ignore_eos,
        }
    }
}

mirror! {
    /// Why a generation ended.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
    pub enum FinishReason from generate::FinishReason {
        /// The model gave an end-of-turn token.
        EndOfTurn,
        /// As many tokens came as were asked for.
        MaxTokens,
        /// A stop string came.
        Stop,
        /// The caller cancelled.
        Cancelled,
    }
}

/// What was generated.
#[derive(Clone, PartialEq, uniffi::Record)]
#[uniffi::export(Debug)]
pub struct Generation {
    /// The text, without the prompt.
    pub text: String,
    /// New tokens, an end-of-turn token included.
    pub tokens: u64,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the prompt that were not run, for earlier prompts or turns have left them in the cache.
    pub cached_tokens: u64,
    /// Seconds for the prompt.
    pub prefill_seconds: f64,
    /// Seconds for all tokens after the first.
    pub decode_seconds: f64,
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hidden("Generation", &self.text, f)
            .field("tokens", &self.tokens)
            .field("finish_reason", &self.finish_reason)
            .field("prompt_tokens", &self.prompt_tokens)
            .finish_non_exhaustive()
    }
}

impl From<generate::Generation> for Generation {
    fn from(generation: generate::Generation) -> Self {
        Self {
            text: generation.text,
            tokens: generation.ids.len() as u64,
            finish_reason: generation.finish_reason.into(),
            prompt_tokens: generation.prompt_tokens as u64,
            cached_tokens: generation.cached_tokens as u64,
            prefill_seconds: generation.prefill_seconds,
            decode_seconds: generation.decode_seconds,
        }
    }
}

/// What to suggest. What is left open takes the engine's default.
#[derive(Debug, Clone, Default, PartialEq, uniffi::Record)]
pub struct SuggestOptions {
    /// How many suggestions at most, up to 64; three by default.
    #[uniffi(default = None)]
    pub count: Option<u32>,
    /// Punctuation marks as well as words.
    #[uniffi(default = false)]
    pub punctuation: bool,
    /// Emoji as well as words.
    #[uniffi(default = false)]
    pub emoji: bool,
    /// Versions that suggest together in the place of the one in use, each with its weight; empty for the base alone.
    #[uniffi(default = None)]
    pub adapters: Option<Vec<AdapterWeight>>,
}

impl From<SuggestOptions> for generate::SuggestOptions {
    fn from(options: SuggestOptions) -> Self {
        let SuggestOptions { count, punctuation, emoji, adapters: _ } = options;
        Self { count: count.map_or(Self::default().count, |count| count as usize), punctuation, emoji }
    }
}

mirror! {
    /// A word that completes the one that is begun, or may come next.
    #[derive(Clone, PartialEq, uniffi::Record)]
    #[uniffi::export(Debug)]
    pub struct Suggestion from generate::Suggestion {
        /// What to insert: the whole word, in the case that the sentence asks for. It begins with a space only where the
        /// prompt ends neither in one nor within a word, and the word does not go directly behind it.
        pub text: String,
        /// How many characters at the prompt's end it takes the place of, in Unicode scalar values (code points on Android,
        /// `unicodeScalars` in Swift): those of the word that is begun; 0 where none is; 1 where a mark goes in the place of
        /// a space.
        pub replaces: u32,
        /// How likely the model finds that exactly this word comes, given the letters typed; however it is cased.
        pub probability: f64,
    }
}

impl fmt::Debug for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hidden("Suggestion", &self.text, f)
            .field("replaces", &self.replaces)
            .field("probability", &self.probability)
            .finish()
    }
}

/// How likely a candidate is behind a prompt.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Score {
    /// The natural logarithm of its probability: the sum over its tokens; 0 for an empty candidate.
    pub log_probability: f64,
    /// Its tokens.
    pub tokens: u64,
    /// Each token's, behind the prompt and the tokens before it.
    pub token_log_probabilities: Vec<f32>,
}

impl From<generate::Score> for Score {
    fn from(score: generate::Score) -> Self {
        Self {
            log_probability: score.log_probability(),
            tokens: score.token_log_probabilities.len() as u64,
            token_log_probabilities: score.token_log_probabilities,
        }
    }
}

/// A text to measure.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug)]
pub struct EvaluationText {
    /// The text.
    pub text: String,
    /// What it answers.
    #[uniffi(default = None)]
    pub context: Option<String>,
}

impl fmt::Debug for EvaluationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hidden("EvaluationText", &self.text, f).finish_non_exhaustive()
    }
}

impl From<EvaluationText> for TextRow {
    fn from(text: EvaluationText) -> Self {
        Self::new(text.text, text.context)
    }
}

/// The loss of one text.
#[derive(Debug, Clone, Copy, PartialEq, uniffi::Record)]
pub struct TextLoss {
    /// Mean loss in nats a token; none for a text of which nothing was measured.
    pub nll: Option<f64>,
    /// Tokens that carry loss.
    pub tokens: u64,
}

/// The loss of a set of texts.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Evaluation {
    /// Tokens that carry loss.
    pub tokens: u64,
    /// Bytes of text behind them.
    pub bytes: u64,
    /// Mean loss in nats a token.
    pub nll: f64,
    /// `e^nll`.
    pub perplexity: f64,
    /// Total loss in bits over the text's bytes, if the bytes are known.
    pub bits_per_byte: Option<f64>,
    /// What became of the texts: what was cut, parted or left out.
    pub counts: SampleCounts,
    /// Each text's, in their order.
    pub texts: Vec<TextLoss>,
}

impl From<eval::Evaluation> for Evaluation {
    fn from(evaluation: eval::Evaluation) -> Self {
        Self {
            tokens: evaluation.tokens as u64,
            bytes: evaluation.bytes as u64,
            nll: evaluation.nll,
            perplexity: evaluation.perplexity(),
            bits_per_byte: evaluation.bits_per_byte(),
            counts: evaluation.counts.into(),
            texts: evaluation.texts.iter().map(|&(loss, tokens)| text_loss(loss, tokens)).collect(),
        }
    }
}

fn text_loss(loss: f64, tokens: usize) -> TextLoss {
    TextLoss { nll: (tokens > 0).then(|| loss / tokens as f64), tokens: tokens as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_open_is_the_engines_default() {
        let options = generate::GenerateOptions::from(GenerateOptions::default());
        assert_eq!(options, generate::GenerateOptions::default());
        let options = generate::SuggestOptions::from(SuggestOptions::default());
        assert_eq!(options, generate::SuggestOptions::default());
    }
}
