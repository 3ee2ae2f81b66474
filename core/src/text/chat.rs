//! Conversations to token ids by the model's own chat template.

use serde::{Deserialize, Serialize};

use super::Tokenizer;
use super::template::Rendered;
use crate::{Error, ErrorKind, Result};

/// Who speaks a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions that stand above the conversation.
    System,
    /// The correspondent, or whoever asks.
    User,
    /// The model, speaking as the person it learns from.
    Assistant,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl ChatMessage {
    /// A turn of `role`.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

impl Tokenizer {
    /// The ids of a conversation as the model's chat template renders it, with `add_generation_prompt` up to
    /// where the assistant's next turn begins. Control tokens spelled out in a message's content are text.
    ///
    /// # Errors
    /// `Unsupported` where the model has no template that can be used, `BadData` where the template refuses
    /// the conversation. No error holds a message's content.
    pub fn encode_chat(&self, messages: &[ChatMessage], add_generation_prompt: bool) -> Result<Vec<u32>> {
        let Rendered { text, contents } = self.render_chat(messages, add_generation_prompt)?;
        let tokens = match &contents {
            Some(contents) => self.encode_around(&text, contents)?,
            None if messages.iter().any(|message| self.spells_control(&message.content)) => {
                let what = "a message spells out a control token, and the model's chat template rewrites messages";
                return Err(Error::new(ErrorKind::BadData, what).with_hint("leave such tokens out of the message"));
            }
            None => self.encode_around(&text, &[])?,
        };
        Ok(tokens.into_iter().map(|token| token.id).collect())
    }

    /// A training sample of one exchange: `context` as the user's turn and `reply` as the assistant's, under
    /// the template's own default system turn. Gives the ids, the last of them the end-of-turn token, and the
    /// index of the first one that carries loss: the reply and the end-of-turn token do, nothing before them.
    ///
    /// # Errors
    /// As [`encode_chat`](Self::encode_chat); `BadData` for an empty reply; `Unsupported` where the template
    /// rewrites the reply or the model has no end-of-turn token.
    pub fn encode_turn(&self, context: &str, reply: &str) -> Result<(Vec<u32>, usize)> {
        if reply.trim().is_empty() {
            return Err(Error::new(ErrorKind::BadData, "a reply to learn from is empty"));
        }
        let end_of_turn = self
            .end_of_turn()
            .ok_or_else(|| Error::new(ErrorKind::Unsupported, "the model has no end-of-turn token (eos_token)"))?;
        let messages = [ChatMessage::new(Role::User, context), ChatMessage::new(Role::Assistant, reply)];
        let Rendered { text, contents } = self.render_chat(&messages, false)?;
        let Some((contents, reply)) = contents.as_deref().and_then(|contents| Some((contents, contents.last()?)))
        else {
            let what = "the model's chat template rewrites messages, so what to learn cannot be told from the rest";
            return Err(Error::new(ErrorKind::Unsupported, what).with_hint("train on text without context"));
        };

        let tokens = self.encode_around(&text, contents)?;
        let first = tokens.partition_point(|token| token.bytes.end <= reply.start);
        let closing = tokens.iter().position(|token| token.bytes.start >= reply.end && self.is_eos(token.id));
        let end = closing.unwrap_or_else(|| tokens.partition_point(|token| token.bytes.start < reply.end));
        let mut ids: Vec<u32> = tokens[..end].iter().map(|token| token.id).collect();
        ids.push(closing.map_or(end_of_turn, |closing| tokens[closing].id));
        Ok((ids, first))
    }

    fn render_chat(&self, messages: &[ChatMessage], add_generation_prompt: bool) -> Result<Rendered> {
        let template = self.template.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "the model has no chat template")
                .with_hint("use a plain prompt, or a model with a chat template")
        })?;
        template.render(messages, add_generation_prompt)
    }
}
