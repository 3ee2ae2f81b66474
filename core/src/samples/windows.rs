//! A text as samples that fit a row: whole where it fits; else with its context cut at the start; else in parts, each
//! of them behind as much of the text before it as there is room for. Every token of the person's carries loss in one
//! sample, and in one only.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::check_samples;
use super::dataset::TextRow;
use super::packing::Sample;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Model;
use crate::text::boundaries::{Gap, between_sentences, between_words};
use crate::text::{Placed, Tokenizer, Turn};

/// The way of making samples, as a number that changes with it: what was begun with other samples is not gone on with.
pub(crate) const MAKING: u32 = 1;

/// Of a row's room, behind what the template writes, one token in so many is kept for what comes before a part.
const KEPT_BEFORE: usize = 4;

/// What became of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextSamples {
    /// Its samples, in the order of the text.
    pub samples: Vec<Sample>,
    /// Tokens of its context that were cut off.
    pub context_tokens_cut: usize,
    /// Why there is no sample.
    pub left_out: Option<LeftOut>,
}

impl TextSamples {
    /// Those of a text that is not learned from.
    fn left_out(why: LeftOut) -> Self {
        Self { left_out: Some(why), ..Self::default() }
    }

    /// Why the model refuses the text, if it does.
    pub fn refusal(&self) -> Option<&Error> {
        match &self.left_out {
            Some(LeftOut::Refused(refusal)) => Some(refusal),
            _ => None,
        }
    }
}

/// Why a text is not learned from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeftOut {
    /// There is nothing in it but white space.
    Blank,
    /// The model's chat template alone fills the row.
    NoRoom,
    /// The model's chat template or its vocabulary has no way to write it; where that is so of all texts, the error says
    /// why.
    Refused(Error),
}

/// What became of many texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SampleCounts {
    /// Texts, those that were left out among them.
    pub texts: usize,
    /// The samples that they became.
    pub samples: usize,
    /// Texts whose context was cut at its start.
    pub contexts_cut: usize,
    /// Tokens of contexts that were cut off.
    pub context_tokens_cut: usize,
    /// Texts longer than a row.
    pub texts_parted: usize,
    /// The samples that those became.
    pub parts: usize,
    /// Texts left out because they are blank.
    pub blank: usize,
    /// Texts left out because the model's chat template alone fills the row.
    pub no_room: usize,
    /// Texts left out because the model's chat template or its vocabulary refuses them.
    pub refused: usize,
}

impl SampleCounts {
    /// Counts one more text.
    pub fn add(&mut self, made: &TextSamples) {
        self.texts += 1;
        self.samples += made.samples.len();
        self.contexts_cut += usize::from(made.context_tokens_cut > 0);
        self.context_tokens_cut += made.context_tokens_cut;
        if made.samples.len() > 1 {
            self.texts_parted += 1;
            self.parts += made.samples.len();
        }
        match &made.left_out {
            Some(LeftOut::Blank) => self.blank += 1,
            Some(LeftOut::NoRoom) => self.no_room += 1,
            Some(LeftOut::Refused(_)) => self.refused += 1,
            None => {}
        }
    }

    /// Whether every text became one sample with all of its context.
    pub fn all_whole(&self) -> bool {
        self.samples == self.texts && self.contexts_cut + self.texts_parted == 0
    }
}

/// The samples of texts, and which text each is of.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct SampleSet {
    pub samples: Vec<Sample>,
    /// The number of each sample's text, ascending.
    texts: Vec<usize>,
    /// Texts that have samples.
    len: usize,
}

impl SampleSet {
    /// Adds a text; whether it has any sample.
    pub fn add(&mut self, samples: Vec<Sample>) -> bool {
        if samples.is_empty() {
            return false;
        }
        self.texts.extend(std::iter::repeat_n(self.len, samples.len()));
        self.samples.extend(samples);
        self.len += 1;
        true
    }

    /// What the samples' summed losses and tokens come to for each text.
    pub fn by_text(&self, sums: &[(f64, usize)]) -> Vec<(f64, usize)> {
        let mut texts = vec![(0.0, 0); self.len];
        for (&text, (loss, tokens)) in self.texts.iter().zip(sums) {
            texts[text].0 += loss;
            texts[text].1 += tokens;
        }
        texts
    }
}

