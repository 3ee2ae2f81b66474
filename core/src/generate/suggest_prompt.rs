//! A text as suggestions read it: what is settled, and the word that is begun.

use std::fmt;

use super::branches::BRANCH_ROWS;
use super::plan::check_capacity;
use super::prompt::{plain_prompt, prompt_start};
use crate::adapter::Adapter;
use crate::error::Result;
use crate::model::Model;
use crate::text::word::{begins_sentence, begun_word};

/// Bytes that a token stands for at most, where a text is far longer than the context.
const MOST_BYTES: usize = 16;

/// What stands between the settled text and the next word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lead {
    /// A space, which the next word's token takes.
    Space,
    /// Nothing: a line's end, an opening bracket or the text's start is before it.
    Nothing,
    /// Nothing as yet: the word may come with a space of its own.
    Either,
}

/// A text that is being typed: the tokens before the word that is begun at its end, and that word's letters. However many
/// letters the word has got, the tokens before it are the same.
///
/// A text longer than the model's context is read from its end. What is left out grows by half a context at a time: in
/// between, every letter finds the same tokens before it.
#[derive(Clone, PartialEq)]
pub struct SuggestPrompt {
    pub(super) prefix: Vec<u32>,
    pub(super) lead: Lead,
    pub(super) typed: String,
    pub(super) begins_sentence: bool,
}

/// Never what the person wrote.
impl fmt::Debug for SuggestPrompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SuggestPrompt({} tokens, {} bytes typed)", self.prefix.len(), self.typed.len())
    }
}

impl SuggestPrompt {
    /// Reads `text` for suggestions with `adapter`.
    ///
    /// # Errors
    /// As [`plain_prompt`]; when the model's context has no room for a prompt and suggestions.
    pub fn new(model: &Model, adapter: Option<&Adapter>, text: &str) -> Result<Self> {
        let context = model.base().context;
        check_capacity(2 * BRANCH_ROWS, context)?;
        let (before, typed) = text.split_at(begun_word(text));
        let (settled, lead) = match before.strip_suffix(' ') {
            Some(settled) => (settled, Lead::Space),
            None if !typed.is_empty() || before.ends_with(char::is_whitespace) || before.is_empty() => {
                (before, Lead::Nothing)
            }
            None => (before, Lead::Either),
        };
        let prefix = last_tokens(model, adapter, settled, context - BRANCH_ROWS)?;
        Ok(Self { prefix, lead, typed: typed.to_owned(), begins_sentence: begins_sentence(before) })
    }

    /// Tokens that a generator must have room for.
    pub fn tokens(&self) -> usize {
        self.prefix.len() + BRANCH_ROWS
    }
}

/// The tokens of `text`, or of its end where there are more than `most`.
fn last_tokens(model: &Model, adapter: Option<&Adapter>, text: &str, most: usize) -> Result<Vec<u32>> {
    let near = &text[far_part(text, most * MOST_BYTES)..];
    let ids = plain_prompt(model, adapter, near)?;
    if ids.len() <= most {
        return Ok(ids);
    }
    let start = Vec::from_iter(prompt_start(model, adapter, near));
    let tokens = model.tokenizer().encode_placed(near)?;
    let room = most - start.len();
    let cut = (tokens.len() - room).next_multiple_of(room.div_ceil(2));
    // A word goes whole.
    let begins_word =
        |at: &usize| near.as_bytes()[tokens[*at].bytes.clone()].first().is_some_and(u8::is_ascii_whitespace);
    let cut = (cut..tokens.len()).find(begins_word).unwrap_or(cut);
    Ok(start.into_iter().chain(tokens[cut..].iter().map(|token| token.id)).collect())
}

/// Bytes of `text` that are left out unread where it is longer than `most`: half of `most` or a multiple.
fn far_part(text: &str, most: usize) -> usize {
    let excess = text.len().saturating_sub(most);
    let mut start = excess.next_multiple_of((most / 2).max(1)).min(text.len());
    while !text.is_char_boundary(start) {
        start += 1;
    }
    start
}
