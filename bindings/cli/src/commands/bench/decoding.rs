//! Decoding compared: behind a short context, behind a long one, and with an adapter.

use std::ops::{ControlFlow, DerefMut};
use std::time::{Duration, Instant};

use idiolect::adapter::{Adapter, LoraOptions};
use idiolect::generate::{GenerateOptions, Generation, Generator, SamplingOptions};
use idiolect::{Result, Session};
use serde::Serialize;

use super::ids;

/// Tokens of context of the two speeds that are compared.
const CONTEXTS: [usize; 2] = [8, 1800];

/// Tokens that each way decodes when it is its turn.
const TURN: usize = 8;

/// Rounds of turns there are at least, and how long they go on.
const LEAST_ROUNDS: usize = 5;
const DURATION: Duration = Duration::from_secs(6);

/// Tokens a second: the median of each way's turns, and of the ratios of each round. The ways take turns, so that a
/// ratio holds on a machine whose speed varies.
#[derive(Serialize)]
pub struct Decoding {
    pub decode_at_8_tokens_per_second: f64,
    pub decode_at_1800_tokens_per_second: Option<f64>,
    pub decode_at_1800_over_at_8: Option<f64>,
    /// Behind 8 tokens as well, by an adapter of rank 8 on all seven linear layers.
    pub decode_with_adapter_tokens_per_second: f64,
    pub decode_with_adapter_over_without: f64,
}

impl Decoding {
    /// Measures on siblings of `session`; also the most bytes that the device held.
    pub fn measure(session: &Session) -> Result<(Self, usize)> {
        let context = session.model().base().context;
        let idle = session.sibling()?.device_bytes();
        let adapter = LoraOptions::default().fresh(session.model(), 0)?;
        let way = |tokens: usize, adapter| Way::new(session.sibling()?, tokens.min(context / 2).max(1), adapter);
        let [few, many] = CONTEXTS;
        let mut short = way(few, None)?;
        let mut adapted = way(few, Some(&adapter))?;
        let mut long = (many + TURN <= context).then(|| Way::new(session.sibling()?, many, None)).transpose()?;

        let (started, mut rounds) = (Instant::now(), Vec::new());
        while rounds.len() < LEAST_ROUNDS || started.elapsed() < DURATION {
            let long = long.as_mut().map(Way::turn).transpose()?;
            rounds.push((short.turn()?, long, adapted.turn()?));
        }
        let ways = [Some(&short), Some(&adapted), long.as_ref()].into_iter().flatten();
        let held = ways.map(|way| way.generator.session().device_bytes().saturating_sub(idle)).sum::<usize>();
        let median_of_long = |of: fn(f64, f64) -> f64| {
            long.as_ref().map(|_| median(rounds.iter().filter_map(|&(short, long, _)| Some(of(short, long?)))))
        };
        let decoding = Self {
            decode_at_8_tokens_per_second: median(rounds.iter().map(|round| round.0)),
            decode_at_1800_tokens_per_second: median_of_long(|_, long| long),
            decode_at_1800_over_at_8: median_of_long(|short, long| long / short),
            decode_with_adapter_tokens_per_second: median(rounds.iter().map(|round| round.2)),
            decode_with_adapter_over_without: median(rounds.iter().map(|round| round.2 / round.0)),
        };
        Ok((decoding, session.device_bytes() + held))
    }
}

/// The middle of some numbers, or between the two that are there.
pub fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    let len = numbers.len();
    (numbers[(len - 1) / 2] + numbers[len / 2]) / 2.0
}

/// One way of decoding, with a cache of its own: nothing but the new tokens is computed in its turns.
struct Way {
    prompt: Vec<u32>,
    new: usize,
    generator: Generator<Box<Session>>,
}

impl Way {
    /// Warmed up: its prompt lies in the cache.
    fn new(session: Session, prompt: usize, adapter: Option<&Adapter>) -> Result<Self> {
        let model = session.model().base();
        let (new, prompt) = (TURN.min(model.context - prompt), ids(prompt, model.config.vocab_size));
        let generator = Generator::new(Box::new(session), adapter, prompt.len() + new)?;
        let mut way = Self { prompt, new, generator };
        way.turn()?;
        Ok(way)
    }

    /// Tokens a second.
    fn turn(&mut self) -> Result<f64> {
        Ok(generate(&mut self.generator, &self.prompt, 1 + self.new)?.tokens_per_second())
    }
}

/// `new` tokens behind `prompt`, whatever they say.
pub fn generate<S: DerefMut<Target = Session>>(
    generator: &mut Generator<S>,
    prompt: &[u32],
    new: usize,
) -> Result<Generation> {
    let options = GenerateOptions {
        max_tokens: new,
        sampling: SamplingOptions::greedy(),
        ignore_eos: true,
        ..GenerateOptions::default()
    };
    generator.generate(prompt, &options, &mut |_| ControlFlow::Continue(()))
}
