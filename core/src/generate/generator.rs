//! Generation over a key/value cache, streamed.

use std::fmt;
use std::ops::{ControlFlow, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use idiolect_kernels::ProgramId;
use idiolect_kernels::ops::Packing;
use idiolect_kernels::program::{BufferId, RowCounts, Run, Scalars};

use super::branches::BranchPass;
use super::prefix_cache::PrefixCache;
use super::suggest::Explored;
use super::{FinishReason, GenerationPlan, Sampler, SamplingOptions, TextStream};
use crate::adapter::Adapter;
use crate::error::{Error, ErrorKind, Result};
use crate::passes::inference::{CANDIDATES, CacheState, continuation};
use crate::passes::{LoraBinding, TokenInputs};
use crate::session::Session;

/// Prompt tokens that go through the model at a time.
const PREFILL_TOKENS: usize = 128;

/// How to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// New tokens at most.
    pub max_tokens: usize,
    /// How tokens are chosen.
    pub sampling: SamplingOptions,
    /// Strings that end the text; they are not part of it.
    pub stop: Vec<String>,
    /// Go on behind end-of-turn tokens, for measuring.
    pub ignore_eos: bool,
}

impl Default for GenerateOptions {
    /// 128 tokens, sampled.
    fn default() -> Self {
        Self { max_tokens: 128, sampling: SamplingOptions::default(), stop: Vec::new(), ignore_eos: false }
    }
}

/// What was generated.
#[derive(Clone, PartialEq)]
pub struct Generation {
    /// The text, without the prompt.
    pub text: String,
    /// The new token ids, an end-of-turn token included.
    pub ids: Vec<u32>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens of the prompt that were not run, for earlier prompts or turns have left them in the cache.
    pub cached_tokens: usize,
    /// Seconds for the prompt.
    pub prefill_seconds: f64,
    /// Seconds for all tokens after the first.
    pub decode_seconds: f64,
}

/// Never the text: it goes on with what the person wrote, in their voice.
impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation")
            .field("text", &format_args!("({} bytes)", self.text.len()))
            .field("tokens", &self.ids.len())
            .field("finish_reason", &self.finish_reason)
            .finish_non_exhaustive()
    }
}

impl Generation {
    /// Decoded tokens a second, the first one (which the prompt's pass gives) left out.
    pub fn tokens_per_second(&self) -> f64 {
        if self.decode_seconds > 0.0 { (self.ids.len() - 1) as f64 / self.decode_seconds } else { 0.0 }
    }
}

/// Tokens of a prompt that go through at a time in room for `capacity`.
pub(super) fn prefill_tokens(capacity: usize) -> usize {
    PREFILL_TOKENS.min(capacity)
}

/// A program that continues the cached sequence, loaded.
#[derive(Debug, Clone, Copy)]
struct Pass {
    program: ProgramId,
    tokens: TokenInputs,
    slots: BufferId,
    selected: BufferId,
    logits: BufferId,
    candidates: BufferId,
}

/// The passes for prompts and for single tokens.
struct Passes {
    prefill: Pass,
    decode: Pass,
}

impl Passes {
    fn load(session: &mut Session, lora: Option<&LoraBinding>, cache: &CacheState) -> Result<Self> {
        let model = Arc::clone(session.model());
        let mut load = |tokens| -> Result<Pass> {
            let pass = continuation(model.base(), lora, cache, tokens);
            let program = session.executor().load(Arc::new(pass.program))?;
            let (slots, selected) = (pass.slots, pass.selected);
            Ok(Pass { program, tokens: pass.tokens, slots, selected, logits: pass.logits, candidates: pass.candidates })
        };
        Ok(Self { prefill: load(prefill_tokens(cache.capacity))?, decode: load(1)? })
    }
}

/// Which rows of the cache an answer goes on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// Those that whole prompts' passes have written.
    Whole,
    /// All, those of decoded tokens too; and it leaves its own.
    All,
}

/// Generates with a model and an adapter, on a session that it borrows or owns.
///
/// What a prompt left in the cache serves the next prompt that begins alike, be it for an answer or for suggestions. An
/// answer's bits do not depend on what was asked before; only a conversation's turns ([`Generator::converse`]) go on from
/// whatever there is.
pub struct Generator<S> {
    pub(super) session: S,
    capacity: usize,
    /// What it has to keep to, where a budget was given.
    budget_bytes: Option<usize>,
    prefill: Pass,
    decode: Pass,
    pub(super) cache: PrefixCache,
    pub(super) lora: Option<LoraBinding>,
    /// Loaded with the first suggestions.
    pub(super) branches: Option<BranchPass>,
    pub(super) explored: Explored,
    pub(super) passes: u64,
}

impl<S: DerefMut<Target = Session>> Generator<S> {
    /// Makes room for sequences of up to `capacity` tokens, prompt included.
    ///
    /// # Errors
    /// As [`Generator::within`], without a budget.
    pub fn new(session: S, adapter: Option<&Adapter>, capacity: usize) -> Result<Self> {
        Self::within(session, adapter, capacity, None)
    }

