//! How each matrix is to be stored.

use std::collections::HashMap;

use idiolect_kernels::matrix::{Encoding, FloatType, Matrix, is_affine};

use super::ImportOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::format::model_files::ModelFiles;
use crate::shape::TensorName;

/// The form that a matrix gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Plain floats.
    Float(FloatType),
    /// MLX's group-affine form.
    Affine {
        bits: u8,
        group: usize,
        scales: FloatType,
        /// Whether the source's own scales and biases are kept, and where nothing is added its codes; else it is quantized
        /// from floats of the type `scales`.
        exact: bool,
    },
}

impl Form {
    /// Bits a weight, scales left out.
    pub const fn bits(self) -> u8 {
        match self {
            Self::Float(float) => 8 * float.size() as u8,
            Self::Affine { bits, .. } => bits,
        }
    }

    /// Bytes of a matrix `[rows, cols]` in this form.
    pub const fn bytes(self, rows: usize, cols: usize) -> usize {
        rows * match self {
            Self::Float(float) => cols * float.size(),
            Self::Affine { bits, group, scales, .. } => cols * bits as usize / 8 + cols / group * 2 * scales.size(),
        }
    }
}

/// The forms of a whole model.
#[derive(Debug)]
pub(crate) struct Forms {
    /// Every matrix, in the order of the model.
    pub matrices: Vec<(TensorName, Form)>,
    /// The type of norms and biases; `None` keeps each one's own.
    pub vectors: Option<FloatType>,
    /// Bits and group that hold for every quantized matrix that the settings do not name.
    pub usual: Option<(u8, usize)>,
}

impl Forms {
    /// Chooses by the options, and by the source where they are silent. `half` is what f32 becomes at 16 bits.
    pub(super) fn choose(files: &ModelFiles, options: ImportOptions, half: FloatType) -> Result<Self> {
        let sources = sources(files)?;
        let is_quantized = sources.iter().any(|(_, matrix)| !matches!(matrix.encoding(), Encoding::Float(_)));
        let bits = match options.bits {
            None if is_quantized && options.group_size.is_some() => {
                let message = "group_size without bits: the model is quantized already and keeps its own";
                return Err(
                    Error::new(ErrorKind::BadOption, message).with_hint("give bits as well to quantize it anew")
                );
            }
            None if is_quantized => None,
            bits => Some(bits.unwrap_or(4)),
        };
        let group = options.group_size.unwrap_or(64);
        let form = |matrix: &Matrix| match bits {
            None => kept(matrix),
            Some(16) => Form::Float(narrow(matrix, half)),
            Some(32) => Form::Float(FloatType::F32),
            Some(bits) => quantized(matrix, bits, group, half),
        };
        let matrices: Vec<_> = sources
            .iter()
            .map(|(name, matrix)| match name {
                // Each row is one position's alone, and they are few.
                TensorName::Positions if bits.is_some_and(|bits| bits < 16) => (*name, kept(matrix)),
                _ => (*name, form(matrix)),
            })
            .collect();
        let vectors = match bits {
            // One type throughout, as config.json has only one to name.
            Some(16) => Some(sources.first().map_or(half, |(_, matrix)| narrow(matrix, half))),
            Some(32) => Some(FloatType::F32),
            _ => None,
        };
        Ok(Self { usual: usual(&matrices), matrices, vectors })
    }

    /// The same values as in the source, whatever they are: quantized and unquantized alike.
    pub fn kept(files: &ModelFiles) -> Result<Self> {
        let matrices: Vec<_> = sources(files)?.into_iter().map(|(name, matrix)| (name, kept(&matrix))).collect();
        Ok(Self { usual: usual(&matrices), matrices, vectors: None })
    }

    /// The number of quantized matrices, and the others where there are any.
    pub fn quantized(&self) -> (usize, Vec<TensorName>) {
        let plain = |(_, form): &&(TensorName, Form)| matches!(form, Form::Float(_));
        let others: Vec<TensorName> = self.matrices.iter().filter(plain).map(|(name, _)| *name).collect();
        let count = self.matrices.len() - others.len();
        (count, if count == 0 { Vec::new() } else { others })
    }

