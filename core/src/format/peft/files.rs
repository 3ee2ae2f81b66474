//! An adapter's folder: its tensors by place, checked, and the record of how it was made.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use idiolect_kernels::matrix::FloatType;
use serde_json::{Map, Value, json};

use super::config::{LoraConfig, shortest};
use super::{CONFIG, RECORD, TENSORS};
use crate::disk::file_bytes::FileBytes;
use crate::disk::json::JsonFields;
use crate::disk::staged::{StagedFolder, finish_replacing, refuse_occupied, whole_file};
use crate::error::{Error, ErrorKind, Result};
use crate::format::destination::check_folder;
use crate::format::mlx_adapter;
use crate::format::safetensors::{self, Tensors};
use crate::format::safetensors_writer::{SafetensorsWriter, TensorSpec};
use crate::format::tensor::{Storage, Tensor};
use crate::shape::{LinearSpec, ModelConfig, ModuleId};

/// How PEFT calls the root of the adapted model.
const ROOT: &str = "base_model.model.";

/// The two factors of one adapted linear layer: `y += scale·B·(A·x)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors {
    /// The layer's path in the model: `model.layers.0.self_attn.q_proj`.
    pub path: String,
    /// A `[rank, inputs]`, row-major.
    pub a: Vec<f32>,
    /// B `[outputs, rank]`, row-major.
    pub b: Vec<f32>,
}

/// What an adapter's `lora_alpha` was made of, where that is not the adapter's own alpha.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    /// The alpha at full strength.
    pub alpha: f64,
    /// Rank-stabilized scaling.
    pub rslora: bool,
    /// The share of its effect that the adapter had, 0 to 1.
    pub strength: f32,
}

impl Scaling {
    fn of(fields: &JsonFields) -> Result<Self> {
        let alpha = fields.required("alpha", fields.f64("alpha")?)?;
        if alpha <= 0.0 {
            return Err(fields.bad("alpha", format!("{alpha} is not positive")));
        }
        let strength = fields.required("strength", fields.f64("strength")?)? as f32;
        if !(0.0..=1.0).contains(&strength) {
            return Err(fields.bad("strength", format!("{strength} is outside 0 to 1")));
        }
        Ok(Self { alpha, rslora: fields.bool("use_rslora")?.unwrap_or(false), strength })
    }

    fn to_value(self) -> Value {
        json!({ "alpha": self.alpha, "use_rslora": self.rslora, "strength": shortest(self.strength) })
    }
}

/// What we note beside an adapter of our own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AdapterRecord {
    /// The fingerprint of the model that it was trained on.
    pub base_fingerprint: Option<String>,
    /// Whether its samples began with the document-start token.
    pub document_start: bool,
    /// What its alpha carries beside the adapter's own.
    pub scaling: Option<Scaling>,
    /// What the training reported.
    pub report: Map<String, Value>,
}

impl AdapterRecord {
    fn read(path: &Path) -> Result<Option<Self>> {
        if path.exists() { Self::of(&JsonFields::read(path)?).map(Some) } else { Ok(None) }
    }

    fn of(fields: &JsonFields) -> Result<Self> {
        if fields.str("kind")? != Some("adapter") {
            return Err(fields.bad("kind", "not adapter"));
        }
        Ok(Self {
            base_fingerprint: fields.str("base_fingerprint")?.map(str::to_owned),
            document_start: fields.bool("document_start")?.unwrap_or(false),
            scaling: fields.fields("scaling")?.map(|scaling| Scaling::of(&scaling)).transpose()?,
            report: fields.fields("report")?.map(|report| report.object().clone()).unwrap_or_default(),
        })
    }

    fn to_json(&self) -> Vec<u8> {
        let values = json!({
            "kind": "adapter",
            "base_fingerprint": self.base_fingerprint,
            "document_start": self.document_start,
            "scaling": self.scaling.map(Scaling::to_value),
            "report": self.report,
        });
        format!("{values:#}\n").into_bytes()
    }
}

/// One factor of an adapter's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::format) enum Factor {
    A,
    B,
}

/// An adapter as it lies in its folder.
#[derive(Debug)]
pub struct AdapterFiles {
    path: PathBuf,
    config: LoraConfig,
    record: Option<AdapterRecord>,
    /// By the paths of modules.
    tensors: BTreeMap<String, BTreeMap<Factor, Tensor>>,
    /// Whether the factors are stored transposed, as MLX does.
    transposed: bool,
}

