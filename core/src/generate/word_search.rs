//! The search for the words that may come: ways to spell them, the likeliest first.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};

use super::branches::{MOST_BRANCH_TOKENS, MOST_LOOKED_AT};
use super::casing::{Fit, Form, Found, capitalized};
use super::suggest::Explored;
use super::suggest_prompt::Lead;
use super::word_table::{Start, TokenWords, characters, fold, start_of};
use super::{SuggestOptions, SuggestPrompt, Suggestion, WordTable};
use crate::error::Result;
use crate::text::Tokenizer;
use crate::text::word::{End, Joint, first_word};

/// Tokens that a word may have.
const LONGEST_WORD: usize = MOST_LOOKED_AT;

/// Branches that are followed from one place.
const MOST_CHILDREN: usize = 32;

/// Of all that may come, as much as a word must have.
const LEAST_SHARE: f64 = 1e-3;

/// Of the likeliest branch of a pass, as much as another one must have to go along.
const LEAST_OF_BEST: f64 = 0.02;

/// Where a word ends at least so often, it is whole: else it is part of a longer one. The model is surer of what it
/// spells in one token.
const WHOLE: f64 = 0.5;
const WHOLE_OF_SEVERAL: f64 = 0.75;

/// A word or mark as far as it is spelled.
#[derive(Debug, Clone, PartialEq)]
struct Branch {
    path: Vec<u32>,
    bytes: Vec<u8>,
    /// Of the path's tokens, relative to all that may come.
    probability: f64,
}

impl Eq for Branch {}

impl PartialOrd for Branch {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Branch {
    /// By probability; paths make the order one.
    fn cmp(&self, other: &Self) -> Ordering {
        self.probability.total_cmp(&other.probability).then_with(|| other.path.cmp(&self.path))
    }
}

/// A branch's characters.
struct Spelled<'b> {
    /// Begins with a space.
    spaced: bool,
    /// The word so far.
    text: &'b str,
    /// The first bytes of its next character.
    half: &'b [u8],
    fit: Fit,
}

/// The search for words behind one prompt.
pub(super) struct Search<'p> {
    prompt: &'p SuggestPrompt,
    options: &'p SuggestOptions,
    words: &'p WordTable,
    tokenizer: &'p Tokenizer,
    /// Branches whose next tokens were not looked at.
    frontier: BinaryHeap<Branch>,
    /// Where this search has looked: what earlier ones have explored spares passes, and is not to change what is found.
    known: HashSet<Vec<u32>>,
    found: Found,
    /// Marks that go in the place of the space that was typed.
    marks: Found,
    /// What ended where words rather go on.
    parts: f64,
    /// The tokens of what was typed of the word, as it was typed and in other cases.
    typed: Vec<Vec<u32>>,
}

impl<'p> Search<'p> {
    pub(super) fn new(
        prompt: &'p SuggestPrompt,
        options: &'p SuggestOptions,
        words: &'p WordTable,
        tokenizer: &'p Tokenizer,
    ) -> Result<Self> {
        let root = Branch { path: Vec::new(), bytes: Vec::new(), probability: 1.0 };
        let (frontier, found, marks) = (BinaryHeap::from([root]), Found::default(), Found::default());
        let spaced = prompt.lead == Lead::Space && !words.dummy_space();
        let mut typed = Vec::new();
        if !prompt.typed.is_empty() {
            for letters in [prompt.typed.clone(), capitalized(&prompt.typed), prompt.typed.to_lowercase()] {
                typed.push(tokenizer.encode(&if spaced { format!(" {letters}") } else { letters })?);
            }
        }
        let known = HashSet::new();
        Ok(Self { prompt, options, words, tokenizer, frontier, known, found, marks, parts: 0.0, typed })
    }

