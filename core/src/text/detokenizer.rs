//! Text from tokens as they come, in whole characters.

use super::Tokenizer;
use crate::{Error, ErrorKind, Result};

/// Decodes a window of tokens at a time: it ends with the first token after which the text is whole
/// characters, so nothing that follows changes it. The window before is decoded along with it, since the
/// first token of a text loses its leading space in some vocabularies.
#[derive(Debug)]
pub(crate) struct Detokenizer<'t> {
    tokenizer: &'t Tokenizer,
    before: Vec<u32>,
    window: Vec<u32>,
}

impl<'t> Detokenizer<'t> {
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        Self { tokenizer, before: Vec::new(), window: Vec::new() }
    }

    /// Takes the next token; gives the text that is complete with it. Control tokens and ids beyond the
    /// vocabulary leave no trace.
    pub fn push(&mut self, id: u32) -> Result<String> {
        if self.tokenizer.is_control(id) {
            return Ok(String::new());
        }
        self.window.push(id);
        let text = self.text()?;
        if text.ends_with(char::REPLACEMENT_CHARACTER) {
            return Ok(String::new());
        }
        std::mem::swap(&mut self.before, &mut self.window);
        self.window.clear();
        Ok(text)
    }

    /// The text of the tokens that make no whole character.
    pub fn finish(self) -> Result<String> {
        self.text()
    }

    fn text(&self) -> Result<String> {
        let before = self.decode(&self.before)?;
        let both = self.decode(&[self.before.as_slice(), &self.window].concat())?;
        match both.strip_prefix(before.as_str()) {
            Some(text) => Ok(text.to_owned()),
            // Bytes that are no character, decoded together with good ones, spoil those.
            None => self.decode(&self.window),
        }
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        let failed = |_| Error::new(ErrorKind::BadData, "the tokenizer cannot decode these token ids");
        self.tokenizer.pipeline.decode(ids, true).map_err(failed)
    }
}
