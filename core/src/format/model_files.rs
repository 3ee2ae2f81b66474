//! A model as it lies on disk, whatever its format: its shape, and its tensors by their place in the model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use idiolect_kernels::matrix::{FloatType, Matrix};

use super::assembly::{Assembly, Parts, is_tied, missing};
use super::config_json::{self, Quantization};
use super::gguf::model::{self, LONG_ROPE_FACTORS, ROPE_FACTORS};
use super::gguf::{GgufFile, split, vocabulary};
use super::safetensors;
use super::source::ModelSource;
use super::tensor::{Storage, Tensor};
use super::zero_points::ZeroPoints;
use crate::disk::file_bytes::{FileBytes, OpenBytes};
use crate::error::{Error, Result};
use crate::shape::{ModelConfig, ModuleId, TensorName};
use crate::text::Tokenizer;

/// How a model lies on the disk, and so where its tokenizer, chat template and settings are to be found.
#[derive(Debug)]
pub enum ModelLayout {
    /// A folder in Hugging Face's or MLX's layout.
    Folder(PathBuf),
    /// A GGUF file, or several that are parts of one model.
    Gguf(GgufFile),
}

/// An open model. Matrices stay in the mapped files.
#[derive(Debug)]
pub struct ModelFiles {
    layout: ModelLayout,
    config: ModelConfig,
    parts: Parts,
    mapped: Vec<Arc<FileBytes>>,
}

/// How weights come to be mapped.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mapping<'a> {
    /// As they lie.
    InPlace,
    /// By way of files in this folder: what others may write, and what is not read as it lies.
    By(&'a Path),
}

impl Mapping<'_> {
    fn map(self, path: &Path) -> Result<Arc<FileBytes>> {
        match self {
            Self::InPlace => FileBytes::map(path),
            Self::By(folder) => FileBytes::map_private(path, folder),
        }
    }
}

const WHAT_A_MODEL_IS: &str =
    "check the path: a model is a folder with config.json, tokenizer.json and model.safetensors, or a GGUF file";

