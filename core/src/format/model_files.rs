//! A model as it lies on disk, whatever its format: its shape, and its tensors by their place in the model.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use idiolect_kernels::matrix::{FloatType, Matrix, RowOrder};

use super::config_json::{self, Quantization, Stated};
use super::gguf::GgufFile;
use super::gguf_model::{self, ROPE_FACTORS};
use super::safetensors::{self, Tensors};
use super::tensor::{Storage, Tensor};
use crate::error::{Error, Result};
use crate::model::config::{Linear, ModelConfig};

/// A tensor by its place in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TensorName {
    /// `[vocab_size, hidden_size]`.
    Embedding,
    /// `[vocab_size, hidden_size]`; the embedding where they are tied.
    Head,
    /// `[hidden_size]`.
    FinalNorm,
    /// The norm before a layer's attention, `[hidden_size]`.
    AttentionNorm(usize),
    /// The norm before a layer's feed-forward half, `[hidden_size]`.
    MlpNorm(usize),
    /// A linear layer of a block, `[outputs, inputs]`.
    Linear(usize, Linear),
}

impl TensorName {
    /// The module's path in a Hugging Face or MLX model.
    pub fn path(self) -> String {
        match self {
            Self::Embedding => "model.embed_tokens".into(),
            Self::Head => "lm_head".into(),
            Self::FinalNorm => "model.norm".into(),
            Self::AttentionNorm(layer) => format!("model.layers.{layer}.input_layernorm"),
            Self::MlpNorm(layer) => format!("model.layers.{layer}.post_attention_layernorm"),
            Self::Linear(layer, linear) => linear.path(layer),
        }
    }

    /// The tensor's name in GGUF, without `.weight`.
    fn gguf_path(self) -> String {
        let (layer, part) = match self {
            Self::Embedding => return "token_embd".into(),
            Self::Head => return "output".into(),
            Self::FinalNorm => return "output_norm".into(),
            Self::AttentionNorm(layer) => (layer, "attn_norm"),
            Self::MlpNorm(layer) => (layer, "ffn_norm"),
            Self::Linear(layer, Linear::Q) => (layer, "attn_q"),
            Self::Linear(layer, Linear::K) => (layer, "attn_k"),
            Self::Linear(layer, Linear::V) => (layer, "attn_v"),
            Self::Linear(layer, Linear::O) => (layer, "attn_output"),
            Self::Linear(layer, Linear::Gate) => (layer, "ffn_gate"),
            Self::Linear(layer, Linear::Up) => (layer, "ffn_up"),
            Self::Linear(layer, Linear::Down) => (layer, "ffn_down"),
        };
        format!("blk.{layer}.{part}")
    }
}

/// Where a model comes from: where its tokenizer, chat template and settings are to be found.
#[derive(Debug)]
pub enum ModelSource {
    /// A folder in Hugging Face's or MLX's layout.
    Folder(PathBuf),
    /// A GGUF file.
    Gguf(GgufFile),
}

/// An open model. Matrices stay in the mapped file.
#[derive(Debug)]
pub struct ModelFiles {
    source: ModelSource,
    config: ModelConfig,
    parts: Parts,
}

/// Every tensor by its place, shapes and types checked.
#[derive(Debug, Default)]
struct Parts {
    matrices: HashMap<TensorName, Matrix>,
    norms: HashMap<TensorName, Tensor>,
    biases: HashMap<(usize, Linear), Tensor>,
    /// Every tensor as stored, by name.
    stored: Vec<Tensor>,
}