/// The samples of a text that `model` can take: of at most `seq_len` tokens, and of no more than it holds.
pub(crate) fn samples_for(row: &TextRow, model: &Model, seq_len: usize) -> TextSamples {
    // A sample's last token is only predicted.
    let longest = seq_len.min(model.base().context.saturating_add(1));
    let made = samples_of_text(row, model.tokenizer(), longest);
    match check_samples(model, &made.samples) {
        Ok(()) => made,
        Err(refusal) => TextSamples::left_out(LeftOut::Refused(refusal)),
    }
}

/// A text as samples of at most `seq_len` tokens. Alone it is the document-start token, its ids and the end-of-turn
/// token, with loss on everything after the first; with a context it is the assistant's turn of the model's own chat
/// template, with loss on that turn and its end alone. A context too long is cut at its start. A text too long is
/// parted at the ends of sentences (of words or characters, where one is longer than a row): each part comes behind
/// what of the text before it there is room for, which carries no loss there, and only the last part has the
/// end-of-turn token. Where the model has no such tokens, no chat template for a context, or one that refuses this text,
/// the text is left out: one row must not keep all others from being learned.
pub fn samples_of_text(row: &TextRow, tokenizer: &Tokenizer, seq_len: usize) -> TextSamples {
    if row.text.trim().is_empty() {
        return TextSamples::left_out(LeftOut::Blank);
    }
    whole_or_in_parts(row, tokenizer, seq_len)
        .unwrap_or_else(|refusal| TextSamples::left_out(LeftOut::Refused(refusal)))
}

fn whole_or_in_parts(row: &TextRow, tokenizer: &Tokenizer, seq_len: usize) -> Result<TextSamples> {
    let exchange = row.context.as_ref().map(|context| tokenizer.exchange(context, &row.text)).transpose()?;
    let turn = match &exchange {
        Some(exchange) => exchange.turn.clone(),
        None => alone(row, tokenizer)?,
    };
    let mut prompt = |most: usize| match &exchange {
        Some(exchange) => tokenizer.prompt_within(exchange, &row.text, most),
        None => Ok((turn.prompt.len() <= most).then(|| (turn.prompt.clone(), 0))),
    };
    let whole = 0..turn.reply.len() + 1;
    if let Some(room) = seq_len.checked_sub(whole.len())
        && let Some((prompt, context_tokens_cut)) = prompt(room)?
    {
        let samples = vec![part(row, &turn, &prompt, 0, whole)];
        return Ok(TextSamples { samples, context_tokens_cut, left_out: None });
    }
    match exchange {
        Some(_) => in_parts(row, &tokenizer.exchange("", &row.text)?.turn, seq_len, &mut prompt),
        None => in_parts(row, &turn, seq_len, &mut prompt),
    }
}

/// A text that answers nothing.
fn alone(row: &TextRow, tokenizer: &Tokenizer) -> Result<Turn> {
    let missing = |what: &str| Error::new(ErrorKind::Unsupported, format!("the model has no {what} token"));
    let start = tokenizer.document_start().ok_or_else(|| missing("document-start"))?;
    let end = tokenizer.end_of_turn().ok_or_else(|| missing("end-of-turn"))?;
    Ok(Turn { prompt: vec![start], reply: tokenizer.encode_placed(&row.text)?, end })
}

/// `prompt` gives the prompt with the context in as many tokens at most, and how many of the context are not in it.
fn in_parts(
    row: &TextRow,
    turn: &Turn,
    seq_len: usize,
    prompt: &mut dyn FnMut(usize) -> Result<Option<(Vec<u32>, usize)>>,
) -> Result<TextSamples> {
    let room = seq_len.saturating_sub(turn.prompt.len());
    if room == 0 {
        return Ok(TextSamples::left_out(LeftOut::NoRoom));
    }
    let places = Places::of(&row.text, &turn.reply);
    let mut made = TextSamples::default();
    let mut from = 0;
    while from < places.end {
        // What comes before the first part is the context, if there is one.
        let before = if from > 0 || row.context.is_some() { room / KEPT_BEFORE } else { 0 };
        let learned = from..places.cut(from, room - before);
        let rest = room - learned.len();
        let sample = if from == 0
            && let Some((prompt, cut)) = prompt(seq_len - learned.len())?
        {
            made.context_tokens_cut = cut;
            part(row, turn, &prompt, 0, learned.clone())
        } else {
            part(row, turn, &turn.prompt, places.start(from, rest), learned.clone())
        };
        // Nothing is to be learned where all is masked.
        made.samples.extend(Some(sample).filter(|sample| sample.supervised() > 0));
        from = learned.end;
    }
    Ok(made)
}

