//! The memory of a training, stated before anything is allocated.
//!
//! A budget changes only what is kept for the backward pass and how many rows of logits exist at a time, never rows or
//! batches, so it never changes a bit of the result. Bytes come from the programs' own plans.

use idiolect_kernels::cpu::CpuExecutor;
use idiolect_kernels::program::{Plan, RowCounts, StateId};

use crate::adapter::LoraLayout;
use crate::device::DeviceKind;
use crate::error::{Error, ErrorKind, Result};
use crate::model::training::{AdamSettings, Keep, TrainShape, TrainState, accumulate, update};
use crate::model::{LoraBinding, Model};

/// Rows of logits at a time, fastest first.
const LOGIT_ROWS: [usize; 2] = [64, 32];

/// Without a budget: 350 MB, or twice the weights where that is more.
const DEFAULT_BUDGET: usize = 350_000_000;

/// What a process takes beside weights, arena and state: code, threads' stacks, the allocator's slack. Measured.
const PROCESS_BYTES: usize = 25_000_000;

/// What the tokenizer takes for every entry of its vocabulary: text, merges, their maps. Measured.
const TOKEN_BYTES: usize = 400;

/// What a plan has to know of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceMemory {
    /// GPU or CPU.
    pub kind: DeviceKind,
    /// Threads of the CPU executor, each with its scratch.
    pub threads: usize,
    /// The weights as the device holds them.
    pub weight_bytes: usize,
    /// The samples that the process holds to learn from.
    pub data_bytes: usize,
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
    /// Panels of the CPU's threads.
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
    pub(crate) shape: TrainShape,
}

impl TrainPlan {
    /// The fastest plan within `budget_bytes`.
    ///
    /// # Errors
    /// [`ErrorKind::OverBudget`], saying what would fit, when even the smallest plan is larger.
    pub fn new(
        model: &Model,
        layout: &LoraLayout,
        dropout: f32,
        row_tokens: usize,
        device: DeviceMemory,
        budget_bytes: Option<usize>,
    ) -> Result<Self> {
        let budget = budget_bytes.unwrap_or(DEFAULT_BUDGET.max(2 * device.weight_bytes));
        let candidates = shapes(model.base().config.layers, row_tokens);
        let plan_of = |shape: &TrainShape| Self::of_shape(model, layout, dropout, device, shape.clone());
        // Bytes fall along the candidates: the first that fits is the fastest.
        let first = candidates.partition_point(|shape| plan_of(shape).total_bytes() > budget);
        match candidates.get(first) {
            Some(shape) => Ok(plan_of(shape)),
            None => {
                let least = candidates.last().map_or(0, |shape| plan_of(shape).total_bytes());
                let message = format!("a budget of {budget} bytes cannot hold this training, which needs {least}");
                Err(Error::new(ErrorKind::OverBudget, message).with_hint(format!(
                    "give at least {} MB, a lower rank or shorter samples",
                    least.div_ceil(1_000_000)
                )))
            }
        }
    }

    /// All bytes: of the process on the CPU, of the device on a GPU.
    pub fn total_bytes(&self) -> usize {
        self.weight_bytes + self.state_bytes + self.arena_bytes + self.scratch_bytes + self.process_bytes
    }

    fn of_shape(model: &Model, layout: &LoraLayout, dropout: f32, device: DeviceMemory, shape: TrainShape) -> Self {
        let state =
            TrainState { grads: StateId(1), first_moment: StateId(2), second_moment: StateId(3), total: StateId(4) };
        let lora = LoraBinding { layout: layout.clone(), params: StateId(0), dropout };
        let (step, _) = accumulate(model.base(), &lora, state, &shape);
        let (finish, _) = update(&lora, state, &AdamSettings::default());
        let on_cpu = device.kind == DeviceKind::Cpu;
        let count = |wanted: &[Keep]| shape.keep.iter().filter(|keep| wanted.contains(keep)).count();
        Self {
            weight_bytes: device.weight_bytes,
            state_bytes: 4 * layout.len() * 4,
            arena_bytes: Plan::new(&step).bytes().max(Plan::new(&finish).bytes()),
            scratch_bytes: if on_cpu { CpuExecutor::scratch_bytes(device.threads) } else { 0 },
            process_bytes: if on_cpu {
                PROCESS_BYTES + TOKEN_BYTES * model.tokenizer().vocab_size() + device.data_bytes
            } else {
                0
            },
            row_tokens: shape.capacity.tokens,
            recomputed_attention: count(&[Keep::Input]),
            recomputed_mlp: count(&[Keep::Input, Keep::Attention]),
            logit_rows: shape.logit_rows,
            shape,
        }
    }
}

/// Shapes from the fastest to the smallest: the feed-forward halves of ever more layers are computed again, then whole
/// layers, then fewer logits at a time.
fn shapes(layers: usize, row_tokens: usize) -> Vec<TrainShape> {
    let capacity = RowCounts { tokens: row_tokens, selected: row_tokens };
    let with = |from: Keep, to: Keep, changed: usize, logit_rows: usize| TrainShape {
        capacity,
        keep: (0..layers).map(|layer| if layer < changed { to } else { from }).collect(),
        logit_rows: logit_rows.min(row_tokens.next_multiple_of(32)),
    };
    let mut shapes: Vec<TrainShape> = Vec::new();
    shapes.extend((0..=layers).map(|n| with(Keep::All, Keep::Attention, n, LOGIT_ROWS[0])));
    shapes.extend((1..=layers).map(|n| with(Keep::Attention, Keep::Input, n, LOGIT_ROWS[0])));
    shapes.extend(LOGIT_ROWS[1..].iter().map(|&rows| with(Keep::Input, Keep::Input, layers, rows)));
    shapes
}
