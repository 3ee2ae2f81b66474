//! Tensors put in their places: every one that the shape calls for, no other, all of the right shape and type.

use std::collections::HashMap;
use std::path::Path;

use idiolect_kernels::matrix::{AFFINE_BITS, AFFINE_GROUPS, Matrix, RowOrder, is_affine};

use super::config_json::{Quantization, Stated};
use super::safetensors::Tensors;
use super::tensor::{Storage, Tensor};
use crate::error::{Error, Result};
use crate::shape::{ModelConfig, ModuleId, NormKind, TensorName};

/// Every tensor by its place, shapes and types checked.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub matrices: HashMap<TensorName, Matrix>,
    pub norms: HashMap<TensorName, Tensor>,
    /// Of LayerNorm.
    pub norm_biases: HashMap<TensorName, Tensor>,
    pub biases: HashMap<ModuleId, Tensor>,
    /// Every tensor as stored, by name.
    pub stored: Vec<Tensor>,
}

/// Puts tensors in their places.
pub(super) struct Assembly<'a> {
    /// The file or folder, for messages about what is not there.
    pub origin: &'a Path,
    pub config: &'a ModelConfig,
    pub quantization: &'a Quantization,
    /// What has no place yet.
    pub tensors: Tensors,
    /// What stands in this folder for the prefix of the family's names.
    pub prefix: Option<&'static str>,
    /// Whether names and the order of rows are GGUF's.
    pub gguf: bool,
}

impl Assembly<'_> {
    pub fn parts(mut self, stored: Vec<Tensor>) -> Result<Parts> {
        let config = self.config;
        let mut parts = Parts { stored, ..Parts::default() };
        if config.tie_word_embeddings {
            let head_only = !self.has_weight(TensorName::Embedding) && self.has_weight(TensorName::Head);
            let stored = if head_only { TensorName::Head } else { TensorName::Embedding };
            let other = if head_only { TensorName::Embedding } else { TensorName::Head };
            let matrix = self.matrix(stored)?;
            parts.matrices.insert(TensorName::Embedding, matrix);
            // A second copy of the same values.
            let path = self.path(other);
            for suffix in PARTS {
                self.tensors.remove(&format!("{path}.{suffix}"));
            }
        } else {
            for name in [TensorName::Embedding, TensorName::Head] {
                let matrix = self.matrix(name)?;
                parts.matrices.insert(name, matrix);
            }
        }
        if config.family.positions.is_some() {
            parts.matrices.insert(TensorName::Positions, self.matrix(TensorName::Positions)?);
        }
        for module in config.modules() {
            let (name, linear) = (TensorName::Linear(module), config.linear(module));
            let matrix = self.matrix(name)?;
            parts.matrices.insert(name, matrix);
            if linear.bias {
                let bias = self.take(name, "bias")?;
                bias.expect_floats(&[linear.outputs])?;
                parts.biases.insert(module, bias);
            }
        }
        for name in config.norms() {
            let norm = self.take(name, "weight")?;
            norm.expect_floats(&[config.norm_width(name)])?;
            parts.norms.insert(name, norm);
            if config.family.norm == NormKind::Layer {
                let bias = self.take(name, "bias")?;
                bias.expect_floats(&[config.norm_width(name)])?;
                parts.norm_biases.insert(name, bias);
            }
        }
        match self.tensors.into_values().next() {
            Some(unknown) => Err(unknown.unsupported(format!("no tensor of a {} model", config.family.name))),
            None => Ok(parts),
        }
    }

    fn path(&self, name: TensorName) -> String {
        let family = self.config.family;
        if self.gguf {
            return family.gguf_path(name);
        }
        let path = family.path(name);
        match (family.prefix, self.prefix) {
            (Some(usual), Some(here)) => {
                path.strip_prefix(usual.name).map_or(path.clone(), |rest| format!("{here}{rest}"))
            }
            _ => path,
        }
    }

    fn has_weight(&self, name: TensorName) -> bool {
        self.tensors.contains_key(&format!("{}.weight", self.path(name)))
    }

    fn take(&mut self, name: TensorName, suffix: &str) -> Result<Tensor> {
        let full = format!("{}.{suffix}", self.path(name));
        self.tensors.remove(&full).ok_or_else(|| missing(self.origin, &full))
    }

    /// A matrix.
    fn matrix(&mut self, name: TensorName) -> Result<Matrix> {
        let (rows, cols) = self.config.matrix_shape(name);
        let path = self.path(name);
        let weight = self.take(name, "weight")?;
        let scales = self.tensors.remove(&format!("{path}.scales"));
        let stated = if self.gguf { Stated::Nothing } else { self.quantization.of_module(&path)? };
        match (scales, stated) {
            (Some(scales), Stated::Plain) => Err(scales.bad("the configuration says that the module is not quantized")),
            (Some(scales), _) => {
                let biases = self.take(name, "biases")?;
                affine(&weight, &scales, &biases, (rows, cols), stated)
            }
            (None, Stated::Affine { .. }) => Err(missing(self.origin, &format!("{path}.scales"))),
            (None, _) => {
                let transposed = !self.gguf && self.config.family.transposed && matches!(name, TensorName::Linear(_));
                let bytes = if transposed {
                    weight.transposed(cols, rows)?
                } else {
                    weight.expect_shape(&[rows, cols])?;
                    weight.bytes.clone()
                };
                let matrix = match weight.storage {
                    Storage::Float(float) => Matrix::float(rows, cols, float, bytes),
                    Storage::Block(block) => Matrix::blocks(rows, cols, block, bytes),
                    Storage::Words | Storage::Other(_) => {
                        return Err(weight.unsupported(format!("type {}", weight.storage)));
                    }
                };
                let order = match name {
                    TensorName::Linear(module) if self.gguf => self.config.gguf_row_order(module),
                    _ => RowOrder::Plain,
                };
                matrix.and_then(|matrix| matrix.with_row_order(order)).map_err(|cause| weight.bad(cause))
            }
        }
    }
}

