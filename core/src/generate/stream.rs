//! Text from tokens as they come: whole characters only, and never past a stop string.

use super::StopMatcher;
use crate::Result;
use crate::text::{Detokenizer, Tokenizer};

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
        Ok(Self { detokenizer: Detokenizer::new(tokenizer), stops: StopMatcher::new(stops)? })
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
        let rest = self.detokenizer.finish()?;
        let mut text = self.stops.push(&rest);
        text.push_str(&self.stops.finish());
        Ok(Piece { text, stopped: self.stops.stopped() })
    }
}
