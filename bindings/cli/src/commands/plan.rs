//! `idiolect plan`.

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use idiolect::train::TrainOptions;
use idiolect::{Model, Result};
use serde::Serialize;

use crate::args::{BudgetArgs, DeviceArgs, LoraArgs};
use crate::output::{Output, Table, megabytes};

#[derive(Debug, Args)]
pub struct Plan {
    /// A model folder or a GGUF file
    model: PathBuf,

    #[command(flatten)]
    lora: LoraArgs,

    /// Tokens of a packed row, and the longest sample
    #[arg(long, value_name = "TOKENS", default_value_t = TrainOptions::default().seq_len)]
    seq_len: usize,

    #[command(flatten)]
    budget: BudgetArgs,

    #[command(flatten)]
    device: DeviceArgs,
}

/// Bytes by purpose.
#[derive(Serialize)]
struct Report {
    device: &'static str,
    weight_bytes: usize,
    state_bytes: usize,
    arena_bytes: usize,
    scratch_bytes: usize,
    process_bytes: usize,
    total_bytes: usize,
    row_tokens: usize,
    recomputed_attention: usize,
    recomputed_mlp: usize,
    logit_rows: usize,
    /// The usual budget, where it cannot be kept to and none was asked for.
    exceeded_budget_bytes: Option<usize>,
}

impl Report {
    fn total(&self) -> String {
        let whose = if self.device == "cpu" { "process" } else { "device" };
        let total = format!("{} of the {whose}", megabytes(self.total_bytes));
        match self.exceeded_budget_bytes {
            None => total,
            Some(usual) => format!("{total}, the smallest plan: none keeps to the usual {}", megabytes(usual)),
        }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers = |count: usize| format!("{count} layers");
        Table(&[
            ("weights", megabytes(self.weight_bytes)),
            ("adapter, gradients, moments", megabytes(self.state_bytes)),
            ("activations and logits", megabytes(self.arena_bytes)),
            ("working memory", megabytes(self.scratch_bytes)),
            ("process and tokenizer", megabytes(self.process_bytes)),
            ("total", self.total()),
            ("attention computed twice", layers(self.recomputed_attention)),
            ("feed-forward computed twice", layers(self.recomputed_mlp)),
            ("logits at a time", format!("{} rows", self.logit_rows)),
        ])
        .fmt(f)
    }
}

impl Plan {
    pub fn run(&self, output: &Output) -> Result<()> {
        let model = Arc::new(Model::open(&self.model)?.with_context(self.seq_len)?);
        TrainOptions { seq_len: self.seq_len, ..TrainOptions::default() }.check_for(&model)?;
        let adapter = self.lora.options().shape(&model)?;
        let session = self.device.open(output, model)?;
        let plan = session.plan_training(&adapter, self.seq_len, self.budget.bytes())?;
        output.result(&Report {
            device: session.device().kind.name(),
            weight_bytes: plan.weight_bytes,
            state_bytes: plan.state_bytes,
            arena_bytes: plan.arena_bytes,
            scratch_bytes: plan.scratch_bytes,
            process_bytes: plan.process_bytes,
            total_bytes: plan.total_bytes(),
            row_tokens: plan.row_tokens,
            recomputed_attention: plan.recomputed_attention,
            recomputed_mlp: plan.recomputed_mlp,
            logit_rows: plan.logit_rows,
            exceeded_budget_bytes: plan.exceeded_budget,
        })
    }
}
