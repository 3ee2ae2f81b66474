//! The memory of a training, stated before anything is allocated.
//!
//! A budget changes only what is kept for the backward pass and how many rows of logits exist at a time, never rows or
//! batches, so it never changes a bit of the result. Bytes are what the executor says of the programs that will run.

use idiolect_kernels::Job;
use idiolect_kernels::program::{RowCounts, StateId};

use crate::adapter::AdapterShape;
use crate::available_memory::available_memory;
use crate::device::DeviceKind;
use crate::error::{Error, ErrorKind, Result};
use crate::passes::block::Keep;
use crate::passes::training::{AdamSettings, TrainShape, TrainState, accumulate, update};
use crate::passes::{LoraBinding, inference};
use crate::session::Session;
use crate::trace::{self, Event};

/// Rows of logits at a time, fastest first.
const LOGIT_ROWS: [usize; 2] = [64, 32];

/// What a training keeps to if it can where no budget is given: 350 MB, or twice the weights where that is more.
const USUAL_BUDGET: usize = 350_000_000;

/// What is planned, and on which device.
#[derive(Clone, Copy)]
struct Planned<'a> {
    pub session: &'a Session,
    pub adapter: &'a AdapterShape,
    /// Tokens of a packed row.
    pub row_tokens: usize,
    /// The samples that the process holds to learn from.
    pub data_bytes: usize,
    /// Memory that the machine has free for the process, as far as it tells.
    pub available: Option<usize>,
}

/// Bytes by purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainPlan {
    /// The frozen model, all of it counted as resident.
    pub weight_bytes: usize,
    /// Adapter, gradients, two moments.
    pub state_bytes: usize,
    /// Activations and logits.
    pub arena_bytes: usize,
    /// Panels of the CPU's threads; on a GPU operations' own memory, dispatches' parameters, and what is read back.
    pub scratch_bytes: usize,
    /// The process itself with its tokenizer and the samples; 0 on a GPU, whose budget is the device's.
    pub process_bytes: usize,
    /// Tokens a packed row holds.
    pub row_tokens: usize,
    /// Layers whose attention is computed again on the way back.
    pub recomputed_attention: usize,
    /// Layers whose feed-forward half is computed again.
    pub recomputed_mlp: usize,
    /// Rows of logits that exist at a time.
    pub logit_rows: usize,
    /// The budget that trainings usually keep to, where none was given and this one cannot: it is the smallest plan
    /// then.
    pub exceeded_budget: Option<usize>,
    pub(crate) shape: TrainShape,
}

impl TrainPlan {
    /// The fastest plan within `budget_bytes`. Without a budget the fastest within the usual one, or the smallest plan
    /// where none keeps to that: only memory that is not there refuses it.
    ///
    /// # Errors
    /// [`ErrorKind::OverBudget`], saying what would fit, when even the smallest plan is larger than the budget or,
    /// without one, than what the machine has.
    fn new(planned: Planned<'_>, budget_bytes: Option<usize>) -> Result<Self> {
        let Planned { session, row_tokens, .. } = planned;
        // On a GPU the plan is of the device's memory, which tells nobody what is free.
        let available = planned.available.filter(|_| session.device().kind == DeviceKind::Cpu);
        let usual = USUAL_BUDGET.max(session.weight_bytes().saturating_mul(2));
        let limit = budget_bytes.unwrap_or(available.map_or(usual, |available| available.min(usual)));
        let candidates = shapes(session.model().base().config.layers.len(), row_tokens);
        let plan_of = |shape: &TrainShape| Self::of_shape(planned, shape.clone());
        // Bytes fall along the candidates: the first that fits is the fastest.
        let first = candidates.partition_point(|shape| plan_of(shape).map_or(true, |plan| plan.total_bytes() > limit));
        if let Some(shape) = candidates.get(first) {
            return plan_of(shape);
        }
        let smallest = candidates.last().ok_or_else(|| Error::new(ErrorKind::BadData, "a model without layers"))?;
        let smallest = plan_of(smallest)?;
        let least = smallest.total_bytes();
        let message = match (budget_bytes, available) {
            (Some(budget), _) => format!("a budget of {budget} bytes cannot hold this training, which needs {least}"),
            (None, Some(available)) if available < least => {
                format!("this training needs {least} bytes of memory, and {available} are available")
            }
            (None, _) => return Ok(Self { exceeded_budget: Some(usual), ..smallest }),
        };
        trace::tell(Event::BudgetRefused { needed: least, limit });
        let hint = match budget_bytes {
            Some(_) => format!("give at least {} MB, a lower rank or shorter samples", least.div_ceil(1_000_000)),
            None => "close other programs, or give a lower rank or shorter samples".to_owned(),
        };
        Err(Error::new(ErrorKind::OverBudget, message).with_hint(hint))
    }

