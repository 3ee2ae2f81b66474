//! Random matrices in every encoding, beside their values by a plain reading of the format, one value at a time.

use half::{bf16, f16};
use idiolect_kernels::Matrix;
use idiolect_kernels::matrix::{BlockType, Encoding, FloatType, RowOrder};

use super::random::Random;

pub const FLOAT_TYPES: [FloatType; 3] = [FloatType::F32, FloatType::F16, FloatType::BF16];

/// A block format as its definition says it.
pub struct PlainFormat {
    pub block: BlockType,
    /// Its name and its type's number in GGUF.
    pub gguf: (&'static str, u32),
    /// Values and bytes a block.
    pub len: usize,
    pub size: usize,
    /// Where the f16 of a block lie.
    scales: &'static [usize],
    /// Value j of a block.
    value: fn(bytes: &[u8], j: usize) -> f32,
}

pub const BLOCK_FORMATS: [PlainFormat; 11] = [
    PlainFormat {
        block: BlockType::Q4_0,
        gguf: ("Q4_0", 2),
        len: 32,
        size: 18,
        scales: &[0],
        value: |bytes, j| f16_at(bytes, 0) * (nibble(&bytes[2..], j) - 8.0),
    },
    PlainFormat {
        block: BlockType::Q4_1,
        gguf: ("Q4_1", 3),
        len: 32,
        size: 20,
        scales: &[0, 2],
        value: |bytes, j| f16_at(bytes, 0) * nibble(&bytes[4..], j) + f16_at(bytes, 2),
    },
    PlainFormat {
        block: BlockType::Q5_0,
        gguf: ("Q5_0", 6),
        len: 32,
        size: 22,
        scales: &[0],
        value: |bytes, j| f16_at(bytes, 0) * (nibble(&bytes[6..], j) + 16.0 * bit(bytes[2 + j / 8], j % 8) - 16.0),
    },
    PlainFormat {
        block: BlockType::Q5_1,
        gguf: ("Q5_1", 7),
        len: 32,
        size: 24,
        scales: &[0, 2],
        value: |bytes, j| {
            let q = nibble(&bytes[8..], j) + 16.0 * bit(bytes[4 + j / 8], j % 8);
            f16_at(bytes, 0) * q + f16_at(bytes, 2)
        },
    },
    PlainFormat {
        block: BlockType::Q8_0,
        gguf: ("Q8_0", 8),
        len: 32,
        size: 34,
        scales: &[0],
        value: |bytes, j| f16_at(bytes, 0) * f32::from(bytes[2 + j] as i8),
    },
    PlainFormat {
        block: BlockType::Q2_K,
        gguf: ("Q2_K", 10),
        len: 256,
        size: 84,
        scales: &[80, 82],
        value: |bytes, j| {
            let factors = bytes[j / 16];
            let (scale, min) = (f32::from(factors & 15), f32::from(factors >> 4));
            f16_at(bytes, 80) * scale * quarter(&bytes[16..], j) - f16_at(bytes, 82) * min
        },
    },
    PlainFormat {
        block: BlockType::Q3_K,
        gguf: ("Q3_K", 11),
        len: 256,
        size: 110,
        scales: &[108],
        value: |bytes, j| {
            let (scales, group) = (&bytes[96..], j / 16);
            let scale = half(scales, 8, group) + 16.0 * f32::from(scales[8 + group % 4] >> (group / 4 * 2) & 3);
            let missing = if bit(bytes[j % 32], j / 32) == 0.0 { 4.0 } else { 0.0 };
            f16_at(bytes, 108) * (scale - 32.0) * (quarter(&bytes[32..], j) - missing)
        },
    },
    PlainFormat {
        block: BlockType::Q4_K,
        gguf: ("Q4_K", 12),
        len: 256,
        size: 144,
        scales: &[0, 2],
        value: |bytes, j| {
            let (scale, min) = six_bits(&bytes[4..], j / 32);
            f16_at(bytes, 0) * scale * half(&bytes[16..], 32, j) - f16_at(bytes, 2) * min
        },
    },
    PlainFormat {
        block: BlockType::Q5_K,
        gguf: ("Q5_K", 13),
        len: 256,
        size: 176,
        scales: &[0, 2],
        value: |bytes, j| {
            let (scale, min) = six_bits(&bytes[4..], j / 32);
            let q = half(&bytes[48..], 32, j) + 16.0 * bit(bytes[16 + j % 32], j / 32);
            f16_at(bytes, 0) * scale * q - f16_at(bytes, 2) * min
        },
    },
    PlainFormat {
        block: BlockType::Q6_K,
        gguf: ("Q6_K", 14),
        len: 256,
        size: 210,
        scales: &[208],
        value: |bytes, j| {
            let q = half(bytes, 64, j) + 16.0 * quarter(&bytes[128..], j);
            f16_at(bytes, 208) * f32::from(bytes[192 + j / 16] as i8) * (q - 32.0)
        },
    },
    PlainFormat {
        block: BlockType::IQ4_NL,
        gguf: ("IQ4_NL", 20),
        len: 32,
        size: 18,
        scales: &[0],
        value: |bytes, j| {
            const VALUES: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
            f16_at(bytes, 0) * f32::from(VALUES[nibble(&bytes[2..], j) as usize])
        },
    },
];

fn f16_at(bytes: &[u8], at: usize) -> f32 {
    value(FloatType::F16, &bytes[at..], 0)
}

/// Value j of 32: of the first 16 bytes, the low halves before the high ones.
fn nibble(bytes: &[u8], j: usize) -> f32 {
    half(bytes, 16, j)
}

/// Half a byte: of each `n` bytes, the low halves before the high ones.
fn half(bytes: &[u8], n: usize, j: usize) -> f32 {
    let byte = bytes[j / (2 * n) * n + j % n];
    f32::from(if j % (2 * n) < n { byte & 15 } else { byte >> 4 })
}

/// Bit j of a byte.
fn bit(byte: u8, j: usize) -> f32 {
    f32::from(byte >> j & 1)
}

/// Two bits: of each 32 bytes, the lowest pairs before the next higher ones.
fn quarter(bytes: &[u8], j: usize) -> f32 {
    f32::from(bytes[j / 128 * 32 + j % 32] >> (j % 128 / 32 * 2) & 3)
}

/// Scale and minimum j of eight: six bits each, whose upper two lie above the first ones where j is 4 or more.
fn six_bits(bytes: &[u8], j: usize) -> (f32, f32) {
    let (scale, min) = match j {
        0..4 => (bytes[j] & 63, bytes[j + 4] & 63),
        _ => (bytes[j + 4] & 15 | bytes[j - 4] >> 6 << 4, bytes[j + 4] >> 4 | bytes[j] >> 6 << 4),
    };
    (f32::from(scale), f32::from(min))
}

/// Every encoding whose columns come in groups.
pub fn grouped() -> Vec<Encoding> {
    let mut all: Vec<Encoding> = BLOCK_FORMATS.map(|format| Encoding::Block(format.block)).to_vec();
    for bits in [2, 3, 4, 5, 6, 8] {
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
        Encoding::Block(block) => block.len(),
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
                let places = (0..bits).map(|place| (place, at * usize::from(bits) + usize::from(place)));
                let code: f32 = places.map(|(place, i)| bit(codes[i / 8], i % 8) * f32::from(1u8 << place)).sum();
                value(float, &scales, at / group) * code + value(float, &biases, at / group)
            };
            (matrix, Box::new(value))
        }
        Encoding::Block(block) => {
            let Some(plain) = BLOCK_FORMATS.into_iter().find(|plain| plain.gguf == (block.name(), block.gguf_type()))
            else {
                panic!("{block:?} is missing in BLOCK_FORMATS")
            };
            let PlainFormat { len, size, value, .. } = plain;
            let bytes: Vec<u8> = (0..rows * cols / len).flat_map(|_| random_block(random, &plain)).collect();
            let matrix = Matrix::blocks(rows, cols, block, bytes.clone().into());
            (matrix, Box::new(move |at| value(&bytes[at / len * size..][..size], at % len)))
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

fn random_block(random: &mut Random, plain: &PlainFormat) -> Vec<u8> {
    let mut bytes = random.bytes(plain.size);
    for &at in plain.scales {
        bytes[at..at + 2].copy_from_slice(&floats(random, FloatType::F16, 1, 0.1));
    }
    bytes
}
