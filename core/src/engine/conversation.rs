//! Conversations: turns under instructions, over a cache that is kept between them.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::answer_cache::AnswerCache;
use super::asking::streamed;
use super::cancel::CancelToken;
use super::choice::AdapterChoice;
use super::queue::Queue;
use super::serving::nothing_generated;
use crate::error::{ErrorKind, Result};
use crate::generate::{GenerateOptions, Generation, GenerationPlan, Transcript};
use crate::text::ChatMessage;

/// Conversations whose caches are held at a time. Of those used longest ago they are computed again.
const MOST_CACHES: usize = 3;

/// How a conversation is begun.
#[derive(Clone, Default)]
pub struct ConversationOptions {
    /// What stands above it, as the system's turn of the model's chat template. `None` for what the template itself has there.
    pub instructions: Option<String>,
    /// Tokens that the model sees at most: instructions, turns and answer. `None` for 2,048, or what the engine was opened
    /// for where that is fewer.
    pub context: Option<usize>,
    /// Bytes that it has to keep to, as [`GenerationPlan`] counts them. `None` for what the machine has.
    pub budget_bytes: Option<usize>,
    /// Turns that were said before, oldest first: of the user and the assistant.
    pub turns: Vec<ChatMessage>,
}

/// Never what was said.
impl fmt::Debug for ConversationOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConversationOptions")
            .field("has_instructions", &self.instructions.is_some())
            .field("context", &self.context)
            .field("budget_bytes", &self.budget_bytes)
            .field("turns", &self.turns.len())
            .finish()
    }
}

/// What was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The answer. Its `cached_tokens` are those of the prompt that earlier turns had left.
    pub generation: Generation,
    /// How many of the conversation's first turns the model does not see any more, for they do not fit the context.
    pub forgotten_turns: usize,
}

/// A conversation with the engine's model and the adapter in use.
///
/// Its cache keeps what was computed, answers too, so that a turn costs what is new in it. Where the cache is gone (another
/// adapter was put to use, memory was asked back, other conversations took its place), the next turn computes all of it
/// again: the logits are the same within rounding. Turns that do not fit the context any more are forgotten by whole
/// exchanges from the beginning on, half of the context at a time; the instructions stay.
pub struct Conversation {
    queue: Arc<Queue>,
    place: Arc<Place>,
    plan: GenerationPlan,
}

impl Conversation {
    pub(super) fn new(queue: Arc<Queue>, place: Arc<Place>, plan: GenerationPlan) -> Self {
        Self { queue, place, plan }
    }

    /// Answers a message; `on_text` sees pieces of whole characters on the calling thread. Cancelled, it gives what there is
    /// so far, and that is what was said. A message that got no word of an answer is no part of the conversation: not where
    /// it was cancelled before, and not where an error is given.
    ///
    /// # Errors
    /// [`ErrorKind::BadOption`] when the message is too long for the context, or an option is out of range;
    /// [`ErrorKind::OverBudget`] when there is no memory for it; when the model's chat template refuses the message, or the
    /// model cannot be opened.
    pub fn say(
        &self,
        message: &str,
        options: &GenerateOptions,
        cancel: &CancelToken,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Reply> {
        self.say_using(&AdapterChoice::InUse, message, options, cancel, on_text)
    }

    /// The same with adapters that were chosen: where they are others than those of the turn before, this turn computes all
    /// of the conversation again.
    ///
    /// # Errors
    /// As [`Conversation::say`]; when an adapter that was chosen is not there or was made for another base.
    pub fn say_using(
        &self,
        adapters: &AdapterChoice,
        message: &str,
        options: &GenerateOptions,
        cancel: &CancelToken,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Reply> {
        let (place, message) = (Arc::clone(&self.place), message.to_owned());
        let (adapters, options, stop) = (adapters.clone(), options.clone(), cancel.clone());
        let said = streamed(&self.queue, cancel, on_text, move |serving, show| {
            serving.say(&adapters, &place, &message, &options, &stop, show)
        });
        match said {
            Err(error) if error.kind() == ErrorKind::Cancelled => {
                let forgotten_turns = self.place.said().transcript.forgotten();
                Ok(Reply { generation: nothing_generated(), forgotten_turns })
            }
            other => other,
        }
    }

    /// All turns, oldest first, those that the model does not see any more among them.
    pub fn turns(&self) -> Vec<ChatMessage> {
        self.place.said().transcript.turns().to_vec()
    }

    /// Begins anew under the same instructions. An answer under way is given to the end, and is no part of it.
    pub fn clear(&self) {
        let mut said = self.place.said();
        *said = Said { transcript: said.transcript.cleared(), clearings: said.clearings + 1 };
    }

    /// What it takes with its whole context in use, for the adapter that was in use when it was begun.
    pub fn plan(&self) -> &GenerationPlan {
        &self.plan
    }
}

/// Never what was said.
impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation")
            .field("turns", &self.place.said().transcript.turns().len())
            .finish_non_exhaustive()
    }
}

/// What was said, and how often all of it was cleared away.
#[derive(Clone)]
pub(super) struct Said {
    pub transcript: Transcript,
    clearings: u64,
}

/// What a conversation and the worker share. Neither is locked while an answer is made.
pub(super) struct Place {
    said: Mutex<Said>,
    cache: Mutex<Option<AnswerCache>>,
    pub context: usize,
    pub budget_bytes: Option<usize>,
}

impl Place {
    pub fn new(transcript: Transcript, context: usize, budget_bytes: Option<usize>) -> Arc<Self> {
        let said = Mutex::new(Said { transcript, clearings: 0 });
        Arc::new(Self { said, cache: Mutex::new(None), context, budget_bytes })
    }

    pub fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an answer down, unless all was cleared away since it was asked for.
    pub fn take_down(&self, answered: Said) {
        let mut said = self.said();
        if said.clearings == answered.clearings {
            *said = answered;
        }
    }

    fn cache(&self) -> MutexGuard<'_, Option<AnswerCache>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The conversations that have a cache, the one used longest ago first. A conversation that is dropped takes its cache along.
#[derive(Default)]
pub(super) struct Holders(Vec<Weak<Place>>);

impl Holders {
    /// Takes a conversation's cache out, where it has one, to answer on it; where too many would have one then, those used
    /// longest ago lose theirs.
    pub fn take(&mut self, place: &Place) -> Option<AnswerCache> {
        self.0.retain(|held| held.strong_count() > 0 && !std::ptr::eq(held.as_ptr(), place));
        while self.0.len() >= MOST_CACHES && self.free_first() {}
        place.cache().take()
    }

    /// Puts it back, as the one used last.
    pub fn put(&mut self, place: &Arc<Place>, cache: AnswerCache) {
        *place.cache() = Some(cache);
        self.0.push(Arc::downgrade(place));
    }

    /// Frees the cache of the conversation used longest ago; `false` where none has one.
    pub fn free_first(&mut self) -> bool {
        while !self.0.is_empty() {
            if self.0.remove(0).upgrade().and_then(|place| place.cache().take()).is_some() {
                return true;
            }
        }
        false
    }
}

impl Drop for Holders {
    /// The device goes: nothing is left on it.
    fn drop(&mut self) {
        while self.free_first() {}
    }
}
