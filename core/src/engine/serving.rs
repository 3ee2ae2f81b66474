//! Answering: generation and suggestions, with the adapter in use and what the last prompt left in the cache.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::cancel::CancelToken;
use super::worker::Queue;
use crate::adapter::Adapter;
use crate::device::DeviceInfo;
use crate::error::{Error, ErrorKind, Result};
use crate::generate::{
    FinishReason, GenerateOptions, Generation, Generator, SuggestOptions, SuggestPrompt, Suggestion, WordTable,
    chat_prompt, check_capacity, plain_prompt,
};
use crate::model::Model;
use crate::registry::Registry;
use crate::session::Session;
use crate::trace::{self, Event, Work};

/// Tokens that the cache grows by.
const CAPACITY_STEP: usize = 256;

/// Adapters that are kept opened, so that switching among them is quick.
const MOST_OPENED: usize = 3;

/// What to generate from.
#[derive(Clone, PartialEq)]
pub enum Prompt {
    /// Text to go on with.
    Text(String),
    /// A message to answer, by the model's chat template.
    Chat(String),
}

impl std::fmt::Debug for Prompt {
    /// Never what the person wrote.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, text) = match self {
            Self::Text(text) => ("Text", text),
            Self::Chat(text) => ("Chat", text),
        };
        write!(f, "{name}({} bytes)", text.len())
    }
}

/// A version and its strength: what an answer, and the cache, depend on beside the prompt.
type Using = Option<(u32, u32)>;

/// The part of the worker that answers.
pub(super) struct Serving {
    registry: Registry,
    /// The session while nothing is loaded on it.
    session: Option<Box<Session>>,
    generator: Option<(Using, Generator<Box<Session>>)>,
    opened: Vec<((u32, u32), Arc<Adapter>)>,
    words: Option<Arc<WordTable>>,
    queue: Arc<Queue>,
    failed: bool,
}

impl Serving {
    /// Answers on `session`, a sibling of the one that trains.
    pub fn new(session: Session, registry: Registry, queue: Arc<Queue>) -> Self {
        let session = Some(Box::new(session));
        Self { registry, session, generator: None, opened: Vec::new(), words: None, queue, failed: false }
    }

    /// Continues a prompt; `on_text` sees pieces of whole characters.
    pub fn generate(
        &mut self,
        prompt: &Prompt,
        options: &GenerateOptions,
        cancel: &CancelToken,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation> {
        let _span = trace::begin(Work::Generation);
        let generated = self.try_generate(prompt, options, cancel, on_text);
        self.heed(generated)
    }

    /// The likeliest words that complete the one begun, or come next.
    pub fn suggest(&mut self, prompt: &str, options: &SuggestOptions, cancel: &CancelToken) -> Result<Vec<Suggestion>> {
        let _span = trace::begin(Work::Suggestion);
        let suggested = self.try_suggest(prompt, options, cancel);
        self.heed(suggested)
    }

    /// Remembers whether the device failed.
    fn heed<T>(&mut self, answer: Result<T>) -> Result<T> {
        self.failed = answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Device);
        if self.failed {
            trace::tell(Event::DeviceLost);
        }
        answer
    }

