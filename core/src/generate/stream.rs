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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::fixtures::{built, byte_fallback, byte_level, folder};

    fn pieces(tokenizer: &Tokenizer, ids: &[u32], stops: &[&str]) -> (Vec<String>, bool) {
        let stops: Vec<String> = stops.iter().map(|stop| stop.to_string()).collect();
        let mut stream = TextStream::new(tokenizer, &stops).expect("a stream");
        let mut pieces: Vec<Piece> = ids.iter().map(|id| stream.push(*id).expect("a piece")).collect();
        pieces.push(stream.finish().expect("the rest"));
        (pieces.iter().map(|piece| piece.text.clone()).collect(), pieces.iter().any(|piece| piece.stopped))
    }

    fn fallback() -> Tokenizer {
        let (_guard, dir) = folder(&[("tokenizer.json", &byte_fallback().to_string())]);
        Tokenizer::from_folder(&dir).expect("a tokenizer")
    }

    #[test]
    fn characters_come_whole() {
        let bytes = built(&byte_level());
        let byte = |text: &str| bytes.encode(text).expect("ids");
        let lost = char::REPLACEMENT_CHARACTER.to_string();
        for (ids, expected) in [
            (byte("é!"), vec!["", "é", "!", ""]),
            (byte("😀"), vec!["", "", "", "😀", ""]),
            (byte("😀")[..3].to_vec(), vec!["", "", "", lost.as_str()]),
            ([&byte("é")[..1], &byte("a")].concat(), vec!["", &format!("{lost}a"), ""]),
            ([&byte("é")[..1], &[2], &byte("é")[1..]].concat(), vec!["", "", "é", ""]),
            (byte(" hello hello"), vec![" hello", " hello", ""]),
            (vec![], vec![""]),
        ] {
            assert_eq!(pieces(&bytes, &ids, &[]).0, expected, "{ids:?}");
        }
        let fallback = fallback();
        let id = |token: &str| fallback.token_id(token).expect("an id");
        let (hi, space, newline) = (id("▁hi"), id("▁"), id("<0x0A>"));
        for (ids, expected) in [
            (vec![hi, hi], vec!["hi", " hi", ""]),
            (vec![1, hi, 2, hi], vec!["", "hi", "", " hi", ""]),
            (vec![space, space, hi], vec!["", " ", " hi", ""]),
            (vec![newline, hi], vec!["\n", " hi", ""]),
            (vec![id("<0xC3>"), id("<0xA9>"), newline], vec!["", "é", "\n", ""]),
            (vec![newline, id("<0xC3>"), hi], vec!["\n", "", &format!("{lost} hi"), ""]),
        ] {
            assert_eq!(pieces(&fallback, &ids, &[]).0, expected, "{ids:?}");
        }
    }

    #[test]
    fn pieces_together_are_the_decoded_text() {
        for tokenizer in [built(&byte_level()), fallback()] {
            // A walk over all ids, in a fixed disorder.
            let size = tokenizer.vocab_size() as u32;
            for start in 0..200 {
                let ids: Vec<u32> = (0..30).map(|step| (start * 37 + step * step * 101 + step) % size).collect();
                assert_eq!(pieces(&tokenizer, &ids, &[]).0.concat(), tokenizer.decode(&ids).expect("text"));
            }
        }
    }

    #[test]
    fn nothing_is_shown_past_a_stop_string() {
        let tokenizer = built(&byte_level());
        for (text, stops, expected, stopped) in [
            ("hello user hello", vec!["user"], "hello ", true),
            ("hello user", vec!["o us"], "hell", true),
            ("one\ntwo", vec!["\n\n"], "one\ntwo", false),
            ("😀😀", vec!["😀😀"], "", true),
            ("ends in the midd", vec!["middle"], "ends in the midd", false),
        ] {
            let ids = tokenizer.encode(text).expect("ids");
            let (shown, ended) = pieces(&tokenizer, &ids, &stops);
            assert_eq!((shown.concat().as_str(), ended), (expected, stopped), "{text}");
        }
    }
}
