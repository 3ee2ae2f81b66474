//! Answering: generation, suggestions and conversations, with the adapter in use and what is left in the caches.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::answer_cache::{AnswerCache, Room, Using};
use super::cancel::CancelToken;
use super::choice::{self, AdapterChoice};
use super::conversation::{ConversationOptions, Holders, Place, Reply};
use super::queue::Queue;
use crate::adapter::Adapter;
use crate::device::DeviceInfo;
use crate::error::{Error, ErrorKind, Result};
use crate::generate::{
    Continuation, FinishReason, GenerateOptions, Generation, GenerationPlan, Generator, Score, SuggestOptions,
    SuggestPrompt, Suggestion, Transcript, WordTable, chat_prompt, plain_prompt,
};
use crate::model::{DEFAULT_CONTEXT, Model};
use crate::registry::Registry;
use crate::session::Session;
use crate::trace::{self, Event, Work};

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

/// The part of the worker that answers.
pub(super) struct Serving {
    registry: Registry,
    /// Of single answers and suggestions.
    cache: AnswerCache,
    conversations: Holders,
    opened: Vec<(Using, Arc<Adapter>)>,
    words: Option<Arc<WordTable>>,
    queue: Arc<Queue>,
    failed: bool,
}

impl Serving {
    /// Answers on `session`, a sibling of the one that trains.
    pub fn new(session: Session, registry: Registry, queue: Arc<Queue>) -> Self {
        let (cache, conversations) = (AnswerCache::new(session), Holders::default());
        Self { registry, cache, conversations, opened: Vec::new(), words: None, queue, failed: false }
    }

