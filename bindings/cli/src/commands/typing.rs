//! What suggestions cost while somebody types, for `idiolect bench`.

use std::ops::ControlFlow;
use std::time::Instant;

use idiolect::generate::{GenerateOptions, Generator, SamplingOptions, SuggestOptions, SuggestPrompt, WordTable};
use idiolect::{Result, Session};

use crate::embedded;

/// Letters that are typed.
const LETTERS: usize = 200;

/// Of the embedded messages, one of so many is typed: no part of any training here.
const EVERY: usize = 30;

/// Decode steps that are timed after each letter: the machine may be busier with one letter than with another.
const STEPS: usize = 3;

/// Tokens before the timed decode steps.
const PROMPT: usize = 16;

/// The cost of three suggestions at each letter, in decode steps timed beside it.
pub struct Typing {
    pub letters: usize,
    pub median_steps: f64,
    pub p95_steps: f64,
    /// Passes over the model a letter.
    pub mean_passes: f64,
}

impl Typing {
    /// Types the beginnings of messages, and asks for suggestions at every letter.
    pub fn measure(session: &mut Session) -> Result<Self> {
        let (typing, mut beside) = (session.sibling()?, session.sibling()?);
        let model = typing.model().clone();
        let (words, options) = (WordTable::new(model.tokenizer()), SuggestOptions::default());
        let texts = embedded::messages()?.into_iter().step_by(EVERY);
        let typed = texts.flat_map(|text| {
            let ends: Vec<usize> = text.char_indices().map(|(at, c)| at + c.len_utf8()).collect();
            ends.into_iter().map(|end| text[..end].to_owned()).collect::<Vec<_>>()
        });
        let typed: Vec<String> = typed.take(LETTERS).collect();
        let rooms = typed.iter().map(|text| Ok(SuggestPrompt::new(&model, None, text)?.tokens()));
        let room = rooms.collect::<Result<Vec<_>>>()?.into_iter().max().unwrap_or(0);
        let mut suggesting = Generator::new(Box::new(typing), None, room)?;
        let prompt: Vec<u32> = (0..PROMPT.min(model.base().context / 2) as u32).collect();
        let mut decoding = Generator::new(&mut beside, None, prompt.len() + STEPS)?;
        let decode = GenerateOptions {
            max_tokens: 1 + STEPS,
            sampling: SamplingOptions::greedy(),
            ignore_eos: true,
            ..GenerateOptions::default()
        };
        let mut costs = Vec::new();
        for text in &typed {
            let started = Instant::now();
            suggesting.suggest(&SuggestPrompt::new(&model, None, text)?, &options, &words)?;
            let seconds = started.elapsed().as_secs_f64();
            let step = decoding.generate(&prompt, &decode, &mut |_| ControlFlow::Continue(()))?.decode_seconds;
            costs.push(seconds * STEPS as f64 / step);
        }
        let mean_passes = suggesting.passes() as f64 / typed.len().max(1) as f64;
        costs.sort_by(f64::total_cmp);
        let at = |share: f64| costs.get(((costs.len() as f64 * share) as usize).min(costs.len() - 1)).copied();
        Ok(Self {
            letters: costs.len(),
            median_steps: at(0.5).unwrap_or(0.0),
            p95_steps: at(0.95).unwrap_or(0.0),
            mean_passes,
        })
    }
}
