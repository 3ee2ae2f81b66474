//! Products with frozen matrices: which kernel a shape gets, and its launch. Linear layers and the head share them.

use super::LoraTerm;
use super::shaders::{
    BACKWARD_NARROW, BACKWARD_WIDE, BackwardParams, ForwardParams, LINEAR_NARROW, LINEAR_WIDE, VECTOR_NARROW,
    VECTOR_WIDE,
};
use crate::error::Result;
use crate::gpu::weights::QUAD;
use crate::gpu::{Binding, Kernel, Launch, Memory, Recorder, count};
use crate::program::{BufferId, MatrixId, VectorId};

/// Quads of W that one launch of `dy·W` sums over: a vocabulary's worth would be too long a piece to cut by time.
const SLICE: usize = 2048;

/// A kernel for a shape, and the outputs that one of its workgroups makes: columns and rows.
struct Variant<P: 'static> {
    kernel: &'static Kernel<P>,
    columns: usize,
    rows: usize,
}

/// The table of variants of `x·Wᵀ`. Faster ones for what a device offers belong here.
fn forward_variant(rows: usize, cols: usize) -> Variant<ForwardParams> {
    match (rows, cols.is_multiple_of(8)) {
        (1, true) => Variant { kernel: &VECTOR_WIDE, columns: 64, rows: 1 },
        (1, false) => Variant { kernel: &VECTOR_NARROW, columns: 64, rows: 1 },
        (_, true) => Variant { kernel: &LINEAR_WIDE, columns: 64, rows: 32 },
        (_, false) => Variant { kernel: &LINEAR_NARROW, columns: 64, rows: 32 },
    }
}

/// The table of variants of `dy·W`; `rows` are W's.
fn backward_variant(rows: usize) -> Variant<BackwardParams> {
    let kernel = if rows.is_multiple_of(4) { &BACKWARD_WIDE } else { &BACKWARD_NARROW };
    Variant { kernel, columns: 128, rows: 32 }
}

/// `out[out_row..] = residual + x[rows]·Wᵀ + bias + scale·low·Bᵀ`.
pub(crate) struct Forward {
    pub x: BufferId,
    /// Rows of x: the first, and how many.
    pub rows: (usize, usize),
    pub weight: MatrixId,
    pub bias: Option<VectorId>,
    pub lora: Option<LoraTerm>,
    pub residual: Option<BufferId>,
    pub out: BufferId,
    pub out_row: usize,
}

/// `dx[out_row..] = dy[rows]·W + scale·low·A`, or added.
pub(crate) struct Backward {
    pub dy: BufferId,
    /// Rows of dy: the first, and how many.
    pub rows: (usize, usize),
    pub weight: MatrixId,
    pub lora: Option<LoraTerm>,
    pub dx: BufferId,
    pub out_row: usize,
    pub add: bool,
}

/// The adapter's bindings, `low` and the factor, and its parameters.
struct Adapter {
    bindings: [Binding; 2],
    params: AdapterParams,
}

/// Where there is no adapter, all are 0.
#[derive(Clone, Copy, Default)]
struct AdapterParams {
    rank: u32,
    offset: u32,
    scale: f32,
}

fn adapter(recorder: &Recorder<'_>, lora: Option<LoraTerm>, factor_width: usize, first: usize) -> Result<Adapter> {
    let Some(lora) = lora else {
        let bindings = [Memory::nothing(first), Memory::nothing(first + 1)];
        return Ok(Adapter { bindings, params: AdapterParams::default() });
    };
    let rank = recorder.width(lora.low);
    let (factor, offset) = recorder.range(lora.params, lora.offset, rank * factor_width)?;
    let params = AdapterParams { rank: count(rank)?, offset, scale: lora.scale };
    Ok(Adapter { bindings: [recorder.buffer(lora.low)?, factor], params })
}