impl AdapterFiles {
    /// Opens a folder in PEFT's or MLX's layout. Its files are read whole: they may come from where others write.
    ///
    /// # Errors
    /// When a file is missing or broken, or the adapter is of a kind that is not supported.
    pub fn open(folder: &Path) -> Result<Self> {
        if !folder.exists() {
            finish_replacing(folder)?;
        }
        let mlx = folder.join(mlx_adapter::TENSORS);
        if !folder.join(TENSORS).exists() && mlx.exists() {
            let tensors = sorted(safetensors::read(&FileBytes::read(&mlx)?)?, mlx_adapter::place)?;
            let config = mlx_adapter::read_config(&folder.join(CONFIG), tensors.keys().cloned())?;
            return Ok(Self { path: folder.to_owned(), config, record: None, tensors, transposed: true });
        }
        let config = LoraConfig::read(&folder.join(CONFIG))?;
        let pickled = folder.join("adapter_model.bin");
        if !folder.join(TENSORS).exists() && pickled.exists() {
            let what = "tensors in PyTorch's pickle format are not read";
            return Err(Error::unsupported(&pickled, "file", what).with_hint("save the adapter as safetensors"));
        }
        let tensors = sorted(safetensors::read(&FileBytes::read(&folder.join(TENSORS))?)?, peft_place)?;
        let record = AdapterRecord::read(&folder.join(RECORD))?;
        Ok(Self { path: folder.to_owned(), config, record, tensors, transposed: false })
    }

    /// Opens an adapter in PEFT's layout whose files lie within `archive`, each in one piece: `file` says where. They are
    /// not unpacked.
    pub(crate) fn open_within(archive: &Arc<FileBytes>, file: impl Fn(&str) -> Option<Range<usize>>) -> Result<Self> {
        let path = archive.path();
        let bytes = |name: &str| file(name).and_then(|range| (**archive).as_ref().get(range));
        let missing = |name: &str| Error::bad_file(path, name, "missing");
        let config = bytes(CONFIG).ok_or_else(|| missing(CONFIG))?;
        let tensors = file(TENSORS).ok_or_else(|| missing(TENSORS))?;
        let record = path.join(RECORD);
        let record =
            bytes(RECORD).map(|bytes| AdapterRecord::of(&JsonFields::read_bytes(&record, bytes)?)).transpose()?;
        let tensors = safetensors::read_part(archive, tensors, &path.join(TENSORS))?;
        Ok(Self {
            path: path.to_owned(),
            config: LoraConfig::read_bytes(&path.join(CONFIG), config)?,
            record,
            tensors: sorted(tensors, peft_place)?,
            transposed: false,
        })
    }

    /// The settings.
    pub fn config(&self) -> &LoraConfig {
        &self.config
    }

    /// The settings at full strength, and the strength that the adapter was written at. Where no record of ours tells
    /// them apart, or the alpha is another one by now, the settings as they are, at full strength.
    pub fn unscaled(&self) -> (LoraConfig, f32) {
        let noted = self.record.as_ref().and_then(|record| record.scaling).map(|scaling| {
            let Scaling { alpha, rslora, strength } = scaling;
            (LoraConfig { alpha, rslora, ..self.config.clone() }, strength)
        });
        let agrees = |(config, strength): &(LoraConfig, f32)| config.carrying(*strength).scale() == self.config.scale();
        noted.filter(agrees).unwrap_or_else(|| (self.config.clone(), 1.0))
    }

    /// What was noted beside the adapter, if it is one of ours.
    pub fn record(&self) -> Option<&AdapterRecord> {
        self.record.as_ref()
    }

    /// The tensors in the folder.
    pub fn tensor_count(&self) -> usize {
        self.tensors.values().map(BTreeMap::len).sum()
    }

    /// The factors of every linear layer that the adapter has, in the model's order; at least one.
    ///
    /// # Errors
    /// When the adapter does not fit the model, lacks a tensor or has one that its settings do not mean, or holds NaN
    /// or infinite values.
    pub fn factors(&self, model: &ModelConfig) -> Result<Vec<Factors>> {
        if self.tensors.is_empty() {
            return Err(self.mismatch(TENSORS, "no tensor applies to the model"));
        }
        let place = |(path, tensors): (&String, &BTreeMap<Factor, Tensor>)| {
            let what = "no linear layer of the decoder layers";
            let unknown = || tensors.values().next().map_or_else(|| self.bad(path, what), |a| a.unsupported(what));
            model.family.module_at(path).ok_or_else(unknown)
        };
        let mut adapted = self.tensors.iter().map(place).collect::<Result<Vec<_>>>()?;
        adapted.sort();
        if let Some(module) = adapted.iter().find(|module| module.layer >= model.layers.len()) {
            let what = format!("the model has {} layers", model.layers.len());
            return Err(self.mismatch(&model.family.path(*module), what));
        }
        let targets = self
            .config
            .targets(model)
            .map_err(|error| Error::new(error.kind(), format!("{}: {error}", self.path.join(CONFIG).display())))?;
        if let Some(module) = adapted.iter().find(|module| !targets.contains(module)) {
            return Err(self.bad(&model.family.path(*module), "has tensors, but target_modules does not mean it"));
        }
        targets.into_iter().map(|module| self.factors_of(model, module)).collect()
    }

