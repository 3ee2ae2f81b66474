//! Frozen weights on their way up: every matrix repacked, exactly, into one form that the kernels read along either
//! axis.
//!
//! Rows go in fours and columns in eights. A `vec4<u32>` holds the same columns of four rows, one row a component:
//! eight 4-bit codes, four 8-bit codes, two 16-bit floats or one f32. Codes of other widths become the next wider ones. Blocks of four rows and eight columns lie
//! row-four by row-four: `block(q, b)` at `(q·blocks + b)·vectors`, `shader/shared/matrix.wgsl` reads them. The
//! scales and biases of four rows and one group are one `vec4<u32>` of f16 or bf16 pairs (scale low, bias high), or
//! two of f32. Rows and columns that pad the last four or eight are zero.

use std::ops::Range;

use super::device::Device;
use super::memory::{ALIGN, Binding, Place};
use crate::error::{Error, Result};
use crate::matrix::{Encoding, FloatType, Matrix};
use crate::program::{MatrixId, VectorId, WeightShapes, Weights};

/// Rows that share a `vec4`.
pub(crate) const QUAD: usize = 4;
/// Columns a block.
pub(crate) const BLOCK: usize = 8;
/// Bytes sent up at a time: what is in flight beside the model.
const PANEL: usize = 4 << 20;
/// Bytes after which the queue is drained, so that staging memory does not pile up.
const DRAIN: usize = 32 << 20;

/// What blocks hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Codes of so many bits.
    Codes(u8),
    Floats(FloatType),
}

/// What `matrix.wgsl` reads, in the order of its `ENCODING` and `SCALES`; codes by width.
const FORMS: [Form; 5] = [
    Form::Codes(4),
    Form::Codes(8),
    Form::Floats(FloatType::F16),
    Form::Floats(FloatType::BF16),
    Form::Floats(FloatType::F32),
];
const SCALE_TYPES: [FloatType; 3] = [FloatType::F16, FloatType::BF16, FloatType::F32];

/// The values that `ENCODING` and `SCALES` take in `matrix.wgsl`.
pub(crate) const ENCODINGS: &[u32] = &[0, 1, 2, 3, 4];
pub(crate) const SCALES: &[u32] = &[0, 1, 2];

/// How a matrix's blocks are read: a pair of pipeline constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packing {
    /// Of [`ENCODINGS`].
    pub encoding: u32,
    /// Of [`SCALES`]; of a float matrix, any.
    pub scales: u32,
    /// Columns a group, a multiple of the 16 that a kernel may take together; 0 for floats.
    pub group: usize,
}

impl Packing {
    fn of(matrix: &Matrix) -> Self {
        let (place, scales, group) = match (matrix.affine_form(), matrix.encoding()) {
            (Some((bits, group, scales)), _) => {
                let holds = |form: &Form| matches!(form, Form::Codes(width) if *width >= bits);
                (FORMS.iter().position(holds), scales, group)
            }
            (None, Encoding::Float(float)) => {
                (FORMS.iter().position(|form| *form == Form::Floats(float)), FloatType::F16, 0)
            }
            (None, encoding) => unreachable!("{encoding:?} without a group-affine form"),
        };
        let scale_place = SCALE_TYPES.iter().position(|&known| known == scales);
        let Some((encoding, scales)) = place.zip(scale_place) else {
            unreachable!("{:?}, which no kernel reads", matrix.encoding())
        };
        Self { encoding: encoding as u32, scales: scales as u32, group }
    }

    fn form(self) -> Form {
        FORMS[self.encoding as usize]
    }

    fn scale_type(self) -> FloatType {
        SCALE_TYPES[self.scales as usize]
    }

    /// `vec4<u32>`s a block.
    fn vectors(self) -> usize {
        let bits = match self.form() {
            Form::Codes(bits) => usize::from(bits),
            Form::Floats(float) => 8 * float.size(),
        };
        BLOCK * bits / 32
    }

    /// `vec4<u32>`s of the scales and biases of four rows and one group.
    fn scale_vectors(self) -> usize {
        2 * self.scale_type().size() / 4
    }
}

/// Rows of a matrix in one buffer: the codes, and behind them the scales.
pub(crate) struct Shard {
    /// First row, a multiple of [`QUAD`].
    pub first_row: usize,
    /// Rows.
    pub rows: usize,
    buffer: wgpu::Buffer,
    scales_at: u64,
    scales_size: u64,
    place: usize,
}

impl Shard {
    pub fn quads(&self) -> usize {
        self.rows.div_ceil(QUAD)
    }

