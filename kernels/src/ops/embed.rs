//! Embedding look-up from a frozen, possibly quantized table.

use crate::cpu::Frame;
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::program::{Access, BufferId, MatrixId, Operation, Shapes, Touch};

#[cfg(feature = "gpu")]
gpu::params! {
    pub(super) struct EmbedParams {
        len: u32,
        width: u32,
        blocks: u32,
        groups: u32,
        blocks_per_group: u32,
        first_row: u32,
        rows: u32,
        scale: f32,
    }
}

#[cfg(feature = "gpu")]
pub(super) static EMBED: gpu::Kernel<EmbedParams> = gpu::Kernel::new(
    "embed",
    &[gpu::wgsl::MATRIX, gpu::wgsl::source!("embed.wgsl")],
    &[("ENCODING", gpu::weights::ENCODINGS), ("SCALES", gpu::weights::SCALES), ("ADD", &[0, 1])],
);

/// `out[t] = scale · table[ids[t]]`, or added: tokens, and in some families their positions.
#[derive(Debug)]
pub struct Embed {
    /// `[vocabulary, width]`.
    pub table: MatrixId,
    /// u32 `[t, 1]`, each below the vocabulary's size.
    pub ids: BufferId,
    /// `[t, width]`.
    pub out: BufferId,
    /// 1 in most families.
    pub scale: f32,
    /// Add to `out`.
    pub add: bool,
}

impl Operation for Embed {
    fn name(&self) -> &'static str {
        "embed"
    }

    fn touches(&self) -> Vec<Touch> {
        let access = if self.add { Access::Update } else { Access::Write };
        vec![(self.ids, Access::Read), (self.out, access)]
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        shapes.expect_same_rows(&[self.ids, self.out])?;
        shapes.expect_width(1, &[self.ids])?;
        shapes.expect_width(shapes.matrix(self.table)?.1, &[self.out])
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let table = &frame.weights.matrices[self.table.0];
        let [ids, out] = frame.slices([Some(self.ids), Some(self.out)]);
        let mut row = Vec::new();
        for (&id, out) in bytemuck::cast_slice::<f32, u32>(ids).iter().zip(out.chunks_exact_mut(table.cols())) {
            if self.add {
                row.resize(table.cols(), 0.0);
                table.row(id as usize, &mut row);
                out.iter_mut().zip(&row).for_each(|(out, value)| *out += self.scale * value);
            } else {
                table.row(id as usize, out);
                out.iter_mut().for_each(|value| *value *= self.scale);
            }
        }
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let weights = &recorder.memory().weights;
        let table = weights.matrix(self.table);
        let [ids, out] = recorder.buffers([self.ids, self.out])?;
        let constants =
            [("ENCODING", table.packing.encoding), ("SCALES", table.packing.scales), ("ADD", u32::from(self.add))];
        for shard in weights.shards(table) {
            let params = EmbedParams {
                len: gpu::count(recorder.rows(self.ids) * table.blocks())?,
                width: gpu::count(table.cols)?,
                blocks: gpu::count(table.blocks())?,
                groups: gpu::count(table.groups())?,
                blocks_per_group: gpu::count(table.blocks_per_group())?,
                first_row: gpu::count(shard.first_row)?,
                rows: gpu::count(shard.rows)?,
                scale: self.scale,
            };
            recorder.each(&EMBED, &constants, &[shard.codes(), shard.scales(), ids, out], params, 64.0)?;
        }
        Ok(())
    }
}
