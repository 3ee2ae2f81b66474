//! Texts as prompts.

use crate::adapter::Adapter;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Model;
use crate::text::{ChatMessage, Role};

/// A prompt's token ids: `text` as it is, after the document-start token where it is empty or the adapter (also one that
/// is merged in) was trained so, after a BOS where the model's own settings add one.
///
/// # Errors
/// When the text cannot be tokenized, or is empty and the model has no document-start token.
pub fn plain_prompt(model: &Model, adapter: Option<&Adapter>, text: &str) -> Result<Vec<u32>> {
    let mut ids = Vec::from_iter(prompt_start(model, adapter, text));
    ids.extend(model.tokenizer().encode(text)?);
    if ids.is_empty() {
        return Err(Error::new(ErrorKind::BadData, "the prompt is empty and the model has no document-start token"));
    }
    Ok(ids)
}

/// The token that goes before a plain prompt, where there is one.
pub(super) fn prompt_start(model: &Model, adapter: Option<&Adapter>, text: &str) -> Option<u32> {
    let tokenizer = model.tokenizer();
    if text.is_empty() || model.document_start() || adapter.is_some_and(Adapter::document_start) {
        return tokenizer.document_start();
    }
    tokenizer.bos().filter(|_| tokenizer.adds_bos())
}

/// `text` as the user's turn of the model's own chat template, ready for the assistant's.
///
/// # Errors
/// When the model has no chat template, or it fails.
pub fn chat_prompt(model: &Model, text: &str) -> Result<Vec<u32>> {
    model.tokenizer().encode_chat(&[ChatMessage::new(Role::User, text)], true)
}
