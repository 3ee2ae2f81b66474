//! How much memory a training may take.

use clap::Args;

/// A memory budget.
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
        self.budget_mb.map(|megabytes| megabytes.saturating_mul(1_000_000))
    }
}