    /// The same within a budget of so many bytes, as [`GenerationPlan`] counts them.
    ///
    /// # Errors
    /// [`ErrorKind::OverBudget`] when the plan is larger than the budget or, without one, than what the machine has; when
    /// the model was not opened for so many tokens, or the device cannot hold them.
    pub fn within(session: S, adapter: Option<&Adapter>, capacity: usize, budget_bytes: Option<usize>) -> Result<Self> {
        Self::on(session, adapter, capacity, budget_bytes).map_err(|(_, error)| error)
    }

    /// The same; where it fails, the session comes back.
    pub(crate) fn on(
        mut session: S,
        adapter: Option<&Adapter>,
        capacity: usize,
        budget_bytes: Option<usize>,
    ) -> Result<Self, (S, Error)> {
        match Self::load(&mut session, adapter, capacity, budget_bytes) {
            Ok((passes, cache, lora)) => Ok(Self {
                session,
                capacity,
                budget_bytes,
                prefill: passes.prefill,
                decode: passes.decode,
                cache: PrefixCache::new(cache),
                lora,
                branches: None,
                explored: Explored::default(),
                passes: 0,
            }),
            Err(error) => Err((session, error)),
        }
    }

    /// The cache, and the passes over it.
    fn load(
        session: &mut S,
        adapter: Option<&Adapter>,
        capacity: usize,
        budget_bytes: Option<usize>,
    ) -> Result<(Passes, CacheState, Option<LoraBinding>)> {
        let model = Arc::clone(session.model());
        // What the session held goes first: it is no part of what there is to keep to.
        session.start_job();
        GenerationPlan::new(session, adapter, capacity, budget_bytes)?;
        let lora = session.bind(adapter)?;
        let executor = session.executor();
        let widths = model.base().kv_widths();
        let layers = widths
            .map(|width| capacity * width)
            .map(|len| Ok((executor.add_state("key cache", len)?, executor.add_state("value cache", len)?)))
            .collect::<Result<_>>()?;
        let cache = CacheState { capacity, layers };
        Ok((Passes::load(session, lora.as_ref(), &cache)?, cache, lora))
    }

    /// Makes room for more tokens; what the cache holds stays.
    ///
    /// # Errors
    /// As [`Generator::within`], when nothing has changed. When the device fails, there is room for nothing any more.
    pub fn grow(&mut self, capacity: usize) -> Result<()> {
        if capacity <= self.capacity {
            return Ok(());
        }
        let layout = self.lora.as_ref().map(|lora| &lora.layout);
        GenerationPlan::of_growth(&self.session, layout, capacity, self.budget_bytes)?;
        self.capacity = 0;
        let model = Arc::clone(self.session.model());
        for (&(keys, values), width) in self.cache.state.layers.iter().zip(model.base().kv_widths()) {
            self.session.executor().lengthen(&[keys, values], capacity * width)?;
        }
        self.cache.state.capacity = capacity;
        let passes = Passes::load(&mut self.session, self.lora.as_ref(), &self.cache.state)?;
        (self.prefill, self.decode, self.branches) = (passes.prefill, passes.decode, None);
        self.capacity = capacity;
        Ok(())
    }

