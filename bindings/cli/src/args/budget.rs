//! How much memory a training or an answer may take.

use clap::Args;

/// The memory budget of a training.
#[derive(Debug, Args)]
pub struct BudgetArgs {
    /// Memory that the training may take, in millions of bytes: of the process on the CPU, of the device on a GPU
    /// [default: 350, or twice the weights where that is more, or the least there is]
    #[arg(long, value_name = "MB")]
    budget_mb: Option<usize>,
}

impl BudgetArgs {
    /// The budget in bytes.
    pub fn bytes(&self) -> Option<usize> {
        bytes(self.budget_mb)
    }
}

/// The memory budget of an answer.
#[derive(Debug, Args)]
pub struct AnswerBudgetArgs {
    /// Memory that the context may take with the model, in millions of bytes: of the process on the CPU, of the device on a
    /// GPU [default: what there is]
    #[arg(long, value_name = "MB")]
    budget_mb: Option<usize>,
}

impl AnswerBudgetArgs {
    /// The budget in bytes.
    pub fn bytes(&self) -> Option<usize> {
        bytes(self.budget_mb)
    }
}

fn bytes(megabytes: Option<usize>) -> Option<usize> {
    megabytes.map(|megabytes| megabytes.saturating_mul(1_000_000))
}