    /// Goes on from all that it has looked at, which `explored` has; gives the branches to look at next, none where the words
    /// are settled.
    pub(super) fn advance(&mut self, explored: &Explored) -> Result<Vec<Vec<u32>>> {
        let mut asked: Vec<Branch> = Vec::new();
        // What was typed takes several tokens: all of them in one pass, not one after another.
        let spelled = self.typed.first().filter(|path| path.len() < LONGEST_WORD).cloned().unwrap_or_default();
        let unknown = (0..spelled.len()).filter(|&len| !self.known.contains(&spelled[..=len])).count();
        let (mut tokens, mut looked_at) = if unknown > 1 { (spelled.len(), unknown) } else { (0, 0) };
        while let Some(branch) = self.frontier.peek() {
            // Whatever is left is less likely than what was found, or than anything worth showing.
            let least = self.found.likelihood(self.options.count).max(LEAST_SHARE * self.all());
            let least = asked.first().map_or(least, |best| least.max(LEAST_OF_BEST * best.probability));
            if branch.probability <= least
                || tokens + branch.path.len() > MOST_BRANCH_TOKENS
                || looked_at == MOST_LOOKED_AT
            {
                break;
            }
            let Some(branch) = self.frontier.pop() else { break };
            match explored.next(&branch.path).filter(|_| self.known.contains(&branch.path)) {
                Some(next) => self.expand(&branch, next)?,
                None => {
                    tokens += branch.path.len();
                    looked_at += 1;
                    asked.push(branch);
                }
            }
        }
        let mut paths: Vec<Vec<u32>> = asked.iter().map(|branch| branch.path.clone()).collect();
        if unknown > 1 && !paths.is_empty() && !paths[0].is_empty() {
            paths.retain(|path| !spelled.starts_with(path));
            paths.insert(0, spelled);
        }
        self.frontier.extend(asked);
        match paths.first().is_some_and(Vec::is_empty) {
            // What comes first of all is looked at alone.
            true => drop(self.known.insert(Vec::new())),
            false => self.known.extend(paths.iter().flat_map(|path| (1..=path.len()).map(|len| path[..len].to_vec()))),
        }
        Ok(paths)
    }

    /// All that may come, of what is known to fit.
    fn all(&self) -> f64 {
        if self.prompt.typed.is_empty() {
            return 1.0;
        }
        self.found.all() + self.parts + self.frontier.iter().map(|branch| branch.probability).sum::<f64>()
    }

