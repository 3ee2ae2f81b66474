//! Single answers: generation, suggestions, scores.

use std::ops::ControlFlow;

use super::asking::{answered, streamed};
use super::choice::AdapterChoice;
use super::serving::{Prompt, nothing_generated};
use super::{CancelToken, Engine};
use crate::error::{ErrorKind, Result};
use crate::generate::{GenerateOptions, Generation, Score, SuggestOptions, Suggestion};

/// An engine that answers with adapters that were chosen: [`Engine::using`].
#[derive(Debug)]
pub struct Answering<'e> {
    pub(super) engine: &'e Engine,
    pub(super) adapters: AdapterChoice,
}

impl Engine {
    /// The engine, answering with `adapters` where its own calls answer with the version in use.
    pub fn using(&self, adapters: AdapterChoice) -> Answering<'_> {
        Answering { engine: self, adapters }
    }

    /// Continues a prompt with the adapter in use: [`Answering::generate`].
    ///
    /// # Errors
    /// As there.
    pub fn generate(
        &self,
        prompt: &Prompt,
        options: &GenerateOptions,
        cancel: &CancelToken,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation> {
        self.using(AdapterChoice::InUse).generate(prompt, options, cancel, on_text)
    }

    /// Completes a text with the adapter in use: [`Answering::suggest`].
    ///
    /// # Errors
    /// As there.
    pub fn suggest(&self, prompt: &str, options: &SuggestOptions, cancel: &CancelToken) -> Result<Vec<Suggestion>> {
        self.using(AdapterChoice::InUse).suggest(prompt, options, cancel)
    }

    /// The tokens of a text as the model reads them, without those that stand around a prompt: what it takes of a context.
    ///
    /// # Errors
    /// When the text cannot be tokenized, or the model cannot be opened.
    pub fn count_tokens(&self, text: &str) -> Result<usize> {
        Ok(self.model()?.tokenizer().encode(text)?.len())
    }
}

impl Answering<'_> {
    /// Continues a prompt; `on_text` sees pieces of whole characters on the calling thread. Cancelled, it gives what there is
    /// so far; so it does where the engine is closed or memory asked back meanwhile.
    ///
    /// # Errors
    /// When the prompt is too long, an option is out of range, an adapter that was chosen is not there or was made for
    /// another base, or the model cannot be opened; [`ErrorKind::OverBudget`] when the machine has no memory for it.
    pub fn generate(
        &self,
        prompt: &Prompt,
        options: &GenerateOptions,
        cancel: &CancelToken,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation> {
        let (prompt, options, stop) = (prompt.clone(), options.clone(), cancel.clone());
        let adapters = self.adapters.clone();
        let generated = streamed(&self.engine.queue, cancel, on_text, move |serving, show| {
            serving.generate(&adapters, &prompt, &options, &stop, show)
        });
        match generated {
            Err(error) if error.kind() == ErrorKind::Cancelled => Ok(nothing_generated()),
            other => other,
        }
    }

    /// The likeliest words that complete the one begun at the text's end, or the likeliest next ones; likeliest first. A
    /// text longer than the model's context is read from its end.
    ///
    /// # Errors
    /// When an option is out of range, an adapter that was chosen is not there or was made for another base, or the model
    /// cannot be opened; [`ErrorKind::OverBudget`] when the machine has no memory for it; [`ErrorKind::Cancelled`].
    pub fn suggest(&self, prompt: &str, options: &SuggestOptions, cancel: &CancelToken) -> Result<Vec<Suggestion>> {
        let (adapters, prompt) = (self.adapters.clone(), prompt.to_owned());
        let (options, token) = (options.clone(), cancel.clone());
        answered(&self.engine.queue, cancel, move |serving| serving.suggest(&adapters, &prompt, &options, &token))
    }

    /// How likely each candidate is directly behind the prompt, in their order: for ranking them. The prompt runs once, and
    /// what an earlier call has left of it not at all. The probability is of the candidate's words going on like this, with
    /// whatever behind them: that the text ends there is no part of it, so a longer candidate is never likelier than its
    /// own beginning.
    ///
    /// # Errors
    /// As [`Answering::suggest`]; when prompt and candidate together are too long.
    pub fn score(&self, prompt: &Prompt, candidates: &[String], cancel: &CancelToken) -> Result<Vec<Score>> {
        let (adapters, prompt) = (self.adapters.clone(), prompt.clone());
        let (candidates, token) = (candidates.to_vec(), cancel.clone());
        answered(&self.engine.queue, cancel, move |serving| serving.score(&adapters, &prompt, &candidates, &token))
    }
}