/// The sample that learns the tokens `learned` of a turn, whose end-of-turn token counts as the last, behind those from
/// `seen` on.
fn part(row: &TextRow, turn: &Turn, prompt: &[u32], seen: usize, learned: Range<usize>) -> Sample {
    let reply = &turn.reply;
    let byte = |at: usize| match at {
        0 => 0,
        _ => reply.get(at).map_or(row.text.len(), |token| token.bytes.start),
    };
    let touches = |token: &Placed| row.masked.iter().any(|m| token.bytes.start < m.end && m.start < token.bytes.end);
    let said = seen..learned.end.min(reply.len());
    let end = (learned.end > reply.len()).then_some(turn.end);
    let ids = prompt.iter().copied().chain(reply[said.clone()].iter().map(|token| token.id)).chain(end);
    let masked = said.filter(|&at| at >= learned.start && touches(&reply[at]));
    let place = |at: usize| prompt.len() + at - seen;
    Sample {
        ids: ids.collect(),
        supervised_from: place(learned.start),
        masked: masked.map(|at| place(at)..place(at) + 1).collect(),
        text_bytes: byte(learned.end) - byte(learned.start),
    }
}

/// Where a turn may be cut, as numbers of the tokens that a part may begin with.
struct Places<'a> {
    reply: &'a [Placed],
    sentences: Vec<usize>,
    words: Vec<usize>,
    /// One more than the reply's tokens: the end-of-turn token is the last.
    end: usize,
}

impl<'a> Places<'a> {
    fn of(text: &str, reply: &'a [Placed]) -> Self {
        let places = |gaps: &mut dyn Iterator<Item = Gap>| gaps.filter_map(|gap| token_in(gap, reply)).collect();
        Self {
            reply,
            sentences: places(&mut between_sentences(text)),
            words: places(&mut between_words(text)),
            end: reply.len() + 1,
        }
    }

    /// The end of a part of at most `most` tokens that begins at `from`.
    fn cut(&self, from: usize, most: usize) -> usize {
        let furthest = from + most.max(1);
        if furthest >= self.end {
            return self.end;
        }
        let last = |places: &[usize]| {
            let place = places[..places.partition_point(|&place| place <= furthest)].last().copied();
            place.filter(|&place| place > from)
        };
        // The end-of-turn token stays with what it ends, where that can be.
        let spoken = furthest.min(self.reply.len().saturating_sub(1));
        let character = || (from + 1..=spoken).rev().find(|&at| is_between_characters(self.reply, at));
        last(&self.sentences).or_else(|| last(&self.words)).or_else(character).unwrap_or(furthest)
    }

    /// Where what is seen before a part that begins at `from` begins, of at most `most` tokens: with a word if one
    /// begins there, else with a character.
    fn start(&self, from: usize, most: usize) -> usize {
        let furthest = from.saturating_sub(most);
        if furthest == 0 {
            return 0;
        }
        let word = self.words.get(self.words.partition_point(|&place| place < furthest)).copied();
        let character = || (furthest..from).find(|&at| is_between_characters(self.reply, at));
        word.filter(|&place| place < from).or_else(character).unwrap_or(furthest)
    }
}

/// The last token that begins in a gap, where one does: white space at a sentence's end stays with it unless a token
/// joins it to the next word.
fn token_in(gap: Gap, reply: &[Placed]) -> Option<usize> {
    let before = reply.partition_point(|token| token.bytes.start <= gap.to);
    let start = reply[..before].last()?.bytes.start;
    let first = reply.partition_point(|token| token.bytes.start < start);
    (start >= gap.from && first > 0 && is_between_characters(reply, first)).then_some(first)
}

/// Whether no character is shared by the token and the one before it.
fn is_between_characters(reply: &[Placed], at: usize) -> bool {
    at == 0 || reply.get(at).is_none_or(|token| token.bytes.start >= reply[at - 1].bytes.end)
}

#[cfg(test)]
mod tests;
