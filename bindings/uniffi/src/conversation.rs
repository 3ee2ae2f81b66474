//! Conversations: turns over a cache that is kept between them.

use std::fmt;
use std::sync::Arc;

use idiolect::engine;
use idiolect::text::{ChatMessage, Role};

use crate::answers::{GenerateOptions, Generation, chosen};
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::listeners::TextListener;
use crate::samples::hidden;
use crate::text_batches::batched;

/// Who speaks a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Speaker {
    /// Whoever asks.
    User,
    /// The model, speaking as the person it learns from.
    Assistant,
}

/// One turn of a conversation.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug)]
pub struct Turn {
    /// Who speaks.
    pub speaker: Speaker,
    /// What is said.
    pub text: String,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hidden("Turn", &self.text, f).field("speaker", &self.speaker).finish()
    }
}

impl From<Turn> for ChatMessage {
    fn from(Turn { speaker, text }: Turn) -> Self {
        let role = match speaker {
            Speaker::User => Role::User,
            Speaker::Assistant => Role::Assistant,
        };
        Self::new(role, text)
    }
}

impl From<ChatMessage> for Turn {
    fn from(ChatMessage { role, content }: ChatMessage) -> Self {
        let speaker = match role {
            Role::Assistant => Speaker::Assistant,
            // Instructions are no turn of a conversation.
            Role::User | Role::System => Speaker::User,
        };
        Self { speaker, text: content }
    }
}

/// How a conversation is begun. What is left open takes the engine's default.
#[derive(Clone, Default, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug)]
pub struct ConversationOptions {
    /// What stands above it, as the system's turn of the model's chat template.
    #[uniffi(default = None)]
    pub instructions: Option<String>,
    /// Tokens that the model sees at most: instructions, turns and answer. None for 2,048, or what the engine was opened for
    /// where that is fewer.
    #[uniffi(default = None)]
    pub context: Option<u32>,
    /// Bytes that it has to keep to: of the process on the CPU, of the device on a GPU. None for what the machine has.
    #[uniffi(default = None)]
    pub budget_bytes: Option<u64>,
    /// Turns that were said before, oldest first.
    #[uniffi(default)]
    pub turns: Vec<Turn>,
}

impl fmt::Debug for ConversationOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        engine::ConversationOptions::from(self.clone()).fmt(f)
    }
}

impl From<ConversationOptions> for engine::ConversationOptions {
    fn from(options: ConversationOptions) -> Self {
        Self {
            instructions: options.instructions,
            context: options.context.map(|tokens| tokens as usize),
            budget_bytes: options.budget_bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
            turns: options.turns.into_iter().map(Into::into).collect(),
        }
    }
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
#[uniffi::export(Debug)]
pub struct Reply {
    /// The answer. Its `cached_tokens` are those of the prompt that earlier turns had left.
    pub generation: Generation,
    /// How many of the conversation's first turns the model does not see any more, for they do not fit the context.
    pub forgotten_turns: u64,
}

impl From<engine::Reply> for Reply {
    fn from(reply: engine::Reply) -> Self {
        Self { generation: reply.generation.into(), forgotten_turns: reply.forgotten_turns as u64 }
    }
}

/// A conversation with an engine's model and the adapter in use.
///
/// What was computed is kept, answers too, so that a turn costs what is new in it. Where that is gone (another adapter was
/// put to use, memory was asked back, other conversations took its place), the next turn computes it again. Turns that do
/// not fit the context any more are forgotten by whole exchanges from the beginning on, half of the context at a time; the
/// instructions stay. Freeing the object frees its cache.
#[derive(uniffi::Object)]
pub struct Conversation {
    inner: engine::Conversation,
}

impl Conversation {
    pub(crate) fn of(inner: engine::Conversation) -> Arc<Self> {
        Arc::new(Self { inner })
    }
}

#[uniffi::export]
impl Conversation {
    /// Answers a message, with the adapter in use or those of the options; where they are others than those of the turn
    /// before, this turn computes all of the conversation again. Cancelled, it gives what there is so far, and that is what was said. A message that got no word of
    /// an answer is no part of the conversation.
    ///
    /// # Errors
    /// `BadOption` when the message is too long for the context, or an option is out of range; `OverBudget` when there is no
    /// memory for it; when the model's chat template refuses the message, or the model cannot be opened; `Closed` when the
    /// engine is shut down; `Listener` when the listener failed.
    pub fn say(
        &self,
        message: String,
        options: GenerateOptions,
        cancel: Arc<CancelToken>,
        listener: Arc<dyn TextListener>,
    ) -> Result<Reply> {
        let adapters = chosen(options.adapters.clone());
        batched(listener, |on_text| self.inner.say_using(&adapters, &message, &options.into(), &cancel.inner, on_text))
            .map(Into::into)
    }

    /// All turns, oldest first, those that the model does not see any more among them.
    pub fn turns(&self) -> Vec<Turn> {
        self.inner.turns().into_iter().map(Into::into).collect()
    }

    /// Begins anew under the same instructions. An answer under way is given to the end, and is no part of it.
    pub fn clear(&self) {
        self.inner.clear();
    }

    /// Bytes that it takes with its whole context in use, model included: of the process on the CPU, of the device on a GPU.
    pub fn planned_bytes(&self) -> u64 {
        self.inner.plan().total_bytes() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_open_is_the_engines_default() {
        let options = engine::ConversationOptions::from(ConversationOptions::default());
        let defaults = engine::ConversationOptions::default();
        assert_eq!(format!("{options:?}"), format!("{defaults:?}"));
        assert_eq!((options.instructions, options.turns), (defaults.instructions, defaults.turns));
    }

    #[test]
    fn nothing_said_is_shown() {
        let turn = Turn { speaker: Speaker::User, text: "my secret".into() };
        let instructions = Some("another secret".into());
        let options = ConversationOptions { instructions, turns: vec![turn.clone()], ..ConversationOptions::default() };
        for shown in [format!("{turn:?}"), format!("{options:?}")] {
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}