impl ModelFiles {
    /// Opens a Hugging Face or MLX folder, a GGUF file, or a folder that holds one GGUF model. Of a model in several GGUF
    /// files any one is given. Nothing is copied: a model of a gigabyte opens at once.
    ///
    /// # Errors
    /// When a file is missing, broken or contradicts itself, or the model is of an unknown kind.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_by(path, Mapping::InPlace)
    }

    /// Opens what [`ModelFiles::open`] does, or a GGUF file within another file.
    ///
    /// # Errors
    /// As there.
    pub fn open_source(source: &ModelSource) -> Result<Self> {
        match source {
            ModelSource::Path(path) => Self::open(path),
            #[cfg(unix)]
            ModelSource::Descriptor(descriptor) => Self::of_gguf(GgufFile::alone(descriptor.map()?)?),
        }
    }

    /// The same with the weights' files mapped as `mapping` says.
    pub(super) fn open_by(path: &Path, mapping: Mapping<'_>) -> Result<Self> {
        let open: OpenBytes<'_> = &|path| mapping.map(path);
        let metadata = std::fs::metadata(path).map_err(|cause| Error::io(path, &cause).with_hint(WHAT_A_MODEL_IS))?;
        if !metadata.is_dir() {
            return Self::of_gguf(GgufFile::open_by(path, open)?);
        }
        if path.join("config.json").exists() {
            return Self::open_folder(path, mapping);
        }
        let found = gguf_in(path)?;
        match (found.as_slice(), split::first_of(&found)) {
            ([only], _) => Self::of_gguf(GgufFile::open_by(only, open)?),
            (_, Some(first)) => Self::of_gguf(GgufFile::open_by(first, open)?),
            ([], _) => {
                Err(Error::io(&path.join("config.json"), &std::io::ErrorKind::NotFound.into())
                    .with_hint(WHAT_A_MODEL_IS))
            }
            ([first, ..], None) => Err(Error::bad_file(path, "folder", "holds several GGUF files")
                .with_hint(format!("name one, such as {}", first.display()))),
        }
    }

    fn open_folder(folder: &Path, mapping: Mapping<'_>) -> Result<Self> {
        let json = config_json::read(&folder.join("config.json"))?;
        let read = || safetensors::read_folder(folder, &|path| mapping.map(path));
        let (quantization, (tensors, mapped)) = match (ZeroPoints::of(&json.fields)?, mapping) {
            (None, _) => (Quantization::of(&json.fields)?, read()?),
            (Some(zero_points), Mapping::InPlace) => return Err(zero_points.refusal(folder)),
            (Some(zero_points), Mapping::By(scratch)) => {
                let (tensors, mut mapped) = read()?;
                let (tensors, file) = zero_points.repacked(folder, tensors, scratch)?;
                mapped.push(file);
                (Quantization::none(), (tensors, mapped))
            }
        };
        let mut config = json.config;
        let [embedding, head] = [TensorName::Embedding, TensorName::Head].map(|name| config.family.path(name));
        config.tie_word_embeddings = is_tied(json.tie, &tensors, &embedding, &head);
        let prefix = config.family.prefix.and_then(|prefix| prefix.in_use(|name| tensors.contains_key(name)));
        let mut assembly =
            Assembly { origin: folder, config: &config, quantization: &quantization, tensors, prefix, gguf: false };
        let stored = assembly.tensors.values().cloned().collect();
        assembly.tensors.retain(|name, _| !config.family.is_buffer(name));
        let parts = assembly.parts(stored)?;
        Ok(Self { layout: ModelLayout::Folder(folder.to_owned()), config, parts, mapped })
    }

    fn of_gguf(file: GgufFile) -> Result<Self> {
        let config = model::config(&file)?;
        let mut tensors = file.tensors().clone();
        let stored = tensors.values().cloned().collect();
        // Which are read with the rotations.
        let factors = [ROPE_FACTORS]
            .into_iter()
            .chain(config.family.turns_in_part.then_some(LONG_ROPE_FACTORS).into_iter().flatten());
        factors.for_each(|name| drop(tensors.remove(name)));
        let quantization = Quantization::none();
        let prefix = None;
        let origin = file.path();
        let assembly = Assembly { origin, config: &config, quantization: &quantization, tensors, prefix, gguf: true };
        let parts = assembly.parts(stored)?;
        let mapped = file.files().cloned().collect();
        Ok(Self { layout: ModelLayout::Gguf(file), config, parts, mapped })
    }

    /// The shape of the model.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// How the model lies on the disk.
    pub fn layout(&self) -> &ModelLayout {
        &self.layout
    }

    /// The folder or file that was opened.
    pub fn path(&self) -> &Path {
        match &self.layout {
            ModelLayout::Folder(folder) => folder,
            ModelLayout::Gguf(file) => file.path(),
        }
    }

    /// Its tokenizer.
    ///
    /// # Errors
    /// When it is missing, damaged or of an unknown kind.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        match &self.layout {
            ModelLayout::Folder(folder) => Tokenizer::from_folder(folder),
            ModelLayout::Gguf(file) => Tokenizer::from_gguf(&vocabulary(file)?, file.path()),
        }
    }

    /// The path of a tensor's module, as Hugging Face and MLX call it.
    pub(crate) fn path_of(&self, name: impl Into<TensorName>) -> String {
        self.config.family.path(name)
    }

    /// A matrix, in its file: the embedding, the head or a linear layer.
    ///
    /// # Errors
    /// When the model has no such matrix.
    pub fn matrix(&self, name: impl Into<TensorName>) -> Result<Matrix> {
        let name = name.into();
        let stored = match name {
            TensorName::Head if self.config.tie_word_embeddings => TensorName::Embedding,
            other => other,
        };
        self.parts.matrices.get(&stored).cloned().ok_or_else(|| missing(self.path(), &self.path_of(name)))
    }

    /// A norm's weights, of [`ModelConfig::norm_width`], as Hugging Face's and MLX's files hold them: some families' gains
    /// less one.
    ///
    /// # Errors
    /// When the model has no such vector, or a value is NaN or infinite.
    pub fn vector(&self, name: TensorName) -> Result<Vec<f32>> {
        let tensor = self.parts.norms.get(&name).ok_or_else(|| missing(self.path(), &self.path_of(name)))?;
        let mut values = tensor.floats(&[self.config.norm_width(name)])?;
        if self.is_gguf() {
            values.iter_mut().for_each(|value| *value -= self.config.family.unit_gain);
        }
        Ok(values)
    }

    /// What a norm multiplies by.
    ///
    /// # Errors
    /// As [`ModelFiles::vector`].
    pub(crate) fn gains(&self, name: TensorName) -> Result<Vec<f32>> {
        let mut values = self.vector(name)?;
        values.iter_mut().for_each(|value| *value += self.config.family.unit_gain);
        Ok(values)
    }

    /// Whether Hugging Face's floats of a matrix are `[columns, rows]`.
    pub(crate) fn is_transposed(&self, name: TensorName) -> bool {
        self.config.family.transposed && matches!(name, TensorName::Linear(_))
    }

    fn is_gguf(&self) -> bool {
        matches!(self.layout, ModelLayout::Gguf(_))
    }

    /// The bias of a linear layer `[outputs]`, where the model has biases there.
    ///
    /// # Errors
    /// When a value is NaN or infinite.
    pub fn bias(&self, module: ModuleId) -> Result<Option<Vec<f32>>> {
        let Some(tensor) = self.parts.biases.get(&module) else { return Ok(None) };
        let stored = tensor.floats(&[self.config.linear(module).outputs])?;
        if !self.is_gguf() {
            return Ok(Some(stored));
        }
        let order = self.config.gguf_row_order(module);
        Ok(Some((0..stored.len()).map(|row| stored[order.stored(row, stored.len())]).collect()))
    }

    /// What a norm adds, where it is LayerNorm.
    ///
    /// # Errors
    /// When a value is NaN or infinite.
    pub fn norm_bias(&self, name: TensorName) -> Result<Option<Vec<f32>>> {
        let Some(tensor) = self.parts.norm_biases.get(&name) else { return Ok(None) };
        tensor.floats(&[self.config.norm_width(name)]).map(Some)
    }

    /// The type that a norm is stored in.
    pub(crate) fn vector_type(&self, name: TensorName) -> FloatType {
        float_type(self.parts.norms.get(&name))
    }

    /// The type that a bias is stored in.
    pub(crate) fn bias_type(&self, module: ModuleId) -> FloatType {
        float_type(self.parts.biases.get(&module))
    }

    /// Checks that its files are still as long as when they were mapped.
    ///
    /// # Errors
    /// When one was cut: to go on would end the process with a signal.
    pub(crate) fn check_whole(&self) -> Result<()> {
        self.mapped.iter().try_for_each(|file| file.check_whole())
    }

    /// The files that hold its weights.
    pub(super) fn mapped(&self) -> &[Arc<FileBytes>] {
        &self.mapped
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