impl Forward {
    pub fn launch(&self, recorder: &mut Recorder<'_>) -> Result<()> {
        let memory = recorder.memory();
        let matrix = memory.weights.matrix(self.weight);
        let (first, rows) = self.rows;
        let variant = forward_variant(rows, matrix.cols);
        let lora = adapter(recorder, self.lora, matrix.rows, 6)?;
        let x = recorder.buffer(self.x)?;
        let out = recorder.buffer(self.out)?;
        let residual = self.residual.map_or(Ok(Memory::nothing(4)), |r| recorder.buffer(r))?;
        let constants = [
            ("ENCODING", matrix.packing.encoding),
            ("SCALES", matrix.packing.scales),
            ("RESIDUAL", u32::from(self.residual.is_some())),
            ("BIAS", u32::from(self.bias.is_some())),
        ];
        for shard in memory.weights.shards(matrix) {
            // A frozen binding stands in for a missing bias.
            let bias = self.bias.map_or(shard.scales(), |b| memory.weights.vector(b));
            recorder.launch(Launch {
                kernel: variant.kernel,
                constants: &constants,
                bindings: &[shard.codes(), shard.scales(), x, out, residual, bias, lora.bindings[0], lora.bindings[1]],
                params: ForwardParams {
                    rows: count(rows)?,
                    input_row: count(first)?,
                    out_row: count(self.out_row)?,
                    input_width: count(matrix.cols)?,
                    quads: count(shard.quads())?,
                    blocks: count(matrix.blocks())?,
                    groups: count(matrix.groups())?,
                    blocks_per_group: count(matrix.blocks_per_group())?,
                    out_width: count(matrix.rows)?,
                    shard_row: count(shard.first_row)?,
                    shard_rows: count(shard.rows)?,
                    rank: lora.params.rank,
                    factor_offset: lora.params.offset,
                    factor_scale: lora.params.scale,
                },
                grid: [shard.rows.div_ceil(variant.columns), rows.div_ceil(variant.rows)],
                work: 2.0 * rows as f64 * shard.rows as f64 * (matrix.cols + lora.params.rank as usize) as f64,
            })?;
        }
        Ok(())
    }
}

impl Backward {
    pub fn launch(&self, recorder: &mut Recorder<'_>) -> Result<()> {
        let memory = recorder.memory();
        let matrix = memory.weights.matrix(self.weight);
        let (first, rows) = self.rows;
        let variant = backward_variant(matrix.rows);
        let lora = adapter(recorder, self.lora, matrix.cols, 4)?;
        let dy = recorder.buffer(self.dy)?;
        let dx = recorder.buffer(self.dx)?;
        let shards = memory.weights.shards(matrix).iter();
        let slices = shards.flat_map(|s| (0..s.quads()).step_by(SLICE).map(move |from| (s, from)));
        for (i, (shard, from)) in slices.enumerate() {
            let end = shard.quads().min(from + SLICE);
            let constants = [
                ("ENCODING", matrix.packing.encoding),
                ("SCALES", matrix.packing.scales),
                ("ADD", u32::from(self.add || i > 0)),
            ];
            let adapter = if i == 0 { lora.params } else { AdapterParams::default() };
            recorder.launch(Launch {
                kernel: variant.kernel,
                constants: &constants,
                bindings: &[shard.codes(), shard.scales(), dy, dx, lora.bindings[0], lora.bindings[1]],
                params: BackwardParams {
                    rows: count(rows)?,
                    input_row: count(first)?,
                    out_row: count(self.out_row)?,
                    input_width: count(matrix.rows)?,
                    first_quad: count(shard.first_row / QUAD)?,
                    from_quad: count(from)?,
                    end_quad: count(end)?,
                    blocks: count(matrix.blocks())?,
                    groups: count(matrix.groups())?,
                    blocks_per_group: count(matrix.blocks_per_group())?,
                    out_width: count(matrix.cols)?,
                    rank: adapter.rank,
                    factor_offset: adapter.offset,
                    factor_scale: adapter.scale,
                },
                grid: [matrix.cols.div_ceil(variant.columns), rows.div_ceil(variant.rows)],
                work: 2.0 * rows as f64 * ((end - from) * QUAD) as f64 * (matrix.cols + adapter.rank as usize) as f64,
            })?;
        }
        Ok(())
    }
}
