//! Suggestions: the word that is begun, completed, or the next one.

use std::collections::HashMap;
use std::fmt;
use std::ops::DerefMut;
use std::sync::Arc;

use super::word_search::Search;
use super::{Generator, SuggestPrompt, WordTable};
use crate::error::{Error, ErrorKind, Result};
use crate::session::Session;

/// Suggestions that may be asked for at a time.
const MOST_SUGGESTIONS: usize = 64;

/// Passes that suggestions take at most.
const MOST_PASSES: usize = 8;

/// Bytes of next tokens' probabilities that are remembered.
const MOST_EXPLORED: usize = 16 << 20;

/// What to suggest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuggestOptions {
    /// How many at most, up to 64.
    pub count: usize,
    /// Punctuation marks as well.
    pub punctuation: bool,
    /// Emoji as well.
    pub emoji: bool,
}

impl Default for SuggestOptions {
    /// Three words.
    fn default() -> Self {
        Self { count: 3, punctuation: false, emoji: false }
    }
}

/// A word that completes the one that is begun, or may come next.
#[derive(Clone, PartialEq)]
pub struct Suggestion {
    /// What to insert: the whole word, in the case that the sentence asks for. It begins with a space only where the
    /// prompt ends neither in one nor within a word, and the word does not go directly behind it.
    pub text: String,
    /// How many characters (Unicode scalar values) at the prompt's end it takes the place of: those of the word that is
    /// begun; 0 where none is; 1 where a mark goes in the place of a space.
    pub replaces: usize,
    /// How likely the model finds that exactly this word comes, given the letters typed; however it is cased.
    pub probability: f64,
}

/// Never the word: with the prompt it tells what the person writes.
impl fmt::Debug for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Suggestion({} bytes for {}, {})", self.text.len(), self.replaces, self.probability)
    }
}

/// What may come after a prefix and after branches of it, as far as it was looked at: the next letter asks for most of it
/// again.
#[derive(Default)]
pub(super) struct Explored {
    prefix: Vec<u32>,
    /// The probabilities of all tokens behind a branch.
    next: HashMap<Vec<u32>, Arc<[f32]>>,
}

impl Explored {
    /// Keeps what is behind `prefix`.
    fn go_to(&mut self, prefix: &[u32]) {
        match prefix.strip_prefix(&self.prefix[..]) {
            Some(branch) if !self.prefix.is_empty() => {
                if !branch.is_empty() {
                    let next = std::mem::take(&mut self.next).into_iter();
                    self.next =
                        next.filter_map(|(path, next)| Some((path.strip_prefix(branch)?.to_vec(), next))).collect();
                }
            }
            _ => self.next.clear(),
        }
        if self.next.values().map(|next| size_of_val(&**next)).sum::<usize>() > MOST_EXPLORED {
            self.next.retain(|path, _| path.is_empty());
        }
        self.prefix = prefix.to_vec();
    }

    /// The probabilities of all tokens behind a branch, where they are known.
    pub(super) fn next(&self, branch: &[u32]) -> Option<&[f32]> {
        self.next.get(branch).map(|next| &**next)
    }
}

impl<S: DerefMut<Target = Session>> Generator<S> {
    /// The likeliest words that complete the one begun at the prompt's end, or the likeliest next ones; likeliest first,
    /// and as many as there are of any likelihood.
    ///
    /// The likeliest ways to go on are followed token by token, several in one pass. A word counts as whole where the
    /// model rather ends it than goes on with it; its probability is the product of its tokens' and of its end's.
    ///
    /// # Errors
    /// When the prompt is too long for this generator, an option is out of range, or the device fails.
    pub fn suggest(
        &mut self,
        prompt: &SuggestPrompt,
        options: &SuggestOptions,
        words: &WordTable,
    ) -> Result<Vec<Suggestion>> {
        let model = Arc::clone(self.session.model());
        model.check_ids(&prompt.prefix)?;
        if options.count == 0 || options.count > MOST_SUGGESTIONS {
            let message = format!("{} suggestions; 1 to {MOST_SUGGESTIONS} can be asked for", options.count);
            return Err(Error::new(ErrorKind::BadOption, message));
        }
        if prompt.tokens() > self.capacity() {
            let message =
                format!("{} tokens of prompt and suggestions in room for {}", prompt.tokens(), self.capacity());
            return Err(Error::new(ErrorKind::BadOption, message));
        }
        self.explored.go_to(&prompt.prefix);
        let mut search = Search::new(prompt, options, words, model.tokenizer())?;
        for _ in 0..MOST_PASSES {
            let asked = search.advance(&self.explored)?;
            if asked.is_empty() {
                break;
            }
            self.explore(&prompt.prefix, &asked)?;
        }
        Ok(search.suggestions())
    }

    /// Looks at what comes after these branches of `prefix`, and at each place on the way to them.
    fn explore(&mut self, prefix: &[u32], branches: &[Vec<u32>]) -> Result<()> {
        if branches.iter().any(Vec::is_empty) {
            if self.explored.next(&[]).is_none() {
                let next = self.next_after(prefix)?;
                self.explored.next.insert(Vec::new(), next.into());
            }
            return Ok(());
        }
        let unknown = |branch: &Vec<u32>| (1..=branch.len()).find(|&len| self.explored.next(&branch[..len]).is_none());
        let asked: Vec<(&[u32], usize)> =
            branches.iter().filter_map(|branch| Some((&branch[..], unknown(branch)? - 1))).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let mut next = self.next_in_branches(prefix, &asked)?.into_iter();
        for (branch, from) in asked {
            for len in from + 1..=branch.len() {
                if let Some(next) = next.next() {
                    self.explored.next.insert(branch[..len].to_vec(), next.into());
                }
            }
        }
        Ok(())
    }
}