    /// What `bytes` spell; `None` where that is nothing that could come.
    fn spelled<'b>(&self, bytes: &'b [u8]) -> Option<Spelled<'b>> {
        let dummy = self.words.dummy_space() && self.prompt.prefix.len() <= 1;
        let (spaced, behind) = match bytes.strip_prefix(b" ") {
            Some(behind) => (true, behind),
            None => (false, bytes),
        };
        let allowed = match self.prompt.lead {
            Lead::Space => spaced || bytes.is_empty(),
            Lead::Nothing => spaced == dummy || bytes.is_empty(),
            Lead::Either => true,
        };
        let (text, half) = characters(behind)?;
        let fit = Fit::of(text, half, &self.prompt.typed);
        (allowed && fit != Fit::No).then_some(Spelled { spaced, text, half, fit })
    }

    /// Follows a branch: ends it where it is whole, and puts its continuations to the frontier.
    fn expand(&mut self, branch: &Branch, next: &[f32]) -> Result<()> {
        let Some(spelled) = self.spelled(&branch.bytes) else { return Ok(()) };
        if spelled.text.is_empty() && spelled.half.is_empty() {
            self.begin(branch, next)
        } else if !spelled.half.is_empty() {
            self.follow(branch, next, |token| token.tail)
        } else if spelled.fit == Fit::Begun {
            self.follow(branch, next, |token| !token.spaced && !token.tail)
        } else {
            self.end(branch, &spelled, next)
        }
    }

    /// The first tokens: of words, and of marks where they are asked for.
    fn begin(&mut self, branch: &Branch, next: &[f32]) -> Result<()> {
        let typed = self.prompt.typed.chars().flat_map(fold).next();
        let first = branch.bytes.is_empty();
        let mut all = 0.0;
        let mut fitting: Vec<(usize, f64)> = Vec::new();
        for (id, (token, &p)) in self.words.tokens().iter().zip(next).enumerate() {
            let letter = typed.is_none() || token.first.is_none() || token.first == typed;
            if !letter || token.bytes.is_empty() || (!first && token.spaced) {
                continue;
            }
            // Letters are compared one by one only where there are any: else a space is all that must fit.
            let fits = match typed {
                Some(_) => self.spelled(&[&branch.bytes[..], &token.bytes].concat()).is_some(),
                None => !first || self.prompt.lead != Lead::Space || token.spaced,
            };
            if fits {
                all += f64::from(p);
                fitting.push((id, f64::from(p)));
            }
        }
        if self.options.punctuation && first && typed.is_none() && self.prompt.lead == Lead::Space {
            self.marks_behind_a_word(next);
        }
        let wanted = |start: Start| match start {
            Start::Word => true,
            Start::Punctuation => self.options.punctuation && self.prompt.typed.is_empty(),
            Start::Emoji => self.options.emoji && self.prompt.typed.is_empty(),
            Start::Other => false,
        };
        // Of a space alone, something still may come.
        fitting.retain(|&(id, _)| {
            let token = &self.words.tokens()[id];
            wanted(token.start) || token.bytes == b" " && first
        });
        // Where a space was typed, what has none is out of the question; else all that may come counts.
        let share = if first && all > 0.0 { branch.probability / all } else { branch.probability };
        self.take(branch, share, fitting)
    }

    /// Continuations that `may` go on with a branch which is not yet what was typed, or ends in half a character.
    fn follow(&mut self, branch: &Branch, next: &[f32], may: impl Fn(&TokenWords) -> bool) -> Result<()> {
        let tokens = self.words.tokens().iter().zip(next).enumerate();
        let fitting = tokens.filter(|(_, (token, _))| !token.bytes.is_empty() && may(token));
        let fitting = fitting.map(|(id, (_, &p))| (id, f64::from(p))).collect();
        self.take(branch, branch.probability, fitting)
    }

    /// A branch of whole characters that has all that was typed.
    fn end(&mut self, branch: &Branch, spelled: &Spelled<'_>, next: &[f32]) -> Result<()> {
        if start_of(spelled.text) != Start::Word {
            self.found.add(Form {
                text: spelled.text.to_owned(),
                spaced: spelled.spaced,
                probability: branch.probability,
            });
            return Ok(());
        }
        let whole = first_word(spelled.text);
        // Behind an apostrophe, a letter goes on with the word before it.
        let (word, open) = (&spelled.text[..whole], whole < spelled.text.len());
        let end = End::of(word);
        let mut ends = 0.0;
        let mut fitting = Vec::new();
        let least = LEAST_SHARE * (self.all() + branch.probability) / branch.probability;
        for (id, (token, &p)) in self.words.tokens().iter().zip(next).enumerate() {
            let p = f64::from(p);
            match token.joint(end) {
                Joint::Joins if !open || token.start == Start::Word => {
                    if p > least {
                        fitting.push((id, p));
                    }
                }
                Joint::Open if !open => fitting.push((id, p)),
                // What is no whole character can follow none.
                _ if token.tail => {}
                _ => ends += p,
            }
        }
        if ends >= if branch.path.len() > 1 { WHOLE_OF_SEVERAL } else { WHOLE } {
            self.accept(Some(&branch.path), word, spelled.spaced, branch.probability * ends)?;
        } else {
            self.parts += branch.probability * ends;
        }
        self.take(branch, branch.probability, fitting)
    }

    /// Puts the likeliest continuations of a branch to the frontier; what ends within its last token is found already.
    fn take(&mut self, branch: &Branch, share: f64, mut fitting: Vec<(usize, f64)>) -> Result<()> {
        if branch.path.len() == LONGEST_WORD {
            return Ok(());
        }
        fitting.sort_unstable_by(|(a, p), (b, q)| q.total_cmp(p).then(a.cmp(b)));
        let mut taken = 0;
        for (id, p) in fitting {
            let bytes = [&branch.bytes[..], &self.words.tokens()[id].bytes].concat();
            let Some(spelled) = self.spelled(&bytes) else { continue };
            let path = [&branch.path[..], &[id as u32]].concat();
            // A tokenizer splits the letters of a longer word as it splits these, but for the token at their end.
            if spelled.fit == Fit::Begun && !self.typed.iter().any(|typed| typed.starts_with(&path)) {
                continue;
            }
            let probability = share * p;
            let whole = first_word(spelled.text);
            let is_word = start_of(spelled.text) == Start::Word;
            let rest = &spelled.text[whole..];
            // All but an apostrophe that the next token may join.
            let ends_within = is_word
                && !rest.is_empty()
                && End::joints(rest)[End::of(&spelled.text[..whole]).index()] == Joint::Ends;
            if ends_within {
                if matches!(spelled.fit, Fit::Whole(bytes) if bytes <= whole) {
                    let (word, spaced) = (spelled.text[..whole].to_owned(), spelled.spaced);
                    self.accept(None, &word, spaced, probability)?;
                }
                continue;
            }
            if !is_word && !spelled.text.is_empty() && !is_mark(spelled.text) {
                continue;
            }
            self.frontier.push(Branch { path, bytes, probability });
            taken += 1;
            if taken == MOST_CHILDREN {
                break;
            }
        }
        Ok(())
    }

    /// A whole word; spelled by `path`, it counts only where the tokenizer spells it so: the model has seen no other way.
    fn accept(&mut self, path: Option<&[u32]>, word: &str, spaced: bool, probability: f64) -> Result<()> {
        let dummy = self.words.dummy_space();
        if let Some(path) = path.filter(|_| spaced || !dummy) {
            let spelled = if spaced && !dummy { format!(" {word}") } else { word.to_owned() };
            if self.tokenizer.encode(&spelled)? != path {
                self.parts += probability;
                return Ok(());
            }
        }
        self.found.add(Form { text: word.to_owned(), spaced, probability });
        Ok(())
    }

    /// Marks without a space of their own, behind a word and the space that was typed.
    fn marks_behind_a_word(&mut self, next: &[f32]) {
        for (token, &p) in self.words.tokens().iter().zip(next) {
            if token.start == Start::Punctuation
                && !token.spaced
                && f64::from(p) > LEAST_SHARE
                && let Some((text, &[])) = characters(&token.bytes).filter(|(text, _)| is_mark(text))
            {
                self.marks.add(Form { text: text.to_owned(), spaced: false, probability: f64::from(p) });
            }
        }
    }

    pub(super) fn suggestions(self) -> Vec<Suggestion> {
        let all = self.all();
        let (typed, lead) = (&self.prompt.typed, self.prompt.lead);
        let shown = |form: Form, replaces: usize| {
            let spaced = form.spaced && lead == Lead::Either;
            let text = if spaced { format!(" {}", form.text) } else { form.text };
            Suggestion { text, replaces, probability: form.probability / all }
        };
        let words = self.found.cased(typed, self.prompt.begins_sentence);
        let marks = self.marks.cased("", false);
        let mut suggestions: Vec<Suggestion> =
            words.into_iter().map(|word| shown(word, typed.chars().count())).collect();
        suggestions.extend(marks.into_iter().map(|mark| shown(mark, 1)));
        suggestions.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        suggestions.retain(|suggestion| suggestion.probability >= LEAST_SHARE);
        suggestions.truncate(self.options.count);
        suggestions
    }
}

/// Whether a text is punctuation or an emoji, and nothing else.
fn is_mark(text: &str) -> bool {
    let mut marks = text.chars().map(|c| start_of(c.encode_utf8(&mut [0; 4])));
    let Some(first) = marks.next().filter(|start| matches!(start, Start::Punctuation | Start::Emoji)) else {
        return false;
    };
    marks.zip(text.chars().skip(1)).all(|(start, c)| start == first || matches!(c, '\u{fe0f}' | '\u{200d}'))
}
