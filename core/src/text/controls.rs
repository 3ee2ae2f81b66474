//! The control tokens that a text spells out.

use std::collections::HashSet;
use std::ops::Range;

use tokenizers::{AddedToken, AddedVocabulary};

/// The control tokens of a vocabulary.
pub(super) struct Controls {
    /// Longest first, so that the first that fits is the one meant.
    tokens: Vec<(u32, AddedToken)>,
    ids: HashSet<u32>,
    /// The characters that one of them begins with: Gemma has thousands, with one and the same.
    first: HashSet<char>,
}

/// A control token in a text.
pub(super) struct Control {
    pub id: u32,
    /// The bytes that spell it.
    pub spelled: Range<usize>,
    /// The same with the white space around it that it swallows, where the vocabulary says so.
    pub taken: Range<usize>,
}

impl Controls {
    pub fn of(added: &AddedVocabulary) -> Self {
        let special = added.get_added_tokens_decoder().iter().filter(|(_, token)| token.special);
        let mut tokens: Vec<(u32, AddedToken)> =
            special.filter(|(_, token)| !token.content.is_empty()).map(|(id, token)| (*id, token.clone())).collect();
        tokens.sort_unstable_by_key(|(id, token)| (std::cmp::Reverse(token.content.len()), *id));
        let ids = tokens.iter().map(|(id, _)| *id).collect();
        let first = tokens.iter().filter_map(|(_, token)| token.content.chars().next()).collect();
        Self { tokens, ids, first }
    }

    pub fn contains(&self, id: u32) -> bool {
        self.ids.contains(&id)
    }

    /// The control tokens in `text[range]`, in order.
    pub fn find(&self, text: &str, range: Range<usize>) -> Vec<Control> {
        let mut found = Vec::new();
        let (mut at, mut done) = (range.start, range.start);
        while let Some(next) = text[at..range.end].chars().next() {
            let rest = &text[at..range.end];
            let tokens = if self.first.contains(&next) { &self.tokens[..] } else { &[] };
            let Some((id, token)) = tokens.iter().find(|(_, token)| rest.starts_with(&token.content)) else {
                at += next.len_utf8();
                continue;
            };
            let spelled = at..at + token.content.len();
            let mut taken = spelled.clone();
            if token.lstrip {
                taken.start = done + text[done..at].trim_end().len();
            }
            if token.rstrip {
                taken.end = range.end - text[spelled.end..range.end].trim_start().len();
            }
            (at, done) = (taken.end, taken.end);
            found.push(Control { id: *id, spelled, taken });
        }
        found
    }
}