/// Whether head and embedding are one, as transformers 5 decides: two tensors that are both there and differ are never
/// tied. Where the configuration is silent, one tensor serves both places and two are two.
pub(super) fn is_tied(stated: Option<bool>, tensors: &Tensors, embedding: &str, head: &str) -> bool {
    let part = |module: &str, suffix: &str| tensors.get(&format!("{module}.{suffix}"));
    let both = part(embedding, "weight").is_some() && part(head, "weight").is_some();
    match stated {
        Some(true) if both => PARTS.iter().all(|suffix| match (part(embedding, suffix), part(head, suffix)) {
            (Some(a), Some(b)) => a.shape == b.shape && a.storage == b.storage && *a.bytes == *b.bytes,
            (a, b) => a.is_none() && b.is_none(),
        }),
        Some(tied) => tied,
        None => !both,
    }
}

/// What a matrix may consist of.
const PARTS: [&str; 3] = ["weight", "scales", "biases"];

/// A tensor that ought to be in a file or folder.
pub(super) fn missing(path: &Path, tensor: &str) -> Error {
    Error::bad_file(path, tensor, "missing")
}

/// A matrix in MLX's group-affine form; bits and group follow from the shapes.
fn affine(
    weight: &Tensor,
    scales: &Tensor,
    biases: &Tensor,
    (rows, cols): (usize, usize),
    stated: Stated,
) -> Result<Matrix> {
    if weight.storage != Storage::Words {
        return Err(weight.bad(format!("type {} where scales need packed U32 words", weight.storage)));
    }
    let Storage::Float(float) = scales.storage else {
        return Err(scales.unsupported(format!("scales of type {}: only affine quantization is read", scales.storage)));
    };
    let ([w_rows, words], [s_rows, groups]) = (weight.shape.as_slice(), scales.shape.as_slice()) else {
        return Err(weight.bad(format!("shape {:?} with scales {:?}", weight.shape, scales.shape)));
    };
    if *w_rows != rows || *s_rows != rows {
        return Err(weight.bad(format!("{w_rows} rows, scales {s_rows}, where the model needs {rows}")));
    }
    biases.expect_shape(&scales.shape)?;
    if biases.storage != scales.storage {
        return Err(biases.bad(format!("type {} beside scales of {}", biases.storage, scales.storage)));
    }
    let word_bits = words.checked_mul(32).filter(|bits| *bits > 0 && bits.is_multiple_of(cols));
    let bits = word_bits.map(|bits| bits / cols);
    let group = Some(*groups).filter(|n| *n > 0 && cols.is_multiple_of(*n)).map(|n| cols / n);
    let (Some(bits), Some(group)) = (bits, group) else {
        return Err(weight.bad(format!("{words} words and {groups} groups a row do not fit {cols} columns")));
    };
    if let Stated::Affine { bits: b, group: g } = stated
        && (b, g) != (bits, group)
    {
        let what = format!("{bits} bits in groups of {group}, where the configuration says {b} in groups of {g}");
        return Err(weight.bad(what));
    }
    let Some(known) = u8::try_from(bits).ok().filter(|&bits| is_affine(bits, group)) else {
        return Err(weight
            .unsupported(format!("{bits} bits in groups of {group}"))
            .with_hint(format!("read are bits {AFFINE_BITS:?} in groups of {AFFINE_GROUPS:?}")));
    };
    let parts = (weight.bytes.clone(), scales.bytes.clone(), biases.bytes.clone());
    Matrix::affine((rows, cols), known, group, float, parts.0, parts.1, parts.2).map_err(|cause| weight.bad(cause))
}
