//! Text from tokens as they come: whole characters only, and never past a stop string.

use super::StopMatcher;
use crate::Result;
use crate::text::Tokenizer;

/// What a token brought: text to show, and whether a stop string ended the generation with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Piece {
    /// Complete UTF-8, often empty: a character may take several tokens.
    pub text: String,
    /// A stop string has come; no text follows.
    pub stopped: bool,
}

/// Turns token ids into text one by one. Without a stop string, the pieces together are
/// [`Tokenizer::decode`] of all the ids; with one, the text before it.
#[derive(Debug)]
pub struct TextStream<'t> {
    detokenizer: Detokenizer<'t>,
    stops: StopMatcher,
}

impl<'t> TextStream<'t> {
    /// A stream of `tokenizer`'s ids that ends at any of `stops`.
    ///
    /// # Errors
    /// `BadOption` for an empty stop string.
    pub fn new(tokenizer: &'t Tokenizer, stops: &[String]) -> Result<Self> {
        Ok(Self {
            detokenizer: Detokenizer { tokenizer, anchor: None, window: Vec::new() },
            stops: StopMatcher::new(stops)?,
        })
    }

    /// Takes the next token.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn push(&mut self, id: u32) -> Result<Piece> {
        let text = self.detokenizer.push(id)?;
        Ok(Piece { text: self.stops.push(&text), stopped: self.stops.stopped() })
    }

    /// The end of the tokens: gives what was held back, an incomplete character as U+FFFD.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn finish(mut self) -> Result<Piece> {
        let rest = self.detokenizer.flush()?;
        let mut text = self.stops.push(&rest);
        text.push_str(&self.stops.finish());
        Ok(Piece { text, stopped: self.stops.stopped() })
    }
}

/// Decodes a window of tokens at a time. A window ends where the text cannot change any more, whatever
/// follows: after a whole character, and not within a run of byte tokens (`<0x0A>`), which a tokenizer with
/// byte fallback decodes together. The token before the window is decoded along with it, since the first
/// token of a text loses its leading space in some vocabularies.
#[derive(Debug)]
struct Detokenizer<'t> {
    tokenizer: &'t Tokenizer,
    anchor: Option<u32>,
    window: Vec<u32>,
}

impl Detokenizer<'_> {
    fn push(&mut self, id: u32) -> Result<String> {
        // Control tokens leave no trace in the text, nor do ids beyond the vocabulary.
        if self.tokenizer.is_control(id) {
            return Ok(String::new());
        }
        let Some(token) = self.tokenizer.token_text(id) else { return Ok(String::new()) };
        self.window.push(id);
        if is_byte(&token) {
            return Ok(String::new());
        }
        let text = self.text()?;
        if text.ends_with(char::REPLACEMENT_CHARACTER) {
            return Ok(String::new());
        }
        self.anchor = Some(id);
        self.window.clear();
        Ok(text)
    }

    fn flush(&mut self) -> Result<String> {
        let text = self.text()?;
        self.window.clear();
        Ok(text)
    }

    /// The text of the window.
    fn text(&self) -> Result<String> {
        let Some(anchor) = self.anchor else { return self.tokenizer.decode(&self.window) };
        let ids: Vec<u32> = std::iter::once(anchor).chain(self.window.iter().copied()).collect();
        let text = self.tokenizer.decode(&ids)?;
        let before = self.tokenizer.decode(&[anchor])?;
        match text.strip_prefix(before.as_str()) {
            Some(rest) => Ok(rest.to_owned()),
            None => self.tokenizer.decode(&self.window),
        }
    }
}

fn is_byte(token: &str) -> bool {
    token.len() == 6 && token.starts_with("<0x") && token.ends_with('>')
}
