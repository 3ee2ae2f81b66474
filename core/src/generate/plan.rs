//! The memory of a generation, stated before anything is allocated.
//!
//! Bytes are what the executor says of the programs that will run. How long the context is changes no bit of an answer.

use idiolect_kernels::Job;
use idiolect_kernels::program::{Program, RowCounts, StateId};

use super::branches::{BRANCH_ROWS, MOST_LOOKED_AT};
use super::generator::prefill_tokens;
use crate::adapter::{Adapter, LoraLayout};
use crate::available_memory::available_memory;
use crate::device::DeviceKind;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Model;
use crate::passes::LoraBinding;
use crate::passes::inference::{CacheState, branches, continuation};
use crate::session::Session;

/// Tokens that the hint of a refusal is a multiple of.
const HINT_STEP: usize = 64;

/// Bytes by purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenerationPlan {
    /// Tokens of prompt and answer that there is room for.
    pub context: usize,
    /// The frozen model, all of it counted as resident.
    pub weight_bytes: usize,
    /// The adapter's parameters.
    pub adapter_bytes: usize,
    /// Keys and values of all layers; one layer's keys once more, for they are there twice while the cache grows.
    pub cache_bytes: usize,
    /// Activations and logits, those of suggestions included.
    pub arena_bytes: usize,
    /// Panels of the CPU's threads; on a GPU operations' own memory, dispatches' parameters, and what is read back.
    pub scratch_bytes: usize,
    /// The process itself with its tokenizer; 0 on a GPU, whose budget is the device's.
    pub process_bytes: usize,
}

impl GenerationPlan {
    /// Plans a generation with room for `context` tokens on a session like this one. Nothing is allocated.
    ///
    /// # Errors
    /// [`ErrorKind::OverBudget`], saying what would fit, when it is larger than the budget or, without one, than what the
    /// machine has; [`ErrorKind::BadOption`] when the model was not opened for so many tokens.
    pub fn new(
        session: &Session,
        adapter: Option<&Adapter>,
        context: usize,
        budget_bytes: Option<usize>,
    ) -> Result<Self> {
        let layout = adapter.filter(|adapter| adapter.strength() > 0.0).map(Adapter::layout);
        Self::within(session, layout, context, Limit::of(session, budget_bytes))
    }

    /// The same for a generation whose beginning lies on the session.
    pub(super) fn of_growth(
        session: &Session,
        layout: Option<&LoraLayout>,
        context: usize,
        budget_bytes: Option<usize>,
    ) -> Result<Self> {
        let held = session.device_bytes().saturating_sub(session.weight_bytes());
        Self::within(session, layout, context, Limit { held, ..Limit::of(session, budget_bytes) })
    }

    /// All bytes: of the process on the CPU, of the device on a GPU.
    pub fn total_bytes(&self) -> usize {
        [self.weight_bytes, self.process_bytes, self.job_bytes()].into_iter().fold(0, usize::saturating_add)
    }

    /// Bytes of the generation alone.
    fn job_bytes(&self) -> usize {
        let parts = [self.adapter_bytes, self.cache_bytes, self.arena_bytes, self.scratch_bytes];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    fn within(session: &Session, layout: Option<&LoraLayout>, context: usize, limit: Limit) -> Result<Self> {
        check_capacity(context, session.model().base().context)?;
        let plan = Self::of(session, layout, context)?;
        let Some((wanted, most)) = limit.exceeded_by(&plan) else { return Ok(plan) };
        let message = match limit.budget_bytes {
            Some(_) => {
                format!("a budget of {most} bytes cannot hold a context of {context} tokens, which needs {wanted}")
            }
            None => format!("a context of {context} tokens needs {wanted} bytes more, and {most} are available"),
        };
        // Bytes grow with the context: the longest one that fits lies between none and this one.
        let (mut fits, mut least) = (0, context.div_ceil(HINT_STEP));
        while fits + 1 < least {
            let middle = (fits + least) / 2;
            match limit.exceeded_by(&Self::of(session, layout, middle * HINT_STEP)?) {
                None => fits = middle,
                Some(_) => least = middle,
            }
        }
        let first = match limit.budget_bytes {
            Some(_) => format!("give at least {} MB", wanted.div_ceil(1_000_000)),
            None => "close other programs".to_owned(),
        };
        let hint = match fits {
            0 => first,
            fits => format!("{first}, or ask for a context of {} tokens", fits * HINT_STEP),
        };
        Err(Error::new(ErrorKind::OverBudget, message).with_hint(hint))
    }

    fn of(session: &Session, layout: Option<&LoraLayout>, context: usize) -> Result<Self> {
        let model = &**session.model();
        let base = model.base();
        let layout = layout.filter(|layout| !layout.is_empty());
        let lora = layout.map(|layout| LoraBinding { layout: layout.clone(), params: StateId(0), dropout: 0.0 });
        let adapter_len = lora.as_ref().map(|lora| lora.layout.len());
        let cache_lens = base.kv_widths().map(|width| context.saturating_mul(width));
        let longest = cache_lens.clone().max().unwrap_or(0);
        let states = Vec::from_iter(adapter_len.into_iter().chain(cache_lens.flat_map(|len| [len, len])));
        let first = usize::from(adapter_len.is_some());
        let layers = 0..base.config.layers.len();
        let layers = layers.map(|layer| (StateId(first + 2 * layer), StateId(first + 2 * layer + 1)));
        let cache = CacheState { capacity: context, layers: layers.collect() };
        let programs = programs(model, lora.as_ref(), &cache);
        let bytes = session.job_bytes(&Job { states: &states, programs: &programs.each_ref() })?;
        let adapter_bytes = 4 * adapter_len.unwrap_or(0);
        let on_cpu = session.device().kind == DeviceKind::Cpu;
        Ok(Self {
            context,
            weight_bytes: session.weight_bytes(),
            adapter_bytes,
            cache_bytes: bytes.state.saturating_sub(adapter_bytes).saturating_add(longest.saturating_mul(4)),
            arena_bytes: bytes.arena,
            scratch_bytes: bytes.working,
            process_bytes: if on_cpu { model.process_bytes() } else { 0 },
        })
    }
}

/// What a plan has to keep to.
#[derive(Debug, Clone, Copy)]
struct Limit {
    /// What was asked for: that is kept to, whatever is there.
    budget_bytes: Option<usize>,
    /// Memory that the machine has free for the process, as far as it tells. A GPU tells nobody.
    available: Option<usize>,
    /// Bytes of the generation that are there already.
    held: usize,
}

impl Limit {
    fn of(session: &Session, budget_bytes: Option<usize>) -> Self {
        let available = available_memory().filter(|_| session.device().kind == DeviceKind::Cpu);
        Self { budget_bytes, available, held: 0 }
    }