    pub fn codes(&self) -> Binding {
        Binding { place: Place::Shard(self.place), offset: 0, size: self.scales_at }
    }

    /// Scales and biases; of a float matrix, bytes that are not read.
    pub fn scales(&self) -> Binding {
        Binding { place: Place::Shard(self.place), offset: self.scales_at, size: self.scales_size }
    }
}

/// A matrix on the device.
pub(crate) struct DeviceMatrix {
    pub rows: usize,
    pub cols: usize,
    pub packing: Packing,
    /// Indices of its shards, by rows.
    pub shards: Range<usize>,
}

impl DeviceMatrix {
    /// Blocks a row.
    pub fn blocks(&self) -> usize {
        self.cols.div_ceil(BLOCK)
    }

    /// Blocks a group: of a float matrix, all.
    pub fn blocks_per_group(&self) -> usize {
        if self.packing.group == 0 { self.blocks().max(1) } else { self.packing.group / BLOCK }
    }

    /// Groups a row.
    pub fn groups(&self) -> usize {
        self.blocks().div_ceil(self.blocks_per_group())
    }
}

/// The frozen model on the device.
pub(crate) struct DeviceWeights {
    matrices: Vec<DeviceMatrix>,
    shards: Vec<Shard>,
    vectors: Vec<wgpu::Buffer>,
    /// What the host's were like.
    pub shapes: WeightShapes,
}

impl DeviceWeights {
    /// Sends everything up; no binding will exceed `limit` bytes.
    pub fn upload(device: &Device, weights: &Weights, limit: u64) -> Result<Self> {
        let mut uploader = Uploader { device, in_flight: 0 };
        let mut shards = Vec::new();
        let mut matrices = Vec::new();
        for matrix in &weights.matrices {
            matrices.push(uploader.matrix(matrix, limit, &mut shards)?);
        }
        let mut vectors = Vec::new();
        for vector in &weights.vectors {
            let buffer = device.buffer("vector", vector.len() as u64 * 4, FROZEN)?;
            for (i, part) in vector.chunks(PANEL / 4).enumerate() {
                uploader.send(&buffer, (i * PANEL) as u64, bytemuck::cast_slice(part))?;
            }
            vectors.push(buffer);
        }
        uploader.drain()?;
        Ok(Self { matrices, shards, vectors, shapes: weights.shapes() })
    }

    pub fn matrix(&self, id: MatrixId) -> &DeviceMatrix {
        &self.matrices[id.0]
    }

    pub fn shards(&self, matrix: &DeviceMatrix) -> &[Shard] {
        &self.shards[matrix.shards.clone()]
    }

    pub fn vector(&self, id: VectorId) -> Binding {
        Binding { place: Place::Vector(id.0), offset: 0, size: self.vectors[id.0].size() }
    }

    pub fn shard_buffer(&self, index: usize) -> &wgpu::Buffer {
        &self.shards[index].buffer
    }

    pub fn vector_buffer(&self, index: usize) -> &wgpu::Buffer {
        &self.vectors[index]
    }

    pub fn bytes(&self) -> u64 {
        let shards = self.shards.iter().map(|s| s.buffer.size());
        shards.chain(self.vectors.iter().map(wgpu::Buffer::size)).sum()
    }
}

const FROZEN: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_DST);

struct Uploader<'a> {
    device: &'a Device,
    in_flight: usize,
}

