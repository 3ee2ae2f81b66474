//! Embedding look-up from a frozen, possibly quantized table.

use crate::cpu::Frame;
use crate::program::{Access, BufferId, MatrixId, Operation, Touch};

/// `out[t] = table[ids[t]]`.
#[derive(Debug)]
pub struct Embed {
    /// `[vocabulary, width]`.
    pub table: MatrixId,
    /// u32 `[t, 1]`, each below the vocabulary's size.
    pub ids: BufferId,
    /// `[t, width]`.
    pub out: BufferId,
}

impl Operation for Embed {
    fn name(&self) -> &'static str {
        "embed"
    }

    fn touches(&self) -> Vec<Touch> {
        vec![(self.ids, Access::Read), (self.out, Access::Write)]
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let table = &frame.weights.matrices[self.table.0];
        let [ids, out] = frame.slices([Some(self.ids), Some(self.out)]);
        for (&id, out) in bytemuck::cast_slice::<f32, u32>(ids).iter().zip(out.chunks_exact_mut(table.cols())) {
            table.row(id as usize, out);
        }
    }
}
