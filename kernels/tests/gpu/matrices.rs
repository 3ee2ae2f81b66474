//! Frozen matrices of every encoding, with random contents.

use idiolect_kernels::Matrix;
use idiolect_kernels::matrix::{BlockType, Bytes, Encoding, FloatType, RowOrder};

use crate::case::random;

pub const FLOATS: [FloatType; 3] = [FloatType::F16, FloatType::BF16, FloatType::F32];

/// Every encoding that the kernels know.
pub fn encodings() -> Vec<Encoding> {
    let mut encodings: Vec<Encoding> = FLOATS.map(Encoding::Float).to_vec();
    for bits in [4, 8] {
        for group in [32, 64, 128] {
            encodings.extend(FLOATS.map(|scales| Encoding::Affine { bits, group, scales }));
        }
    }
    encodings.extend([BlockType::Q4_0, BlockType::Q4_1, BlockType::Q8_0].map(Encoding::Block));
    encodings
}

/// Columns that share a scale.
pub fn group(encoding: Encoding) -> usize {
    match encoding {
        Encoding::Float(_) => 1,
        Encoding::Affine { group, .. } => group,
        Encoding::Block(_) => BlockType::LEN,
    }
}

fn floats(values: &[f32], float: FloatType) -> Bytes {
    let bytes: Vec<u8> = match float {
        FloatType::F16 => values.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect(),
        FloatType::BF16 => values.iter().flat_map(|&v| half::bf16::from_f32(v).to_le_bytes()).collect(),
        FloatType::F32 => values.iter().flat_map(|&v| v.to_le_bytes()).collect(),
    };
    bytes.into()
}

fn codes(len: usize, seed: u32) -> Vec<u8> {
    random(len, seed).into_iter().map(|v| (v.abs() * 256.0) as u8).collect()
}

/// A random matrix of `rows` by `cols`; codes and scales such that values are of the order of one.
pub fn matrix(encoding: Encoding, rows: usize, cols: usize, seed: u32) -> Matrix {
    let matrix = match encoding {
        Encoding::Float(float) => Matrix::float(rows, cols, float, floats(&random(rows * cols, seed), float)),
        Encoding::Affine { bits, group, scales } => {
            let groups = rows * cols / group;
            let scale = if bits == 4 { 0.1 } else { 0.008 };
            let values =
                |seed: u32, factor: f32| -> Vec<f32> { random(groups, seed).iter().map(|v| v * factor).collect() };
            Matrix::affine(
                (rows, cols),
                bits,
                group,
                scales,
                codes(rows * cols * bits as usize / 8, seed).into(),
                floats(&values(seed + 1, scale), scales),
                floats(&values(seed + 2, 1.0), scales),
            )
        }
        Encoding::Block(block) => {
            let mut bytes = codes(rows * cols / BlockType::LEN * block.size(), seed);
            let scale = if block == BlockType::Q8_0 { 0.008 } else { 0.1 };
            for (i, b) in bytes.chunks_exact_mut(block.size()).enumerate() {
                let value = random(2, seed + i as u32);
                b[..2].copy_from_slice(&half::f16::from_f32(value[0] * scale).to_le_bytes());
                if block == BlockType::Q4_1 {
                    b[2..4].copy_from_slice(&half::f16::from_f32(value[1]).to_le_bytes());
                }
            }
            let order = match rows.is_multiple_of(8) {
                true => RowOrder::Interleaved { head_dim: 8 },
                false => RowOrder::Plain,
            };
            Matrix::blocks(rows, cols, block, bytes.into()).and_then(|m| m.with_row_order(order))
        }
    };
    matrix.expect("a valid shape")
}

/// An encoding in few words.
pub fn label(encoding: Encoding) -> String {
    match encoding {
        Encoding::Float(float) => format!("{float:?}"),
        Encoding::Affine { bits, group, scales } => format!("{bits} bits by {group} in {scales:?}"),
        Encoding::Block(block) => format!("{block:?}"),
    }
}