impl ModelFiles {
    /// Opens a Hugging Face or MLX folder, a GGUF file, or a folder that holds one GGUF file. Nothing is copied: a
    /// model of a gigabyte opens at once.
    ///
    /// # Errors
    /// When a file is missing, broken or contradicts itself, or the model is of an unknown kind.
    pub fn open(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|cause| Error::io(path, &cause))?;
        if !metadata.is_dir() {
            return Self::open_gguf(path);
        }
        if path.join("config.json").exists() {
            return Self::open_folder(path);
        }
        match gguf_in(path)?.as_slice() {
            [only] => Self::open_gguf(only),
            [] => Err(Error::io(&path.join("config.json"), &std::io::ErrorKind::NotFound.into()).with_hint(
                "a model is a folder with config.json, tokenizer.json and model.safetensors, or a GGUF file",
            )),
            [first, ..] => Err(Error::bad_file(path, "folder", "holds several GGUF files")
                .with_hint(format!("name one, such as {}", first.display()))),
        }
    }

    fn open_folder(folder: &Path) -> Result<Self> {
        let json = config_json::read(&folder.join("config.json"))?;
        let quantization = Quantization::of(&json.fields)?;
        let tensors = safetensors::read_folder(folder)?;
        let mut config = json.config;
        let (embedding, head) = (TensorName::Embedding.path(), TensorName::Head.path());
        config.tie_word_embeddings = is_tied(json.tie, &tensors, &embedding, &head);
        let mut assembly =
            Assembly { origin: folder, config: &config, quantization: &quantization, tensors, gguf: false };
        let stored = assembly.tensors.values().cloned().collect();
        // Old checkpoints carry each layer's rotary frequencies, which the configuration gives as well.
        assembly.tensors.retain(|name, _| !name.ends_with("self_attn.rotary_emb.inv_freq"));
        let parts = assembly.parts(stored)?;
        Ok(Self { source: ModelSource::Folder(folder.to_owned()), config, parts })
    }

    fn open_gguf(path: &Path) -> Result<Self> {
        let file = GgufFile::open(path)?;
        let config = gguf_model::config(&file)?;
        let mut tensors = file.tensors().clone();
        let stored = tensors.values().cloned().collect();
        tensors.remove(ROPE_FACTORS);
        let quantization = Quantization::none();
        let assembly = Assembly { origin: path, config: &config, quantization: &quantization, tensors, gguf: true };
        let parts = assembly.parts(stored)?;
        Ok(Self { source: ModelSource::Gguf(file), config, parts })
    }

    /// The shape of the model.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Where the model comes from.
    pub fn source(&self) -> &ModelSource {
        &self.source
    }

    /// The folder or file that was opened.
    pub fn path(&self) -> &Path {
        match &self.source {
            ModelSource::Folder(folder) => folder,
            ModelSource::Gguf(file) => file.path(),
        }
    }

    /// A matrix, in its file: the embedding, the head or a linear layer.
    ///
    /// # Errors
    /// When the model has no such matrix.
    pub fn matrix(&self, name: TensorName) -> Result<Matrix> {
        let stored = match name {
            TensorName::Head if self.config.tie_word_embeddings => TensorName::Embedding,
            other => other,
        };
        self.parts.matrices.get(&stored).cloned().ok_or_else(|| missing(self.path(), &name.path()))
    }

    /// A norm's gains `[hidden_size]`.
    ///
    /// # Errors
    /// When the model has no such vector, or a value is NaN or infinite.
    pub fn vector(&self, name: TensorName) -> Result<Vec<f32>> {
        let tensor = self.parts.norms.get(&name).ok_or_else(|| missing(self.path(), &name.path()))?;
        tensor.floats(&[self.config.hidden_size])
    }

    /// The bias of a linear layer `[outputs]`, where the model has biases there.
    ///
    /// # Errors
    /// When a value is NaN or infinite.
    pub fn bias(&self, layer: usize, linear: Linear) -> Result<Option<Vec<f32>>> {
        let Some(tensor) = self.parts.biases.get(&(layer, linear)) else { return Ok(None) };
        let stored = tensor.floats(&[self.config.widths(linear).1])?;
        let interleaved = matches!(self.source, ModelSource::Gguf(_)) && is_rotated(linear);
        Ok(Some(if interleaved { halves_apart(&stored, self.config.head_dim) } else { stored }))
    }

    /// The type that a norm is stored in.
    pub(crate) fn vector_type(&self, name: TensorName) -> FloatType {
        float_type(self.parts.norms.get(&name))
    }

    /// The type that a bias is stored in.
    pub(crate) fn bias_type(&self, layer: usize, linear: Linear) -> FloatType {
        float_type(self.parts.biases.get(&(layer, linear)))
    }

    /// Every tensor as stored, by name.
    pub(crate) fn stored(&self) -> &[Tensor] {
        &self.parts.stored
    }
}

/// Vectors are floats: anything else was refused when the model was opened.
fn float_type(tensor: Option<&Tensor>) -> FloatType {
    match tensor.map(|tensor| &tensor.storage) {
        Some(Storage::Float(float)) => *float,
        _ => FloatType::F32,
    }
}

fn missing(path: &Path, tensor: &str) -> Error {
    Error::bad_file(path, tensor, "missing")
}

fn gguf_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let io = |cause| Error::io(folder, &cause);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf")) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Whether head and embedding are one, as transformers 5 decides: two tensors that are both there and differ are never
/// tied. Where the configuration is silent, one tensor serves both places and two are two.
fn is_tied(stated: Option<bool>, tensors: &Tensors, embedding: &str, head: &str) -> bool {
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

/// q and k, whose rows GGUF stores for interleaved rotation.
const fn is_rotated(linear: Linear) -> bool {
    matches!(linear, Linear::Q | Linear::K)
}

/// A vector stored with each head's two halves alternating, in plain order.
fn halves_apart(stored: &[f32], head_dim: usize) -> Vec<f32> {
    stored
        .chunks(head_dim)
        .flat_map(|head| head.iter().step_by(2).chain(head.iter().skip(1).step_by(2)))
        .copied()
        .collect()
}

/// Puts tensors in their places.
struct Assembly<'a> {
    /// The file or folder, for messages about what is not there.
    origin: &'a Path,
    config: &'a ModelConfig,
    quantization: &'a Quantization,
    /// What has no place yet.
    tensors: Tensors,
    gguf: bool,
}