    fn factors_of(&self, model: &ModelConfig, module: ModuleId) -> Result<Factors> {
        let LinearSpec { inputs, outputs, .. } = model.linear(module);
        let (path, rank) = (model.family.path(module), self.config.rank);
        let read = |factor: Factor, [rows, cols]: [usize; 2]| {
            let tensor = self.tensors.get(&path).and_then(|factors| factors.get(&factor));
            let tensor = tensor.ok_or_else(|| self.bad(&format!("{path}: {factor:?}"), "missing"))?;
            let stored = if self.transposed { [cols, rows] } else { [rows, cols] };
            let rank_axis = usize::from((factor == Factor::B) != self.transposed);
            if tensor.shape.len() == 2 && tensor.shape[rank_axis] == rank && tensor.shape != stored {
                return Err(Error::new(
                    ErrorKind::AdapterMismatch,
                    tensor.bad(format!("shape {:?} where this model needs {stored:?}", tensor.shape)).message(),
                )
                .with_hint("the adapter was made for another model"));
            }
            let values = tensor.floats(&stored)?;
            Ok(if self.transposed { transpose(&values, cols) } else { values })
        };
        let a = read(Factor::A, [rank, inputs])?;
        let b = read(Factor::B, [outputs, rank])?;
        Ok(Factors { path, a, b })
    }

    /// Checks that [`AdapterFiles::write`] would not meet something other than an adapter, nor a place that cannot be
    /// written.
    ///
    /// # Errors
    /// When it would.
    pub fn check_destination(folder: &Path) -> Result<()> {
        check_folder(folder)?;
        finish_replacing(folder)?;
        if folder.join(CONFIG).is_file() { Ok(()) } else { refuse_occupied(folder) }
    }

    /// Writes a folder that PEFT loads: it appears whole or not at all, in place of an adapter that lies there.
    ///
    /// # Errors
    /// When the disk refuses, or something other than an adapter lies at `folder`.
    pub fn write(folder: &Path, config: &LoraConfig, factors: &[Factors], record: &AdapterRecord) -> Result<()> {
        config.validate()?;
        let staged = StagedFolder::begin(folder)?;
        staged.write(CONFIG, &config.to_json())?;
        write_factors(&staged.file(TENSORS), config.rank, factors)?;
        staged.write(RECORD, &record.to_json())?;
        staged.publish(Some(CONFIG))
    }

    fn bad(&self, field: &str, what: impl std::fmt::Display) -> Error {
        Error::bad_file(&self.path, field, what)
    }

    fn mismatch(&self, field: &str, what: impl std::fmt::Display) -> Error {
        Error::new(ErrorKind::AdapterMismatch, self.bad(field, what).message())
    }
}

/// Writes factors, or their gradients, as a safetensors file under PEFT's names. It appears whole or not at all.
///
/// # Errors
/// When the disk refuses, or a factor is not of `rank`.
pub fn write_factors(path: &Path, rank: usize, factors: &[Factors]) -> Result<()> {
    let mut tensors = Vec::new();
    for Factors { path: module, a, b } in factors {
        if rank == 0 || !a.len().is_multiple_of(rank) || !b.len().is_multiple_of(rank) {
            let message = format!("{module}: factors of another rank than {rank}");
            return Err(Error::new(ErrorKind::BadOption, message));
        }
        let name = |factor: &str| format!("{ROOT}{module}.{factor}.weight");
        tensors.push((name("lora_A"), vec![rank, a.len() / rank], a));
        tensors.push((name("lora_B"), vec![b.len() / rank, rank], b));
    }
    let spec = |(name, shape, _): &(String, Vec<usize>, _)| TensorSpec {
        name: name.clone(),
        storage: Storage::Float(FloatType::F32),
        shape: shape.clone(),
    };
    whole_file(path, |path| {
        let mut writer = SafetensorsWriter::create(path, "pt", tensors.iter().map(spec).collect())?;
        for (name, _, values) in &tensors {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            writer.append(name, &bytes)?;
        }
        writer.finish()
    })
}

/// The tensors by their places; one without a place is refused.
fn sorted(
    tensors: Tensors,
    place: impl Fn(&str) -> Option<(&str, Factor)>,
) -> Result<BTreeMap<String, BTreeMap<Factor, Tensor>>> {
    let mut sorted: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for (name, tensor) in tensors {
        let (path, factor) = place(&name).ok_or_else(|| tensor.unsupported("no LoRA factor of a linear layer"))?;
        sorted.entry(path.to_owned()).or_default().insert(factor, tensor);
    }
    Ok(sorted)
}

/// `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`
fn peft_place(name: &str) -> Option<(&str, Factor)> {
    let name = name.strip_prefix(ROOT)?;
    match name.strip_suffix(".lora_A.weight") {
        Some(path) => Some((path, Factor::A)),
        None => Some((name.strip_suffix(".lora_B.weight")?, Factor::B)),
    }
}

/// `[rows, width]` to `[width, rows]`.
fn transpose(values: &[f32], rows: usize) -> Vec<f32> {
    let width = values.len() / rows.max(1);
    (0..values.len()).map(|i| values[i % rows * width + i / rows]).collect()
}

#[cfg(test)]
mod tests;