    /// All bytes: of the process on the CPU, of the device on a GPU.
    pub fn total_bytes(&self) -> usize {
        let parts = [self.weight_bytes, self.state_bytes, self.arena_bytes, self.scratch_bytes, self.process_bytes];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    fn of_shape(planned: Planned<'_>, shape: TrainShape) -> Result<Self> {
        let Planned { session, adapter, data_bytes, .. } = planned;
        let model = session.model();
        let state =
            TrainState { grads: StateId(1), first_moment: StateId(2), second_moment: StateId(3), total: StateId(4) };
        let (layout, dropout) = (adapter.layout(), adapter.config().dropout);
        let lora = LoraBinding { layout: layout.clone(), params: StateId(0), dropout };
        let (step, _) = accumulate(model.base(), &lora, state, &shape);
        let (finish, _) = update(&lora, state, &AdamSettings::default());
        // A validation in between, which runs beside them.
        let lora = LoraBinding { dropout: 0.0, ..lora };
        let (validation, _) = inference::scoring(model.base(), Some(&lora), shape.capacity);
        let bytes = session.job_bytes(&Job {
            // Parameters, gradients, both moments; the loss.
            states: &[layout.len(), layout.len(), layout.len(), layout.len(), 1],
            programs: &[&step, &finish, &validation],
        })?;
        let on_cpu = session.device().kind == DeviceKind::Cpu;
        let count = |wanted: &[Keep]| shape.keep.iter().filter(|keep| wanted.contains(keep)).count();
        Ok(Self {
            weight_bytes: session.weight_bytes(),
            state_bytes: bytes.state,
            arena_bytes: bytes.arena,
            scratch_bytes: bytes.working,
            process_bytes: if on_cpu { model.process_bytes() + data_bytes } else { 0 },
            row_tokens: shape.capacity.tokens,
            recomputed_attention: count(&[Keep::Input]),
            recomputed_mlp: count(&[Keep::Input, Keep::Attention]),
            logit_rows: shape.logit_rows,
            exceeded_budget: None,
            shape,
        })
    }
}

impl Session {
    /// Plans the memory of a training of an adapter of this shape on this device, in packed rows of `row_tokens`: the
    /// fastest plan within `budget_bytes`; without a budget, the fastest within the usual one or else the smallest.
    /// Nothing is allocated.
    ///
    /// # Errors
    /// [`ErrorKind::OverBudget`](crate::ErrorKind::OverBudget), saying what would fit, when even the smallest plan is
    /// larger than the budget or, without one, than what the machine has.
    pub fn plan_training(
        &self,
        adapter: &AdapterShape,
        row_tokens: usize,
        budget_bytes: Option<usize>,
    ) -> Result<TrainPlan> {
        self.plan_training_on(adapter, row_tokens, 0, budget_bytes)
    }

    /// The same with `data_bytes` of samples in the process's memory.
    ///
    /// # Errors
    /// As [`Session::plan_training`].
    pub(crate) fn plan_training_on(
        &self,
        adapter: &AdapterShape,
        row_tokens: usize,
        data_bytes: usize,
        budget_bytes: Option<usize>,
    ) -> Result<TrainPlan> {
        let available = available_memory();
        TrainPlan::new(Planned { session: self, adapter, row_tokens, data_bytes, available }, budget_bytes)
    }

