//! Random matrices in every encoding, beside their values by a plain reading of the format, one value at a time.

use half::{bf16, f16};
use idiolect_kernels::Matrix;
use idiolect_kernels::matrix::{BlockType, Encoding, FloatType, RowOrder};

use super::random::Random;

pub const FLOAT_TYPES: [FloatType; 3] = [FloatType::F32, FloatType::F16, FloatType::BF16];
pub const BLOCK_TYPES: [BlockType; 3] = [BlockType::Q4_0, BlockType::Q4_1, BlockType::Q8_0];

/// Every encoding whose columns come in groups.
pub fn grouped() -> Vec<Encoding> {
    let mut all: Vec<Encoding> = BLOCK_TYPES.map(Encoding::Block).to_vec();
    for bits in [4, 8] {
        for group in [32, 64, 128] {
            all.extend(FLOAT_TYPES.map(|scales| Encoding::Affine { bits, group, scales }));
        }
    }
    all
}

pub fn all() -> Vec<Encoding> {
    FLOAT_TYPES.map(Encoding::Float).into_iter().chain(grouped()).collect()
}

/// Columns that a group of the encoding spans.
pub fn group_of(encoding: Encoding) -> usize {
    match encoding {
        Encoding::Float(_) => 1,
        Encoding::Affine { group, .. } => group,
        Encoding::Block(_) => 32,
    }
}

/// A matrix and its `[rows, cols]` values.
pub struct Known {
    pub matrix: Matrix,
    pub values: Vec<f32>,
}

impl Known {
    pub fn random(random: &mut Random, encoding: Encoding, rows: usize, cols: usize) -> Self {
        let (matrix, value) = stored(random, encoding, rows, cols);
        Self { matrix, values: (0..rows * cols).map(value).collect() }
    }

    /// The same stored rows, read as GGUF stores q and k: row 2j of a head is row j of its first half, row 2j + 1 is
    /// row j of its second.
    pub fn interleaved(self, head_dim: usize) -> Self {
        let cols = self.matrix.cols();
        let mut values = vec![0.0; self.values.len()];
        for (stored, row) in self.values.chunks_exact(cols).enumerate() {
            let (head, j) = (stored / head_dim, stored % head_dim);
            let logical = head * head_dim + j % 2 * (head_dim / 2) + j / 2;
            values[logical * cols..(logical + 1) * cols].copy_from_slice(row);
        }
        let matrix = self.matrix.with_row_order(RowOrder::Interleaved { head_dim }).unwrap();
        Self { matrix, values }
    }
}

/// A random matrix, and the way to read its values by their place in the row-major order.
pub fn stored(
    random: &mut Random,
    encoding: Encoding,
    rows: usize,
    cols: usize,
) -> (Matrix, Box<dyn Fn(usize) -> f32>) {
    let (matrix, value): (_, Box<dyn Fn(usize) -> f32>) = match encoding {
        Encoding::Float(float) => {
            let bytes = floats(random, float, rows * cols, 1.0);
            let matrix = Matrix::float(rows, cols, float, bytes.clone().into());
            (matrix, Box::new(move |at| value(float, &bytes, at)))
        }
        Encoding::Affine { bits, group, scales: float } => {
            let codes = random.bytes(rows * cols * usize::from(bits) / 8);
            let scales = floats(random, float, rows * cols / group, 0.1);
            let biases = floats(random, float, rows * cols / group, 0.5);
            let matrix = Matrix::affine(
                (rows, cols),
                bits,
                group,
                float,
                codes.clone().into(),
                scales.clone().into(),
                biases.clone().into(),
            );
            let value = move |at: usize| {
                let per_word = 32 / usize::from(bits);
                let word = &codes[at / per_word * 4..][..4];
                let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
                let code = (word >> (at % per_word * usize::from(bits))) & ((1 << bits) - 1);
                value(float, &scales, at / group) * code as f32 + value(float, &biases, at / group)
            };
            (matrix, Box::new(value))
        }
        Encoding::Block(block) => {
            let bytes: Vec<u8> = (0..rows * cols / 32).flat_map(|_| random_block(random, block)).collect();
            let matrix = Matrix::blocks(rows, cols, block, bytes.clone().into());
            (matrix, Box::new(move |at| block_value(block, &bytes[at / 32 * block.size()..], at % 32)))
        }
    };
    (matrix.unwrap(), value)
}

fn floats(random: &mut Random, float: FloatType, n: usize, scale: f32) -> Vec<u8> {
    (0..n).flat_map(|_| store(float, scale * random.float())).collect()
}

fn store(float: FloatType, value: f32) -> Vec<u8> {
    match float {
        FloatType::F16 => f16::from_f32(value).to_le_bytes().to_vec(),
        FloatType::BF16 => bf16::from_f32(value).to_le_bytes().to_vec(),
        FloatType::F32 => value.to_le_bytes().to_vec(),
    }
}

fn value(float: FloatType, bytes: &[u8], index: usize) -> f32 {
    match float {
        FloatType::F16 => f16::from_le_bytes([bytes[2 * index], bytes[2 * index + 1]]).to_f32(),
        FloatType::BF16 => bf16::from_le_bytes([bytes[2 * index], bytes[2 * index + 1]]).to_f32(),
        FloatType::F32 => f32::from_le_bytes(bytes[4 * index..4 * index + 4].try_into().unwrap()),
    }
}

fn random_block(random: &mut Random, block: BlockType) -> Vec<u8> {
    let mut bytes = floats(random, FloatType::F16, if block == BlockType::Q4_1 { 2 } else { 1 }, 0.1);
    bytes.extend(random.bytes(block.size() - bytes.len()));
    bytes
}

fn block_value(block: BlockType, bytes: &[u8], j: usize) -> f32 {
    let d = value(FloatType::F16, bytes, 0);
    let nibble = |start: usize| {
        let byte = bytes[start + j % 16];
        f32::from(if j < 16 { byte & 15 } else { byte >> 4 })
    };
    match block {
        BlockType::Q4_0 => d * (nibble(2) - 8.0),
        BlockType::Q4_1 => d * nibble(4) + value(FloatType::F16, bytes, 1),
        BlockType::Q8_0 => d * f32::from(bytes[2 + j] as i8),
    }
}