    /// The type of the embedding's floats or scales.
    pub fn float_type(&self) -> Option<FloatType> {
        self.matrices.first().map(|(_, form)| match *form {
            Form::Float(float) => float,
            Form::Affine { scales, .. } => scales,
        })
    }
}

/// Bits and group of most quantized matrices.
fn usual(matrices: &[(TensorName, Form)]) -> Option<(u8, usize)> {
    let mut counts: HashMap<(u8, usize), usize> = HashMap::new();
    for (_, form) in matrices {
        if let Form::Affine { bits, group, .. } = *form {
            *counts.entry((bits, group)).or_default() += 1;
        }
    }
    counts.into_iter().max_by_key(|&(form, count)| (count, form)).map(|(form, _)| form)
}

/// Every matrix that is stored, in the order of the model.
fn sources(files: &ModelFiles) -> Result<Vec<(TensorName, Matrix)>> {
    files.config().matrices().map(|name| Ok((name, files.matrix(name)?))).collect()
}

/// The same values in a form that a folder can hold.
fn kept(matrix: &Matrix) -> Form {
    match (matrix.affine_form(), matrix.encoding()) {
        (Some((bits, group, scales)), _) if is_affine(bits, group) => Form::Affine { bits, group, scales, exact: true },
        (_, Encoding::Float(float)) => Form::Float(float),
        // Groups shorter than a folder's.
        _ => Form::Float(FloatType::F32),
    }
}

/// Where the group does not divide the width, floats, as in mlx-lm.
fn quantized(matrix: &Matrix, bits: u8, group: usize, half: FloatType) -> Form {
    let source = match (kept(matrix), matrix.encoding()) {
        (same @ Form::Affine { bits: b, group: g, .. }, _) if (b, g) == (bits, group) => return same,
        (_, Encoding::Float(float)) => float,
        _ => narrow(matrix, half),
    };
    if matrix.cols().is_multiple_of(group) {
        Form::Affine { bits, group, scales: source, exact: false }
    } else {
        Form::Float(source)
    }
}

/// The 16-bit type nearest to the matrix's own: that of its values or scales, else `half`.
pub(crate) fn narrow(matrix: &Matrix, half: FloatType) -> FloatType {
    let own = match (matrix.encoding(), matrix.affine_form()) {
        (Encoding::Float(float), _) | (_, Some((.., float))) => float,
        (_, None) => half,
    };
    if own == FloatType::F32 { half } else { own }
}

#[cfg(test)]
mod tests {
    use super::FloatType::{BF16, F32};
    use super::*;
    use idiolect_kernels::matrix::BlockType;

    /// Rows of 256 blocks' worth of random bytes; scales of d times a few bits are f32.
    fn matrix(block: BlockType) -> Matrix {
        let bytes: Vec<u8> = (0..2 * 256 / block.len() * block.size()).map(|i| (i * 37 % 101) as u8).collect();
        Matrix::blocks(2, 256, block, bytes.into()).unwrap()
    }

    #[test]
    fn blocks_keep_their_codes_where_a_folder_has_such_groups() {
        let affine = |bits, group, scales, exact| Form::Affine { bits, group, scales, exact };
        for (block, same, eight) in [
            (BlockType::Q4_K, affine(4, 32, F32, true), affine(8, 32, BF16, false)),
            (BlockType::Q5_K, affine(5, 32, F32, true), affine(8, 32, BF16, false)),
            (BlockType::Q2_K, Form::Float(F32), affine(8, 32, BF16, false)),
            (BlockType::Q3_K, Form::Float(F32), affine(8, 32, BF16, false)),
            (BlockType::Q6_K, Form::Float(F32), affine(8, 32, BF16, false)),
        ] {
            let matrix = matrix(block);
            assert_eq!((kept(&matrix), quantized(&matrix, 8, 32, BF16)), (same, eight), "{block:?}");
            assert_eq!(quantized(&matrix, 4, 512, BF16), Form::Float(BF16), "{block:?}");
            assert_eq!(narrow(&matrix, BF16), BF16, "{block:?}");
        }
    }
}
