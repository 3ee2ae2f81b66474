//! Whole next words with their probabilities.

use std::fmt;
use std::ops::DerefMut;
use std::sync::Arc;

use super::Generator;
use crate::error::Result;
use crate::model::Model;
use crate::session::Session;
use crate::text::Tokenizer;

/// Tokens that a word may have.
const LONGEST_WORD: usize = 6;

/// First tokens that are followed, for every word that is wanted.
const BRANCHES: usize = 2;

/// A word that may come next.
#[derive(Clone, PartialEq)]
pub struct Suggestion {
    /// The word as it continues the prompt: with the space before it where there is one.
    pub text: String,
    /// How likely the model finds that exactly this word comes next, greedily spelled.
    pub probability: f64,
}

/// Never the word: with the prompt it tells what the person writes.
impl fmt::Debug for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Suggestion({} bytes, {})", self.text.len(), self.probability)
    }
}

/// Which tokens begin a new word, and which cannot be part of a text: a table of one vocabulary.
#[derive(Debug)]
pub struct WordTable {
    kinds: Vec<TokenKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TokenKind {
    /// Goes on with the word before it.
    Continues,
    /// Begins with a space or a mark, so that a word before it has ended.
    Begins,
    /// A control token: ends a word, begins none.
    Control,
}

impl WordTable {
    /// The table of a model's vocabulary.
    pub fn new(tokenizer: &Tokenizer) -> Self {
        let kind = |id: u32| {
            if tokenizer.is_control(id) || tokenizer.is_eos(id) {
                return TokenKind::Control;
            }
            match tokenizer.token_text(id).and_then(|text| text.chars().next()) {
                // How byte-level and SentencePiece vocabularies spell a space and a line's end.
                Some('Ġ' | '▁' | 'Ċ' | ' ') => TokenKind::Begins,
                Some(first) if first.is_ascii_punctuation() && !matches!(first, '\'' | '-') => TokenKind::Begins,
                _ => TokenKind::Continues,
            }
        };
        Self { kinds: (0..tokenizer.vocab_size() as u32).map(kind).collect() }
    }

    fn kind(&self, id: usize) -> TokenKind {
        self.kinds.get(id).copied().unwrap_or(TokenKind::Control)
    }
}

impl<S: DerefMut<Target = Session>> Generator<S> {
    /// The `count` likeliest next words after `prompt`, likeliest first.
    ///
    /// The likeliest first tokens are each continued greedily for as long as going on with the word is likelier than
    /// ending it; a word's probability is the product of its tokens' and of its end's.
    ///
    /// # Errors
    /// As [`Generator::generate`].
    pub fn suggest(&mut self, prompt: &[u32], count: usize, words: &WordTable) -> Result<Vec<Suggestion>> {
        let model: Arc<Model> = Arc::clone(self.session().model());
        let first = softmax(&self.prompt_logits(prompt, LONGEST_WORD)?);
        let mut ids: Vec<usize> = (0..first.len()).filter(|&id| words.kind(id) != TokenKind::Control).collect();
        ids.sort_unstable_by(|&a, &b| first[b].total_cmp(&first[a]).then(a.cmp(&b)));
        let mut suggestions: Vec<Suggestion> = Vec::new();
        for &id in ids.iter().take(count * BRANCHES) {
            let (spelled, probability) = self.word(prompt, id as u32, first[id], words)?;
            let text = model.tokenizer().decode(&spelled)?;
            if text.trim().is_empty() || text.contains(char::REPLACEMENT_CHARACTER) {
                continue;
            }
            match suggestions.iter_mut().find(|known| known.text == text) {
                Some(known) => known.probability += probability,
                None => suggestions.push(Suggestion { text, probability }),
            }
        }
        suggestions.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        suggestions.truncate(count);
        Ok(suggestions)
    }

    /// The word that begins with `first`, and its probability.
    fn word(&mut self, prompt: &[u32], first: u32, mut probability: f64, words: &WordTable) -> Result<(Vec<u32>, f64)> {
        let mut spelled = vec![first];
        loop {
            let next = softmax(&self.next_logits(prompt.len() + spelled.len() - 1, spelled[spelled.len() - 1])?);
            let (mut ends, mut likeliest) = (0.0, None::<usize>);
            for (id, &p) in next.iter().enumerate() {
                match words.kind(id) {
                    TokenKind::Continues => {
                        if likeliest.is_none_or(|best| next[best] < p) {
                            likeliest = Some(id);
                        }
                    }
                    TokenKind::Begins | TokenKind::Control => ends += p,
                }
            }
            match likeliest.filter(|&id| next[id] > ends && spelled.len() < LONGEST_WORD) {
                Some(id) => {
                    probability *= next[id];
                    spelled.push(id as u32);
                }
                None => return Ok((spelled, probability * ends)),
            }
        }
    }
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> = logits.iter().map(|&z| f64::from(z - most).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|e| e / sum).collect()
}