    /// Continues a prompt; `on_text` sees pieces of whole characters.
    pub fn generate(
        &mut self,
        adapters: &AdapterChoice,
        prompt: &Prompt,
        options: &GenerateOptions,
        cancel: &CancelToken,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation> {
        let _span = trace::begin(Work::Generation);
        let generated = self.try_generate(adapters, prompt, options, cancel, on_text);
        self.heed(generated)
    }

    /// The likeliest words that complete the one begun, or come next.
    pub fn suggest(
        &mut self,
        adapters: &AdapterChoice,
        prompt: &str,
        options: &SuggestOptions,
        cancel: &CancelToken,
    ) -> Result<Vec<Suggestion>> {
        let _span = trace::begin(Work::Suggestion);
        let suggested = self.try_suggest(adapters, prompt, options, cancel);
        self.heed(suggested)
    }

    /// How likely each candidate is behind the prompt.
    pub fn score(
        &mut self,
        adapters: &AdapterChoice,
        prompt: &Prompt,
        candidates: &[String],
        cancel: &CancelToken,
    ) -> Result<Vec<Score>> {
        let _span = trace::begin(Work::Scoring);
        let scored = self.try_score(adapters, prompt, candidates, cancel);
        self.heed(scored)
    }

    /// Looks whether the model can lead such a conversation, and whether there is memory for it.
    pub fn begin_conversation(&mut self, options: ConversationOptions) -> Result<(Arc<Place>, GenerationPlan)> {
        let begun = self.try_begin_conversation(options);
        self.heed(begun)
    }

    /// Answers a message of a conversation.
    pub fn say(
        &mut self,
        adapters: &AdapterChoice,
        place: &Arc<Place>,
        message: &str,
        options: &GenerateOptions,
        cancel: &CancelToken,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Reply> {
        let _span = trace::begin(Work::Generation);
        let said = self.try_say(adapters, place, message, options, cancel, on_text);
        self.heed(said)
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
        adapters: &AdapterChoice,
        prompt: &Prompt,
        options: &GenerateOptions,
        cancel: &CancelToken,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation> {
        let (using, adapter) = self.using(adapters)?;
        let ids = self.ids(prompt, adapter.as_deref())?;
        let ends = self.ends(cancel);
        let generator =
            self.generator(&using, adapter.as_deref(), ids.len().saturating_add(options.max_tokens), cancel)?;
        generator.generate(&ids, options, &mut |text| {
            // The last piece as well: what is streamed and what is returned are the same text.
            on_text(text)?;
            ends()
        })
    }

    fn try_suggest(
        &mut self,
        adapters: &AdapterChoice,
        prompt: &str,
        options: &SuggestOptions,
        cancel: &CancelToken,
    ) -> Result<Vec<Suggestion>> {
        let (using, adapter) = self.using(adapters)?;
        let prompt = SuggestPrompt::new(&*self.model()?, adapter.as_deref(), prompt)?;
        let words = self.words()?;
        self.generator(&using, adapter.as_deref(), prompt.tokens(), cancel)?.suggest(&prompt, options, &words)
    }

    fn try_score(
        &mut self,
        adapters: &AdapterChoice,
        prompt: &Prompt,
        candidates: &[String],
        cancel: &CancelToken,
    ) -> Result<Vec<Score>> {
        let (using, adapter) = self.using(adapters)?;
        let ids = self.ids(prompt, adapter.as_deref())?;
        let behind = candidates.iter().map(|text| self.continuation(prompt, &ids, text, adapter.as_deref()));
        let continuations = behind.collect::<Result<Vec<_>>>()?;
        let Some(tokens) = continuations.iter().map(Continuation::tokens).max() else { return Ok(Vec::new()) };
        self.generator(&using, adapter.as_deref(), tokens, cancel)?.score(&continuations)
    }

    /// `text` behind the prompt, whose tokens are `ids`: read with it as one text, or by itself as the assistant's turn.
    fn continuation(
        &self,
        prompt: &Prompt,
        ids: &[u32],
        text: &str,
        adapter: Option<&Adapter>,
    ) -> Result<Continuation> {
        let model = self.model()?;
        if let Prompt::Text(before) = prompt {
            let joined = plain_prompt(&model, adapter, &format!("{before}{text}"))?;
            if let Some(continuation) = Continuation::within(joined, ids) {
                return Ok(continuation);
            }
        }
        Ok(Continuation::behind(ids, &model.tokenizer().encode(text)?))
    }

    fn try_begin_conversation(&mut self, options: ConversationOptions) -> Result<(Arc<Place>, GenerationPlan)> {
        let ConversationOptions { instructions, context, budget_bytes, turns } = options;
        let model = self.model()?;
        let opened = model.base().context;
        let context = context.unwrap_or(opened.min(DEFAULT_CONTEXT));
        if context == 0 || context > opened {
            let message = format!("a context of {context} tokens; the model was opened for {opened}");
            let made = model.base().config.max_position_embeddings;
            let error = Error::new(ErrorKind::BadOption, message);
            return Err(match context > opened && opened < made {
                true => error.with_hint(format!("open the engine with a longer context, of {made} tokens at most")),
                false => error.with_hint(format!("give 1 to {opened}")),
            });
        }
        let transcript = Transcript::new(model.tokenizer(), instructions.as_deref(), turns)?;
        let (_, adapter) = self.using(&AdapterChoice::InUse)?;
        let plan = GenerationPlan::new(self.cache.session()?, adapter.as_deref(), context, budget_bytes)?;
        Ok((Place::new(transcript, context, budget_bytes), plan))
    }

    fn try_say(
        &mut self,
        adapters: &AdapterChoice,
        place: &Arc<Place>,
        message: &str,
        options: &GenerateOptions,
        cancel: &CancelToken,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Reply> {
        let (using, adapter) = self.using(adapters)?;
        let model = self.model()?;
        model.files().check_whole()?;
        let mut said = place.said().clone();
        let most = place.context.saturating_sub(options.max_tokens);
        said.transcript.ask(model.tokenizer(), message, most)?;
        let prompt = said.transcript.prompt().to_vec();
        let mut cache = match self.conversations.take(place) {
            Some(cache) => cache,
            None => AnswerCache::new(self.cache.session()?.sibling()?),
        };
        let tokens = prompt.len().saturating_add(options.max_tokens);
        let room = Room { tokens, context: place.context, budget_bytes: place.budget_bytes };
        let ends = Arc::new(self.ends(cancel));
        let (conversations, answers) = (&mut self.conversations, &mut self.cache);
        let mut give_way = || conversations.free_first() || answers.free();
        let generated = cache.prepare(&using, adapter.as_deref(), room, &mut give_way).and_then(|generator| {
            generator.session_mut().set_between(Some(ends.clone()));
            generator.converse(&prompt, options, &mut |text| {
                on_text(text)?;
                ends()
            })
        });
        self.conversations.put(place, cache);
        let generation = generated?;
        if generation.finish_reason != FinishReason::Cancelled || !generation.text.is_empty() {
            said.transcript.answer(model.tokenizer(), &generation)?;
            let forgotten_turns = said.transcript.forgotten();
            place.take_down(said);
            return Ok(Reply { generation, forgotten_turns });
        }
        Ok(Reply { generation, forgotten_turns: place.said().transcript.forgotten() })
    }

    /// The model.
    pub fn model(&self) -> Result<Arc<Model>> {
        Ok(Arc::clone(self.cache.session()?.model()))
    }

    /// The device that answers.
    pub fn device(&self) -> Result<DeviceInfo> {
        Ok(self.cache.session()?.device().clone())
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

    /// What was chosen, and its adapter.
    fn using(&mut self, adapters: &AdapterChoice) -> Result<(Using, Option<Arc<Adapter>>)> {
        let model = self.model()?;
        let using = choice::chosen(adapters, &self.registry, &model)?;
        if let Some(at) = self.opened.iter().position(|(opened, _)| *opened == using) {
            let found = self.opened.remove(at);
            self.opened.push(found.clone());
            return Ok((using, Some(found.1)));
        }
        let Some(adapter) = choice::load(&using, &self.registry, &model)?.map(Arc::new) else {
            return Ok((using, None));
        };
        self.opened.push((using.clone(), Arc::clone(&adapter)));
        let excess = self.opened.len().saturating_sub(MOST_OPENED);
        self.opened.drain(..excess);
        Ok((using, Some(adapter)))
    }

    /// A generator with room for `tokens`, for what was chosen.
    fn generator(
        &mut self,
        using: &Using,
        adapter: Option<&Adapter>,
        tokens: usize,
        cancel: &CancelToken,
    ) -> Result<&mut Generator<Box<Session>>> {
        let model = self.model()?;
        model.files().check_whole()?;
        let ends = self.ends(cancel);
        let room = Room { tokens, context: model.base().context, budget_bytes: None };
        let conversations = &mut self.conversations;
        let generator = self.cache.prepare(using, adapter, room, &mut || conversations.free_first())?;
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

/// An answer that was cancelled before its first token.
pub(super) fn nothing_generated() -> Generation {
    Generation {
        text: String::new(),
        ids: Vec::new(),
        finish_reason: FinishReason::Cancelled,
        prompt_tokens: 0,
        cached_tokens: 0,
        prefill_seconds: 0.0,
        decode_seconds: 0.0,
    }
}