impl Uploader<'_> {
    fn send(&mut self, buffer: &wgpu::Buffer, offset: u64, bytes: &[u8]) -> Result<()> {
        self.device.queue.write_buffer(buffer, offset, bytes);
        self.in_flight += bytes.len();
        if self.in_flight >= DRAIN { self.drain() } else { Ok(()) }
    }

    fn drain(&mut self) -> Result<()> {
        self.in_flight = 0;
        self.device.queue.submit([]);
        self.device.wait(None)
    }

    fn matrix(&mut self, matrix: &Matrix, limit: u64, shards: &mut Vec<Shard>) -> Result<DeviceMatrix> {
        let first = shards.len();
        let mut placed = DeviceMatrix {
            rows: matrix.rows(),
            cols: matrix.cols(),
            packing: Packing::of(matrix),
            shards: first..first,
        };
        let quad_codes = (placed.blocks() * placed.packing.vectors() * 16) as u64;
        let quad_scales = match placed.packing.group {
            0 => 0,
            _ => (placed.groups() * placed.packing.scale_vectors() * 16) as u64,
        };
        // Codes and scales are bindings of their own in one buffer, each at a multiple of ALIGN.
        let a_binding = limit / quad_codes.max(quad_scales).max(1);
        let buffer_limit = self.device.wgpu.limits().max_buffer_size.saturating_sub(2 * ALIGN);
        let quads_a_shard = a_binding.min(buffer_limit / (quad_codes + quad_scales).max(1)) as usize;
        if quads_a_shard == 0 {
            return Err(Error::OutOfMemory(format!("four rows of {} columns exceed a binding", placed.cols)));
        }
        for first_row in (0..matrix.rows()).step_by(quads_a_shard * QUAD) {
            let rows = (matrix.rows() - first_row).min(quads_a_shard * QUAD);
            let quads = rows.div_ceil(QUAD) as u64;
            let scales_at = (quads * quad_codes).next_multiple_of(ALIGN);
            let scales_size = (quads * quad_scales).max(16);
            let buffer = self.device.buffer("matrix", scales_at + scales_size, FROZEN)?;
            let quads_a_panel = (PANEL / (quad_codes + quad_scales) as usize).max(1);
            for start in (0..rows).step_by(quads_a_panel * QUAD) {
                let part = first_row + start..first_row + rows.min(start + quads_a_panel * QUAD);
                let (codes, scales) = pack(matrix, &placed, part);
                let quad = (start / QUAD) as u64;
                self.send(&buffer, quad * quad_codes, bytemuck::cast_slice(&codes))?;
                if placed.packing.group != 0 {
                    self.send(&buffer, scales_at + quad * quad_scales, bytemuck::cast_slice(&scales))?;
                }
            }
            shards.push(Shard { first_row, rows, buffer, scales_at, scales_size, place: shards.len() });
        }
        placed.shards = first..shards.len();
        Ok(placed)
    }
}

/// Blocks and scales of `rows`, which start at a multiple of four.
fn pack(matrix: &Matrix, placed: &DeviceMatrix, rows: Range<usize>) -> (Vec<u32>, Vec<u32>) {
    let (packing, count) = (placed.packing, rows.len());
    let row_words = placed.blocks() * packing.vectors();
    let bits = match packing.form() {
        Form::Codes(bits) => bits,
        Form::Floats(float) => {
            let mut values = vec![0.0; count * placed.cols];
            matrix.dequantize(rows, 0..placed.cols, &mut values);
            let words = interleave(count, row_words, |i| float_words(float, &values[i * placed.cols..][..placed.cols]));
            return (words, Vec::new());
        }
    };
    let affine = matrix.affine_rows(rows, bits, packing.scale_type());
    let code_bytes = affine.codes.len() / count;
    let codes = interleave(count, row_words, |i| {
        let (words, _) = affine.codes[i * code_bytes..][..code_bytes].as_chunks::<4>();
        words.iter().map(|&word| u32::from_le_bytes(word)).collect()
    });
    let groups = placed.groups();
    let scales = interleave(count, groups * packing.scale_vectors(), |i| {
        let group = |g: usize| {
            let read = |bytes| packing.scale_type().read(bytes, i * groups + g);
            let (scale, bias) = (read(&affine.scales), read(&affine.biases));
            float_words(packing.scale_type(), &[scale, bias])
        };
        (0..groups).flat_map(group).collect()
    });
    (codes, scales)
}

/// Rows of at most `width` words, four side by side: word j of row i at `(i / 4 · width + j) · 4 + i % 4`.
fn interleave(rows: usize, width: usize, row: impl Fn(usize) -> Vec<u32>) -> Vec<u32> {
    let mut words = vec![0; rows.div_ceil(QUAD) * width * QUAD];
    for i in 0..rows {
        let slots = words[i / QUAD * width * QUAD..].iter_mut().skip(i % QUAD).step_by(QUAD);
        slots.zip(row(i)).for_each(|(slot, word)| *slot = word);
    }
    words
}

/// Values of a type that holds them exactly.
fn float_words(float: FloatType, values: &[f32]) -> Vec<u32> {
    match float {
        FloatType::F32 => values.iter().map(|v| v.to_bits()).collect(),
        FloatType::F16 => pairs(values, |v| u32::from(half::f16::from_f32(v).to_bits())),
        FloatType::BF16 => pairs(values, |v| v.to_bits() >> 16),
    }
}

/// Values of 16 bits, two a word, the first one low.
fn pairs(values: &[f32], bits: impl Fn(f32) -> u32) -> Vec<u32> {
    values.chunks(2).map(|pair| bits(pair[0]) | pair.get(1).map_or(0, |&v| bits(v) << 16)).collect()
}
