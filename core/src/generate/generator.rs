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
use super::{FinishReason, Sampler, SamplingOptions, TextStream};
use crate::adapter::Adapter;
use crate::error::{Error, ErrorKind, Result};
use crate::model::inference::{CANDIDATES, CacheState, continuation};
use crate::model::{LoraBinding, Model, TokenInputs};
use crate::session::Session;
use crate::text::{ChatMessage, Role};

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

/// A prompt's token ids: `text` as it is, after the document-start token where it is empty or the adapter (also one that
/// is merged in) was trained so, after a BOS where the model's own settings add one.
///
/// # Errors
/// When the text cannot be tokenized, or is empty and the model has no document-start token.
pub fn plain_prompt(model: &Model, adapter: Option<&Adapter>, text: &str) -> Result<Vec<u32>> {
    let mut ids = Vec::from_iter(prompt_start(model, adapter, text));
    ids.extend(model.tokenizer().encode(text)?);
    if ids.is_empty() {
        return Err(Error::new(ErrorKind::BadData, "the prompt is empty and the model has no document-start token"));
    }
    Ok(ids)
}

/// The token that goes before a plain prompt, where there is one.
pub(super) fn prompt_start(model: &Model, adapter: Option<&Adapter>, text: &str) -> Option<u32> {
    let tokenizer = model.tokenizer();
    if text.is_empty() || model.document_start() || adapter.is_some_and(Adapter::document_start) {
        return tokenizer.document_start();
    }
    tokenizer.bos().filter(|_| tokenizer.adds_bos())
}

/// `text` as the user's turn of the model's own chat template, ready for the assistant's.
///
/// # Errors
/// When the model has no chat template, or it fails.
pub fn chat_prompt(model: &Model, text: &str) -> Result<Vec<u32>> {
    model.tokenizer().encode_chat(&[ChatMessage::new(Role::User, text)], true)
}

/// Refuses a sequence longer than the model was opened for.
pub(crate) fn check_capacity(tokens: usize, context: usize) -> Result<()> {
    if tokens <= context {
        return Ok(());
    }
    let message = format!("{tokens} tokens of prompt and answer; the model holds {context}");
    Err(Error::new(ErrorKind::BadOption, message).with_hint("shorten the prompt or ask for fewer tokens"))
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

/// Generates with a model and an adapter, on a session that it borrows or owns.
///
/// What a prompt left in the cache serves the next prompt that begins alike, be it for an answer or for suggestions. An
/// answer's bits do not depend on what was asked before.
pub struct Generator<S> {
    pub(super) session: S,
    capacity: usize,
    prefill: Pass,
    decode: Pass,
    prefill_tokens: usize,
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
    /// When the model was not made for so many, or the device cannot hold them.
    pub fn new(session: S, adapter: Option<&Adapter>, capacity: usize) -> Result<Self> {
        Self::on(session, adapter, capacity).map_err(|(_, error)| error)
    }

    /// The same; where it fails, the session comes back.
    pub(crate) fn on(mut session: S, adapter: Option<&Adapter>, capacity: usize) -> Result<Self, (S, Error)> {
        let prefill_tokens = PREFILL_TOKENS.min(capacity);
        match Self::load(&mut session, adapter, capacity, prefill_tokens) {
            Ok((prefill, decode, cache, lora)) => Ok(Self {
                session,
                capacity,
                prefill,
                decode,
                prefill_tokens,
                cache: PrefixCache::new(cache),
                lora,
                branches: None,
                explored: Explored::default(),
                passes: 0,
            }),
            Err(error) => Err((session, error)),
        }
    }

    /// The passes for prompts and for single tokens, loaded.
    fn load(
        session: &mut S,
        adapter: Option<&Adapter>,
        capacity: usize,
        prefill_tokens: usize,
    ) -> Result<(Pass, Pass, CacheState, Option<LoraBinding>)> {
        let model = Arc::clone(session.model());
        check_capacity(capacity, model.base().context)?;
        session.start_job();
        let lora = session.bind(adapter)?;
        let executor = session.executor();
        let len = capacity * model.base().kv_width();
        let layers = (0..model.base().config.layers)
            .map(|_| Ok((executor.add_state("key cache", len)?, executor.add_state("value cache", len)?)))
            .collect::<Result<_>>()?;
        let cache = CacheState { capacity, layers };
        let mut load = |tokens| -> Result<Pass> {
            let pass = continuation(model.base(), lora.as_ref(), &cache, tokens);
            let program = executor.load(Arc::new(pass.program))?;
            let (slots, selected) = (pass.slots, pass.selected);
            Ok(Pass { program, tokens: pass.tokens, slots, selected, logits: pass.logits, candidates: pass.candidates })
        };
        let (prefill, decode) = (load(prefill_tokens)?, load(1)?);
        Ok((prefill, decode, cache, lora))
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
        self.prefill(prompt)?;
        Ok(self.session.executor().read(self.prefill.program, self.prefill.logits)?)
    }

    /// The session, for another job.
    pub fn into_session(self) -> S {
        self.session
    }

    /// Runs `prompt` through the model, as far as the cache does not hold it, for the logits of its last token.
    fn prefill(&mut self, prompt: &[u32]) -> Result<()> {
        // One token alone goes another way through the kernels than one of several, and rounds otherwise.
        let mut start = self.cache.held(prompt, true).min(prompt.len().saturating_sub(2));
        self.cache.keep(start);
        let kept = start;
        while start < prompt.len() {
            let left = prompt.len() - start;
            let count = if left == self.prefill_tokens + 1 { left / 2 } else { left.min(self.prefill_tokens) };
            let end = start + count;
            self.pass(self.prefill, start, &prompt[start..end], end == prompt.len())?;
            start = end;
        }
        self.cache.extend(&prompt[kept..], prompt.len() > 1);
        Ok(())
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
        self.prefill(prompt)?;
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
        Ok(Generation { text, ids, finish_reason, prompt_tokens: prompt.len(), prefill_seconds, decode_seconds })
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