impl Assembly<'_> {
    fn parts(mut self, stored: Vec<Tensor>) -> Result<Parts> {
        let config = self.config;
        let mut parts = Parts { stored, ..Parts::default() };
        let vocabulary = (config.vocab_size, config.hidden_size);
        if config.tie_word_embeddings {
            let head_only = !self.has_weight(TensorName::Embedding) && self.has_weight(TensorName::Head);
            let stored = if head_only { TensorName::Head } else { TensorName::Embedding };
            let other = if head_only { TensorName::Embedding } else { TensorName::Head };
            let matrix = self.matrix(stored, vocabulary)?;
            parts.matrices.insert(TensorName::Embedding, matrix);
            // A second copy of the same values.
            let path = self.path(other);
            for suffix in PARTS {
                self.tensors.remove(&format!("{path}.{suffix}"));
            }
        } else {
            for name in [TensorName::Embedding, TensorName::Head] {
                let matrix = self.matrix(name, vocabulary)?;
                parts.matrices.insert(name, matrix);
            }
        }
        for layer in 0..config.layers {
            for linear in Linear::ALL {
                let name = TensorName::Linear(layer, linear);
                let (inputs, outputs) = config.widths(linear);
                let matrix = self.matrix(name, (outputs, inputs))?;
                parts.matrices.insert(name, matrix);
                if config.has_bias(linear) {
                    let bias = self.take(name, "bias")?;
                    bias.expect_floats(&[outputs])?;
                    parts.biases.insert((layer, linear), bias);
                }
            }
            for name in [TensorName::AttentionNorm(layer), TensorName::MlpNorm(layer)] {
                let norm = self.norm(name)?;
                parts.norms.insert(name, norm);
            }
        }
        let norm = self.norm(TensorName::FinalNorm)?;
        parts.norms.insert(TensorName::FinalNorm, norm);
        match self.tensors.into_values().next() {
            Some(unknown) => Err(unknown.unsupported(format!("no tensor of a {} model", config.family.name()))),
            None => Ok(parts),
        }
    }

    fn path(&self, name: TensorName) -> String {
        if self.gguf { name.gguf_path() } else { name.path() }
    }

    fn has_weight(&self, name: TensorName) -> bool {
        self.tensors.contains_key(&format!("{}.weight", self.path(name)))
    }

    fn take(&mut self, name: TensorName, suffix: &str) -> Result<Tensor> {
        let full = format!("{}.{suffix}", self.path(name));
        self.tensors.remove(&full).ok_or_else(|| missing(self.origin, &full))
    }

    fn norm(&mut self, name: TensorName) -> Result<Tensor> {
        let norm = self.take(name, "weight")?;
        norm.expect_floats(&[self.config.hidden_size])?;
        Ok(norm)
    }

    /// A matrix `[rows, cols]`.
    fn matrix(&mut self, name: TensorName, (rows, cols): (usize, usize)) -> Result<Matrix> {
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
                weight.expect_shape(&[rows, cols])?;
                let bytes = weight.bytes.clone();
                let matrix = match weight.storage {
                    Storage::Float(float) => Matrix::float(rows, cols, float, bytes),
                    Storage::Block(block) => Matrix::blocks(rows, cols, block, bytes),
                    Storage::Words | Storage::Other(_) => {
                        return Err(weight.unsupported(format!("type {}", weight.storage)));
                    }
                };
                let order = match name {
                    TensorName::Linear(_, linear) if self.gguf && is_rotated(linear) => {
                        RowOrder::Interleaved { head_dim: self.config.head_dim }
                    }
                    _ => RowOrder::Plain,
                };
                matrix.and_then(|matrix| matrix.with_row_order(order)).map_err(|cause| weight.bad(cause))
            }
        }
    }
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
    if !matches!(bits, 4 | 8) || !matches!(group, 32 | 64 | 128) {
        return Err(weight
            .unsupported(format!("{bits} bits in groups of {group}"))
            .with_hint("read are 4 and 8 bits in groups of 32, 64 and 128"));
    }
    let parts = (weight.bytes.clone(), scales.bytes.clone(), biases.bytes.clone());
    Matrix::affine((rows, cols), bits as u8, group, float, parts.0, parts.1, parts.2).map_err(|cause| weight.bad(cause))
}