    /// What the plan wants and what there is, where it wants too much.
    fn exceeded_by(self, plan: &GenerationPlan) -> Option<(usize, usize)> {
        let (wanted, most) = match (self.budget_bytes, self.available) {
            (Some(budget), _) => (plan.total_bytes(), budget),
            (None, Some(available)) => (plan.job_bytes().saturating_sub(self.held), available),
            (None, None) => return None,
        };
        (wanted > most).then_some((wanted, most))
    }
}

/// The programs of a generator: for prompts, for single tokens, for the branches of suggestions.
fn programs(model: &Model, lora: Option<&LoraBinding>, cache: &CacheState) -> [Program; 3] {
    let base = model.base();
    let counts = RowCounts { tokens: BRANCH_ROWS, selected: MOST_LOOKED_AT };
    [
        continuation(base, lora, cache, prefill_tokens(cache.capacity)).program,
        continuation(base, lora, cache, 1).program,
        branches(base, lora, cache, counts).program,
    ]
}

/// Refuses a sequence longer than the model was opened for.
pub(crate) fn check_capacity(tokens: usize, context: usize) -> Result<()> {
    if tokens <= context {
        return Ok(());
    }
    let message = format!("{tokens} tokens of prompt and answer; the model holds {context}");
    Err(Error::new(ErrorKind::BadOption, message).with_hint("shorten the prompt or ask for fewer tokens"))
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::adapter::LoraOptions;
    use crate::device::DeviceChoice;
    use crate::generate::{GenerateOptions, Generator, SuggestOptions, SuggestPrompt, WordTable};

    fn session() -> Session {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings/cli/assets/base");
        Session::new(Arc::new(Model::open(&base).unwrap()), DeviceChoice::Cpu).unwrap()
    }

    #[test]
    fn a_generator_holds_what_its_plan_says() {
        let mut session = session();
        let model = Arc::clone(session.model());
        let adapter = LoraOptions::default().fresh(&model, 0).unwrap();
        let words = WordTable::new(model.tokenizer());
        for (adapter, context) in [(None, 64), (None, 600), (Some(&adapter), 600)] {
            let plan = GenerationPlan::new(&session, adapter, context, None).unwrap();
            let mut generator = Generator::new(&mut session, adapter, context).unwrap();
            let prompt = SuggestPrompt::new(&model, adapter, "The kettle is on the bo").unwrap();
            generator.suggest(&prompt, &SuggestOptions::default(), &words).unwrap();
            let options = GenerateOptions { max_tokens: 5, ..GenerateOptions::default() };
            generator.generate(&[17, 18, 19], &options, &mut |_| ControlFlow::Continue(())).unwrap();
            let held = generator.session().device_bytes();
            let growing = 4 * context * model.base().kv_widths().max().unwrap();
            assert_eq!(held + growing + plan.process_bytes, plan.total_bytes(), "{context} tokens: {plan:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_would() {
        let session = session();
        let plan = |context, budget_bytes, available, held| {
            GenerationPlan::within(&session, None, context, Limit { budget_bytes, available, held })
        };
        let whole = plan(1024, None, None, 0).unwrap();
        let (all, job) = (whole.total_bytes(), whole.job_bytes());
        for (context, budget_bytes, available, held, expected) in [
            (1024, Some(all), None, 0, Ok(())),
            // What was asked for is kept to, whatever is there.
            (1024, Some(all), Some(0), 0, Ok(())),
            (1024, Some(all - 1), None, 0, Err(("a budget of", "or ask for a context of 960 tokens"))),
            (1024, Some(1000), None, 0, Err(("a budget of 1000 bytes", "give at least"))),
            (1024, None, Some(job), 0, Ok(())),
            (1024, None, Some(job - 1), 0, Err(("are available", "close other programs, or ask for"))),
            (1024, None, Some(job - 1), 1, Ok(())),
            (1024, None, Some(0), 0, Err(("are available", "close other programs"))),
            (1025, Some(all * 2), None, 0, Err(("the model holds 1024", "shorten"))),
        ] {
            let case = format!("{context} {budget_bytes:?} {available:?} {held}");
            match (plan(context, budget_bytes, available, held), expected) {
                (Ok(_), Ok(())) => {}
                (Err(error), Err((part, hint))) => {
                    let kind = if context > 1024 { ErrorKind::BadOption } else { ErrorKind::OverBudget };
                    assert_eq!(error.kind(), kind, "{case}");
                    let hinted = error.hint().unwrap_or_default();
                    assert!(error.message().contains(part) && hinted.contains(hint), "{case}: {error} ({hinted})");
                }
                (result, _) => panic!("{case}: {result:?}"),
            }
        }
    }
}
