//! What each token of a vocabulary does in a word.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::text::Tokenizer;
use crate::text::word::{End, Joint, is_word};

/// Characters that are tried where a token holds only a character's first bytes.
const MOST_TRIED: u32 = 64;

/// What a text begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Start {
    Word,
    Punctuation,
    Emoji,
    Other,
}

/// A token as words see it.
#[derive(Debug, Clone)]
pub(super) struct TokenWords {
    /// Its bytes; none of a control token.
    pub bytes: Vec<u8>,
    /// Begins with a space.
    pub spaced: bool,
    /// What it begins with, behind the space: of half a character, most of what it may become.
    pub start: Start,
    /// The first character behind the space, folded; `None` of half a one.
    pub first: Option<char>,
    /// Begins within a character.
    pub tail: bool,
    joints: [Joint; End::COUNT],
}

impl TokenWords {
    /// What it does to a word of this end.
    pub fn joint(&self, end: End) -> Joint {
        self.joints[end.index()]
    }
}

/// Every token of a vocabulary, as words see it: where it begins one, goes on with one, or ends one.
#[derive(Debug)]
pub struct WordTable {
    tokens: Vec<TokenWords>,
    dummy_space: bool,
}

impl WordTable {
    /// The table of a model's vocabulary.
    pub fn new(tokenizer: &Tokenizer) -> Self {
        let mut heads = HashMap::new();
        let spelled = tokenizer.token_bytes();
        let tokens: Vec<TokenWords> = (0..)
            .zip(spelled)
            .map(|(id, bytes)| {
                let bytes = if tokenizer.is_eos(id) { Vec::new() } else { bytes };
                token_words(bytes, &mut heads)
            })
            .collect();
        let first = tokenizer.encode("a").ok().and_then(|ids| ids.first().copied());
        let dummy_space = first.and_then(|id| tokens.get(id as usize)).is_some_and(|token| token.spaced);
        Self { tokens, dummy_space }
    }

    /// All tokens, by their ids.
    pub(super) fn tokens(&self) -> &[TokenWords] {
        &self.tokens
    }

    /// Whether the vocabulary begins every text with a space of its own.
    pub(super) fn dummy_space(&self) -> bool {
        self.dummy_space
    }
}

/// The characters of `bytes` and the first bytes of one more; `None` where they are no characters.
pub(super) fn characters(bytes: &[u8]) -> Option<(&str, &[u8])> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some((text, &[])),
        Err(error) if error.error_len().is_none() => {
            let (text, rest) = bytes.split_at(error.valid_up_to());
            Some((std::str::from_utf8(text).ok()?, rest))
        }
        Err(_) => None,
    }
}

/// A letter as it is compared: in lower case, apostrophes alike.
pub(super) fn fold(c: char) -> impl Iterator<Item = char> {
    let c = if c == '’' { '\'' } else { c };
    c.to_lowercase()
}

/// What `text` begins with.
pub(super) fn start_of(text: &str) -> Start {
    static PUNCTUATION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{P}").ok());
    static EMOJI: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^[\p{Extended_Pictographic}\p{Regional_Indicator}]").ok());
    let matches = |rule: &Option<Regex>| rule.as_ref().is_some_and(|rule| rule.is_match(text));
    match text.chars().next() {
        Some(c) if is_word(c.encode_utf8(&mut [0; 4])) => Start::Word,
        Some(_) if matches(&EMOJI) => Start::Emoji,
        Some(_) if matches(&PUNCTUATION) => Start::Punctuation,
        _ => Start::Other,
    }
}

/// What a text does to a word, by its first characters, once for all that begin alike.
type Heads = HashMap<String, (Start, [Joint; End::COUNT])>;

fn token_words(bytes: Vec<u8>, heads: &mut Heads) -> TokenWords {
    let spaced = bytes.first() == Some(&b' ');
    let behind = &bytes[usize::from(spaced)..];
    let tail = behind.first().is_some_and(|byte| (0x80..0xc0).contains(byte));
    let (first, (start, joints)) = match characters(behind) {
        Some((text, _)) if !text.is_empty() => {
            // A mark and what follows it decide.
            let head: String = text.chars().take(3).collect();
            let known = heads.entry(head).or_insert_with_key(|head| (start_of(head), End::joints(head)));
            (text.chars().next().and_then(|c| fold(c).next()), *known)
        }
        Some((_, half)) if !half.is_empty() => (None, most_of(half)),
        _ => (None, (Start::Other, [Joint::Ends; End::COUNT])),
    };
    let joints = if spaced { [Joint::Ends; End::COUNT] } else { joints };
    TokenWords { bytes, spaced, start, first, tail, joints }
}

/// What most of the characters do that begin with `half`.
fn most_of(half: &[u8]) -> (Start, [Joint; End::COUNT]) {
    let length = match half[0] {
        0xf0.. => 4,
        0xe0.. => 3,
        _ => 2,
    };
    let missing = length - half.len() as u32;
    let all = 1u32 << (6 * missing);
    let completed = (0..all).step_by(all.div_ceil(MOST_TRIED) as usize).filter_map(|rest| {
        let mut bytes = half.to_vec();
        bytes.extend((0..missing).rev().map(|i| 0x80 | (rest >> (6 * i) & 0x3f) as u8));
        let text = String::from_utf8(bytes).ok()?;
        let start = start_of(&text);
        // Marks are no start of a word, but a script that has them has letters beside them.
        Some((start, End::joints(&text)))
    });
    let tried: Vec<_> = completed.collect();
    let most = |holds: &dyn Fn(&(Start, [Joint; End::COUNT])) -> bool| {
        2 * tried.iter().filter(|found| holds(found)).count() > tried.len()
    };
    let starts = [Start::Word, Start::Punctuation, Start::Emoji];
    let start = starts.into_iter().find(|&start| most(&|found| found.0 == start)).unwrap_or(Start::Other);
    let joints = std::array::from_fn(|end| match most(&|found| found.1[end] == Joint::Joins) {
        true => Joint::Joins,
        false => Joint::Ends,
    });
    (start, joints)
}