    /// Tokens of prompt and answer that there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Passes over the model that it has made, each of one token or of many.
    pub fn passes(&self) -> u64 {
        self.passes
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// The logits after `prompt`, by a pass of the whole prompt.
    pub(super) fn prompt_logits(&mut self, prompt: &[u32]) -> Result<Vec<f32>> {
        self.prefill(prompt, Rows::Whole)?;
        Ok(self.session.executor().read(self.prefill.program, self.prefill.logits)?)
    }

    /// The session, for another job.
    pub fn into_session(self) -> S {
        self.session
    }

    /// Runs `prompt` through the model, as far as the cache does not hold it, for the logits of its last token; gives how
    /// many tokens it held.
    fn prefill(&mut self, prompt: &[u32], rows: Rows) -> Result<usize> {
        let held = self.cache.held(prompt, rows == Rows::Whole);
        // One token alone goes another way through the kernels than one of several, and rounds otherwise.
        let least = if rows == Rows::Whole { 2 } else { 1 };
        let held = held.min(prompt.len().saturating_sub(least));
        self.cache.keep(held);
        let most = prefill_tokens(self.capacity);
        let mut start = held;
        while start < prompt.len() {
            let left = prompt.len() - start;
            let count = if left == most + 1 { left / 2 } else { left.min(most) };
            let end = start + count;
            self.pass(self.prefill, start, &prompt[start..end], end == prompt.len())?;
            self.cache.extend(&prompt[start..end], rows == Rows::Whole && prompt.len() > 1);
            start = end;
        }
        Ok(held)
    }

    /// Continues `prompt`; `on_text` sees each piece of complete text and may stop the generation.
    ///
    /// # Errors
    /// When the prompt is empty or too long, an option is out of range, or the device fails.
    pub fn generate(
        &mut self,
        prompt: &[u32],
        options: &GenerateOptions,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation> {
        self.run(prompt, options, Rows::Whole, on_text)
    }

    /// The same for a turn of a conversation, whose prompt begins with what was said before: it goes on from all that the
    /// cache holds of it, the tokens of its own earlier answers too, so that nothing is computed twice. Where the cache
    /// holds less, more is computed, and the logits are the same within rounding.
    ///
    /// # Errors
    /// As [`Generator::generate`].
    pub fn converse(
        &mut self,
        prompt: &[u32],
        options: &GenerateOptions,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation> {
        self.run(prompt, options, Rows::All, on_text)
    }

    fn run(
        &mut self,
        prompt: &[u32],
        options: &GenerateOptions,
        rows: Rows,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation> {
        self.session.model().check_ids(prompt)?;
        if prompt.is_empty() || options.max_tokens == 0 {
            return Err(Error::new(
                ErrorKind::BadOption,
                "generation needs a prompt token and max-tokens of at least 1",
            ));
        }
        if prompt.len().saturating_add(options.max_tokens) > self.capacity + 1 {
            let message = format!("{} prompt tokens and {} new ones", prompt.len(), options.max_tokens);
            return Err(Error::new(ErrorKind::BadOption, format!("{message} in room for {}", self.capacity)));
        }
        let model = Arc::clone(self.session.model());
        let mut sampler = Sampler::new(&options.sampling)?;
        let mut stream = TextStream::new(model.tokenizer(), &options.stop)?;
        let started = Instant::now();
        let cached_tokens = self.prefill(prompt, rows)?;
        let mut id = self.choose(self.prefill, &mut sampler, options, prompt)?;
        let prefill_seconds = started.elapsed().as_secs_f64();
        let mut seen = prompt.to_vec();
        let mut text = String::new();
        let started = Instant::now();
        let finish_reason = loop {
            seen.push(id);
            if !options.ignore_eos && model.tokenizer().is_eos(id) {
                break FinishReason::EndOfTurn;
            }
            let piece = stream.push(id)?;
            text.push_str(&piece.text);
            if !piece.text.is_empty() && on_text(&piece.text).is_break() {
                break FinishReason::Cancelled;
            }
            if piece.stopped {
                break FinishReason::Stop;
            }
            if seen.len() - prompt.len() == options.max_tokens {
                break FinishReason::MaxTokens;
            }
            let passed = self.pass(self.decode, seen.len() - 1, &[id], true);
            if passed.is_ok() && rows == Rows::All {
                self.cache.extend(&[id], false);
            }
            id = match passed.and_then(|()| self.choose(self.decode, &mut sampler, options, &seen)) {
                // What was given so far stays given.
                Err(error) if error.kind() == ErrorKind::Cancelled => break FinishReason::Cancelled,
                chosen => chosen?,
            };
        };
        let decode_seconds = started.elapsed().as_secs_f64();
        if matches!(finish_reason, FinishReason::EndOfTurn | FinishReason::MaxTokens) {
            let rest = stream.finish()?.text;
            text.push_str(&rest);
            if !rest.is_empty() {
                // The text ends here either way.
                let _ = on_text(&rest);
            }
        }
        let ids = seen.split_off(prompt.len());
        let prompt_tokens = prompt.len();
        Ok(Generation { text, ids, finish_reason, prompt_tokens, cached_tokens, prefill_seconds, decode_seconds })
    }

    /// Runs `ids` behind the `start` tokens in the cache; the last one's logits are made where they are wanted.
    fn pass(&mut self, pass: Pass, start: usize, ids: &[u32], wants_logits: bool) -> Result<()> {
        self.passes += 1;
        let packing = Packing::continuation(start, ids.len());
        let selected: &[u32] = if wants_logits { &[ids.len() as u32 - 1] } else { &[] };
        let rows = RowCounts { tokens: ids.len(), selected: selected.len() };
        let inputs = vec![
            (pass.tokens.ids, ids),
            (pass.tokens.positions, &packing.positions),
            (pass.tokens.spans, &packing.spans),
            (pass.slots, &packing.positions),
            (pass.selected, selected),
        ];
        Ok(self.session.executor().run(pass.program, &Run { rows, inputs, scalars: Scalars::default() })?)
    }

    /// The next token, from the largest logits where they are enough: only then need the others not be read back.
    fn choose(&mut self, pass: Pass, sampler: &mut Sampler, options: &GenerateOptions, seen: &[u32]) -> Result<u32> {
        let executor = self.session.executor();
        // The normaliser that comes with the candidates is that of temperature 1; top-k and greedy need none.
        let SamplingOptions { temperature, top_k, .. } = options.sampling;
        if temperature == 0.0 || temperature == 1.0 || top_k > 0 {
            let values = executor.read(pass.program, pass.candidates)?;
            let (logits, rest) = values.split_at(CANDIDATES);
            let ids: Vec<u32> = rest[..CANDIDATES].iter().map(|id| id.to_bits()).collect();
            let real = ids.iter().take_while(|&&id| id != u32::MAX).count();
            if let Some(id) = sampler.sample_candidates(&ids[..real], &logits[..real], rest[CANDIDATES], seen)? {
                return Ok(id);
            }
        }
        let mut logits = executor.read(pass.program, pass.logits)?;
        sampler.sample(&mut logits, seen)
    }
}

#[cfg(test)]
mod tests;
