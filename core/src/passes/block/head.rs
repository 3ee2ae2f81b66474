//! What comes after the layers: the final norm and the head, over the rows that are looked at, a soft cap of the logits in
//! some families, and the loss.

use idiolect_kernels::ops::{CrossEntropy, GatherRows, Linear as LinearOp, LossGradient, ScatterRows, SoftCap};
use idiolect_kernels::program::{BufferId, Rows};

use crate::passes::graph::Graph;

/// The selected rows before and after the final norm, `[s, hidden]` each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FinalRows {
    rows: BufferId,
    pub normed: BufferId,
}

/// Where a loss and its gradient go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loss {
    /// u32 `[s, 1]`: the tokens that were to come.
    pub targets: BufferId,
    /// `[s, 1]`, nats.
    pub losses: BufferId,
    /// Rows of logits that exist at a time.
    pub logit_rows: usize,
}

impl Graph<'_> {
    /// The rows of `x` that `selected`, u32 `[s, 1]`, names.
    pub fn final_rows(&mut self, x: BufferId, selected: BufferId) -> FinalRows {
        let rows = self.program.scratch("selected rows", Rows::Selected, self.base.config.hidden_size);
        self.push(GatherRows { src: x, index: selected, out: rows });
        FinalRows { rows, normed: self.norm(self.base.final_norm, rows) }
    }

    /// Their logits, `[s, vocabulary]`.
    pub fn logits(&mut self, rows: FinalRows) -> BufferId {
        let out = self.program.output("logits", Rows::Selected, self.base.config.vocab_size);
        self.push(LinearOp { x: rows.normed, weight: self.base.head, bias: None, lora: None, residual: None, out });
        if let Some(cap) = self.base.config.logit_cap {
            self.push(SoftCap { x: out, cap });
        }
        out
    }

    /// Their losses.
    pub fn losses(&mut self, rows: FinalRows, loss: Loss) {
        self.cross_entropy(rows, loss, None);
    }

    /// Their losses, of which the weighted sum is added to `total`, and its gradient by the residual stream.
    pub fn losses_and_gradient(
        &mut self,
        rows: FinalRows,
        selected: BufferId,
        loss: Loss,
        total: BufferId,
    ) -> BufferId {
        let hidden = self.base.config.hidden_size;
        let dnormed = self.program.scratch("d normed", Rows::Selected, hidden);
        self.cross_entropy(rows, loss, Some(LossGradient { dx: dnormed, total }));
        let drows = self.program.scratch("d selected rows", Rows::Selected, hidden);
        self.norm_backward(self.base.final_norm, rows.rows, dnormed, drows, false);
        let dx = self.per_token("dx", hidden);
        self.push(ScatterRows { src: drows, index: selected, out: dx, keep: false });
        dx
    }

    fn cross_entropy(&mut self, rows: FinalRows, loss: Loss, gradient: Option<LossGradient>) {
        let Loss { targets, losses, logit_rows } = loss;
        let logits = self.program.scratch("logits", Rows::Fixed(logit_rows), self.base.config.vocab_size);
        let (head, cap) = (self.base.head, self.base.config.logit_cap);
        self.push(CrossEntropy { x: rows.normed, head, targets, losses, logits, cap, gradient });
    }
}
