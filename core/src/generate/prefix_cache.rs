//! What earlier prompts left in the key/value cache, for whatever begins alike: the next letter of a text that is being
//! typed, the next turn of a chat, another message under the same system prompt.
//!
//! The cache is that of one generator, and so of one adapter at one strength (`engine/serving.rs` has the key). A whole
//! prompt's pass leaves rows whose bits depend on the prompt alone. Suggestions and the turns of a conversation take any
//! rows; other answers take only those, so that an answer's bits do not depend on what was asked before.

use crate::passes::inference::CacheState;

/// The keys and values of one sequence.
#[derive(Debug)]
pub(super) struct PrefixCache {
    pub state: CacheState,
    /// The tokens whose keys and values lie in the first rows.
    ids: Vec<u32>,
    /// How many of them a whole prompt's pass has written.
    whole: usize,
}

impl PrefixCache {
    pub fn new(state: CacheState) -> Self {
        Self { state, ids: Vec::new(), whole: 0 }
    }

    /// How many tokens of `prompt` need not be run: those that whole prompts' passes left, or all that there are.
    pub fn held(&self, prompt: &[u32], whole: bool) -> usize {
        let usable = if whole { self.whole } else { self.ids.len() };
        self.ids[..usable].iter().zip(prompt).take_while(|(held, id)| held == id).count()
    }

    /// Forgets all rows but the first ones; before a pass that writes behind them.
    pub fn keep(&mut self, rows: usize) {
        self.ids.truncate(rows);
        self.whole = self.whole.min(rows);
    }

    /// Notes what a pass has written behind what was kept.
    pub fn extend(&mut self, ids: &[u32], whole: bool) {
        if whole && self.whole == self.ids.len() {
            self.whole += ids.len();
        }
        self.ids.extend(ids);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_take_only_what_whole_prompts_left() {
        let mut cache = PrefixCache::new(CacheState { capacity: 16, layers: Vec::new() });
        let prompt = [1, 2, 3, 4, 5, 6];
        cache.extend(&prompt[..3], true);
        cache.extend(&prompt[3..5], false);
        let held = |cache: &PrefixCache, prompt: &[u32]| [true, false].map(|whole| cache.held(prompt, whole));
        assert_eq!(held(&cache, &prompt), [3, 5]);
        assert_eq!(held(&cache, &[1, 2, 7]), [2, 2]);
        assert_eq!(held(&cache, &[]), [0, 0]);
        // Behind rows of another kind, nothing is whole.
        cache.extend(&prompt[5..], true);
        assert_eq!(held(&cache, &prompt), [3, 6]);
        cache.keep(2);
        assert_eq!(held(&cache, &prompt), [2, 2]);
        cache.extend(&prompt[2..], true);
        assert_eq!(held(&cache, &prompt), [6, 6]);
    }
}