    fn try_generate(
        &mut self,
        prompt: &Prompt,
        options: &GenerateOptions,
        cancel: &CancelToken,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation> {
        let (using, adapter) = self.using()?;
        let ids = self.ids(prompt, adapter.as_deref())?;
        let ends = self.ends(cancel);
        let generator =
            self.generator(using, adapter.as_deref(), ids.len().saturating_add(options.max_tokens), cancel)?;
        generator.generate(&ids, options, &mut |text| {
            // The last piece as well: what is streamed and what is returned are the same text.
            on_text(text)?;
            ends()
        })
    }

    fn try_suggest(&mut self, prompt: &str, options: &SuggestOptions, cancel: &CancelToken) -> Result<Vec<Suggestion>> {
        let (using, adapter) = self.using()?;
        let prompt = SuggestPrompt::new(&*self.model()?, adapter.as_deref(), prompt)?;
        let words = self.words()?;
        self.generator(using, adapter.as_deref(), prompt.tokens(), cancel)?.suggest(&prompt, options, &words)
    }

    /// The model.
    pub fn model(&self) -> Result<Arc<Model>> {
        self.session().map(|session| Arc::clone(session.model()))
    }

    /// The device that answers.
    pub fn device(&self) -> Result<DeviceInfo> {
        self.session().map(|session| session.device().clone())
    }

    fn session(&self) -> Result<&Session> {
        let session = self.session.as_deref().or(self.generator.as_ref().map(|(_, generator)| generator.session()));
        session.ok_or_else(lost)
    }

    fn ids(&self, prompt: &Prompt, adapter: Option<&Adapter>) -> Result<Vec<u32>> {
        match prompt {
            Prompt::Text(text) => plain_prompt(&*self.model()?, adapter, text),
            Prompt::Chat(text) => chat_prompt(&*self.model()?, text),
        }
    }

    fn words(&mut self) -> Result<Arc<WordTable>> {
        let model = self.model()?;
        Ok(Arc::clone(self.words.get_or_insert_with(|| Arc::new(WordTable::new(model.tokenizer())))))
    }

    /// What the registry says now: another process may have switched. Of another base's version, nothing is used.
    fn using(&mut self) -> Result<(Using, Option<Arc<Adapter>>)> {
        let state = self.registry.state()?;
        let Some(number) = state.active else { return Ok((None, None)) };
        let version = state.version(number)?;
        let model = self.model()?;
        let key = (number, version.strength.to_bits());
        if version.strength == 0.0 || version.is_stale(model.fingerprint()) {
            return Ok((None, None));
        }
        if let Some(at) = self.opened.iter().position(|(opened, _)| *opened == key) {
            let found = self.opened.remove(at);
            self.opened.push(found.clone());
            return Ok((Some(key), Some(found.1)));
        }
        let adapter = Arc::new(self.registry.load(number, &model)?);
        self.opened.push((key, Arc::clone(&adapter)));
        let excess = self.opened.len().saturating_sub(MOST_OPENED);
        self.opened.drain(..excess);
        Ok((Some(key), Some(adapter)))
    }

    /// A generator with room for `tokens`, for what is in use now: the one that there is, if it is that.
    fn generator(
        &mut self,
        using: Using,
        adapter: Option<&Adapter>,
        tokens: usize,
        cancel: &CancelToken,
    ) -> Result<&mut Generator<Box<Session>>> {
        self.model()?.files().check_whole()?;
        let fits = |(key, generator): &(Using, Generator<_>)| *key == using && generator.capacity() >= tokens;
        if !self.generator.as_ref().is_some_and(fits) {
            let context = self.model()?.base().context;
            // Before the session is handed over: what a caller asked too much must not cost the next one's answer.
            check_capacity(tokens, context)?;
            let capacity = tokens.next_multiple_of(CAPACITY_STEP).min(context);
            let session = self.session.take().or(self.generator.take().map(|(_, generator)| generator.into_session()));
            match Generator::on(session.ok_or_else(lost)?, adapter, capacity) {
                Ok(generator) => {
                    trace::tell(Event::CacheGrown { tokens: capacity });
                    self.generator = Some((using, generator));
                }
                Err((session, error)) => {
                    self.session = Some(session);
                    return Err(error);
                }
            }
        }
        let ends = self.ends(cancel);
        let (_, generator) = self.generator.as_mut().ok_or_else(lost)?;
        generator.session_mut().set_between(Some(Arc::new(ends)));
        Ok(generator)
    }

    /// Breaks where an answer has to end: it was cancelled, the engine closes, or memory is asked back.
    fn ends(&self, cancel: &CancelToken) -> impl Fn() -> ControlFlow<()> + Send + Sync + 'static {
        let (cancel, queue) = (cancel.clone(), Arc::clone(&self.queue));
        move || match cancel.is_cancelled() || queue.ends_work() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Whether the device failed in the last answer, so that the model has to be opened anew.
    pub fn has_failed(&self) -> bool {
        self.failed
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Device, "the device was lost in an earlier call")
}

/// An answer that was cancelled before its first token.
pub(super) fn cancelled_early(result: Result<Generation>) -> Result<Generation> {
    match result {
        Err(error) if error.kind() == ErrorKind::Cancelled => Ok(Generation {
            text: String::new(),
            ids: Vec::new(),
            finish_reason: FinishReason::Cancelled,
            prompt_tokens: 0,
            prefill_seconds: 0.0,
            decode_seconds: 0.0,
        }),
        other => other,
    }
}