    /// The bytes that a training takes beside what the open model holds already, however many are free: of the plan that it
    /// would have without a limit but `budget_bytes`. Its samples, which are read later, are not among them.
    ///
    /// # Errors
    /// [`ErrorKind::OverBudget`](crate::ErrorKind::OverBudget) when even the smallest plan is larger than the budget.
    pub(crate) fn training_takes(
        &self,
        adapter: &AdapterShape,
        row_tokens: usize,
        budget_bytes: Option<usize>,
    ) -> Result<usize> {
        let planned = Planned { session: self, adapter, row_tokens, data_bytes: 0, available: None };
        let plan = TrainPlan::new(planned, budget_bytes)?;
        // On the CPU that is the process with its tokenizer. The weights there are pages of a file: those in memory count
        // as memory that can be taken, and so among what is needed. On a GPU they lie on the device.
        let held = if self.device().kind == DeviceKind::Cpu { plan.process_bytes } else { plan.weight_bytes };
        Ok(plan.total_bytes().saturating_sub(held))
    }
}

/// Shapes from the fastest to the smallest: the feed-forward halves of ever more layers are computed again, then whole
/// layers, then fewer logits at a time.
fn shapes(layers: usize, row_tokens: usize) -> Vec<TrainShape> {
    let capacity = RowCounts { tokens: row_tokens, selected: row_tokens };
    let with = |from: Keep, to: Keep, changed: usize, logit_rows: usize| TrainShape {
        capacity,
        keep: (0..layers).map(|layer| if layer < changed { to } else { from }).collect(),
        logit_rows: logit_rows.min(row_tokens.checked_next_multiple_of(32).unwrap_or(logit_rows)),
    };
    let mut shapes: Vec<TrainShape> = Vec::new();
    shapes.extend((0..=layers).map(|n| with(Keep::All, Keep::Attention, n, LOGIT_ROWS[0])));
    shapes.extend((1..=layers).map(|n| with(Keep::Attention, Keep::Input, n, LOGIT_ROWS[0])));
    shapes.extend(LOGIT_ROWS[1..].iter().map(|&rows| with(Keep::Input, Keep::Input, layers, rows)));
    shapes
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::adapter::LoraOptions;
    use crate::device::DeviceChoice;
    use crate::model::Model;

    #[test]
    fn only_a_budget_that_was_asked_for_refuses_and_memory_that_is_not_there() {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings/cli/assets/base");
        let model = Arc::new(Model::open(&base).unwrap());
        let session = Session::with_threads(Arc::clone(&model), DeviceChoice::Cpu, 1).unwrap();
        let adapter = LoraOptions::default().shape(&model).unwrap();
        let planned = |data_bytes: usize, available: Option<usize>| Planned {
            session: &session,
            adapter: &adapter,
            row_tokens: 256,
            data_bytes,
            available,
        };
        let shapes = shapes(model.base().config.layers.len(), 256);
        let total = |shape: &TrainShape| TrainPlan::of_shape(planned(0, None), shape.clone()).unwrap().total_bytes();
        let (most, least) = (total(&shapes[0]), total(&shapes[shapes.len() - 1]));
        let large = USUAL_BUDGET;
        for (data_bytes, budget, available, expected) in [
            (0, None, None, Ok((most, None))),
            (0, None, Some(most), Ok((most, None))),
            // Less is there than is usual: the fastest that it holds, down to the smallest.
            (0, None, Some(least), Ok((least, None))),
            (0, None, Some(least - 1), Err("are available")),
            // More is needed than is usual: the smallest, if it is there.
            (large, None, None, Ok((least + large, Some(USUAL_BUDGET)))),
            (large, None, Some(usize::MAX), Ok((least + large, Some(USUAL_BUDGET)))),
            (large, None, Some(least + large), Ok((least + large, Some(USUAL_BUDGET)))),
            (large, None, Some(least + large - 1), Err("are available")),
            // What was asked for is kept to, whatever is there.
            (large, Some(least + large), Some(0), Ok((least + large, None))),
            (large, Some(least + large - 1), None, Err("a budget of")),
        ] {
            let case = format!("{data_bytes} {budget:?} {available:?}");
            match (TrainPlan::new(planned(data_bytes, available), budget), expected) {
                (Ok(plan), Ok(expected)) => assert_eq!((plan.total_bytes(), plan.exceeded_budget), expected, "{case}"),
                (Err(error), Err(part)) => {
                    assert_eq!(error.kind(), ErrorKind::OverBudget);
                    assert!(error.message().contains(part), "{case}: {error}");
                }
                (result, _) => panic!("{case}: {result:?}"),
            }
        }
    }
}
