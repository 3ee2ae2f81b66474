//! An adapter's folder: its tensors by place, checked, and the record of how it was made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use idiolect_kernels::matrix::FloatType;
use serde_json::{Map, Value, json};

use super::config::LoraConfig;
use super::{CONFIG, RECORD, TENSORS};
use crate::error::{Error, ErrorKind, Result};
use crate::format::json::JsonFields;
use crate::format::mlx_adapter;
use crate::format::safetensors::{self, Tensors};
use crate::format::safetensors_writer::{SafetensorsWriter, TensorSpec};
use crate::format::staged::{StagedFolder, refuse_occupied, whole_file};
use crate::format::tensor::{Storage, Tensor};
use crate::model::config::{Linear, ModelConfig};

/// How PEFT calls the root of the adapted model.
const ROOT: &str = "base_model.model.";

/// The two factors of one adapted linear layer: `y += scale·B·(A·x)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors {
    /// The block.
    pub layer: usize,
    /// The linear layer in it.
    pub linear: Linear,
    /// A `[rank, inputs]`, row-major.
    pub a: Vec<f32>,
    /// B `[outputs, rank]`, row-major.
    pub b: Vec<f32>,
}

/// What we note beside an adapter of our own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AdapterRecord {
    /// The fingerprint of the model that it was trained on.
    pub base_fingerprint: Option<String>,
    /// Whether its samples began with the document-start token.
    pub document_start: bool,
    /// What the training reported.
    pub report: Map<String, Value>,
}

impl AdapterRecord {
    fn read(path: &Path) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let fields = JsonFields::read(path)?;
        if fields.str("kind")? != Some("adapter") {
            return Err(fields.bad("kind", "not adapter"));
        }
        Ok(Some(Self {
            base_fingerprint: fields.str("base_fingerprint")?.map(str::to_owned),
            document_start: fields.bool("document_start")?.unwrap_or(false),
            report: fields.fields("report")?.map(|report| report.object().clone()).unwrap_or_default(),
        }))
    }

    fn to_json(&self) -> Vec<u8> {
        let values = json!({
            "kind": "adapter",
            "base_fingerprint": self.base_fingerprint,
            "document_start": self.document_start,
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
    tensors: BTreeMap<(usize, Linear), BTreeMap<Factor, Tensor>>,
    /// Whether the factors are stored transposed, as MLX does.
    transposed: bool,
}

impl AdapterFiles {
    /// Opens a folder in PEFT's or MLX's layout.
    ///
    /// # Errors
    /// When a file is missing or broken, or the adapter is of a kind that is not supported.
    pub fn open(folder: &Path) -> Result<Self> {
        let mlx = folder.join(mlx_adapter::TENSORS);
        if !folder.join(TENSORS).exists() && mlx.exists() {
            let tensors = sorted(safetensors::read(&mlx)?, mlx_adapter::place)?;
            let config = mlx_adapter::read_config(&folder.join(CONFIG), tensors.keys().copied())?;
            return Ok(Self { path: folder.to_owned(), config, record: None, tensors, transposed: true });
        }
        let config = LoraConfig::read(&folder.join(CONFIG))?;
        let pickled = folder.join("adapter_model.bin");
        if !folder.join(TENSORS).exists() && pickled.exists() {
            let what = "tensors in PyTorch's pickle format are not read";
            return Err(Error::unsupported(&pickled, "file", what).with_hint("save the adapter as safetensors"));
        }
        let tensors = sorted(safetensors::read(&folder.join(TENSORS))?, peft_place)?;
        let record = AdapterRecord::read(&folder.join(RECORD))?;
        Ok(Self { path: folder.to_owned(), config, record, tensors, transposed: false })
    }

    /// The settings.
    pub fn config(&self) -> &LoraConfig {
        &self.config
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
        if let Some((layer, linear)) = self.tensors.keys().find(|(layer, _)| *layer >= model.layers) {
            return Err(self.mismatch(&linear.path(*layer), format!("the model has {} layers", model.layers)));
        }
        let targets = self
            .config
            .targets(model)
            .map_err(|error| Error::new(error.kind(), format!("{}: {error}", self.path.join(CONFIG).display())))?;
        if let Some((layer, linear)) = self.tensors.keys().find(|place| !targets.contains(place)) {
            return Err(self.bad(&linear.path(*layer), "has tensors, but target_modules does not mean it"));
        }
        targets.into_iter().map(|(layer, linear)| self.factors_of(model, layer, linear)).collect()
    }

    fn factors_of(&self, model: &ModelConfig, layer: usize, linear: Linear) -> Result<Factors> {
        let (inputs, outputs) = model.widths(linear);
        let rank = self.config.rank;
        let read = |factor: Factor, [rows, cols]: [usize; 2]| {
            let tensor = self.tensors.get(&(layer, linear)).and_then(|factors| factors.get(&factor));
            let tensor = tensor.ok_or_else(|| self.bad(&format!("{}: {factor:?}", linear.path(layer)), "missing"))?;
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
        Ok(Factors { layer, linear, a, b })
    }

    /// Checks that [`AdapterFiles::write`] would not meet something other than an adapter.
    ///
    /// # Errors
    /// When it would.
    pub fn check_destination(folder: &Path) -> Result<()> {
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
    for Factors { layer, linear, a, b } in factors {
        if rank == 0 || !a.len().is_multiple_of(rank) || !b.len().is_multiple_of(rank) {
            let message = format!("{}: factors of another rank than {rank}", linear.path(*layer));
            return Err(Error::new(ErrorKind::BadOption, message));
        }
        let name = |factor: &str| format!("{ROOT}{}.{factor}.weight", linear.path(*layer));
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
    place: impl Fn(&str) -> Option<(usize, Linear, Factor)>,
) -> Result<BTreeMap<(usize, Linear), BTreeMap<Factor, Tensor>>> {
    let mut sorted: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for (name, tensor) in tensors {
        let (layer, linear, factor) =
            place(&name).ok_or_else(|| tensor.unsupported("no LoRA factor of a linear layer of the decoder blocks"))?;
        sorted.entry((layer, linear)).or_default().insert(factor, tensor);
    }
    Ok(sorted)
}

/// `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`
fn peft_place(name: &str) -> Option<(usize, Linear, Factor)> {
    let name = name.strip_prefix(ROOT)?;
    let (path, factor) = match name.strip_suffix(".lora_A.weight") {
        Some(path) => (path, Factor::A),
        None => (name.strip_suffix(".lora_B.weight")?, Factor::B),
    };
    let (layer, linear) = Linear::from_path(path)?;
    Some((layer, linear, factor))
}

/// `[rows, width]` to `[width, rows]`.
fn transpose(values: &[f32], rows: usize) -> Vec<f32> {
    let width = values.len() / rows.max(1);
    (0..values.len()).map(|i| values[i % rows * width + i / rows]).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::format::peft::Modules;

    const RANK: usize = 2;

    fn config() -> LoraConfig {
        LoraConfig { rank: RANK, target_modules: names(&["q_proj", "down_proj"]), ..LoraConfig::default() }
    }

    fn names(names: &[&str]) -> Modules {
        Modules::Names(names.iter().map(|&name| name.to_owned()).collect())
    }

    /// Factors of `config()` for a model, numbered so that a transposed or shifted one shows.
    fn factors(model: &ModelConfig) -> Vec<Factors> {
        let numbered = |len: usize, start: f32| (0..len).map(|i| start + i as f32 / 64.0).collect();
        let place = |(layer, linear): (usize, Linear)| {
            let (inputs, outputs) = model.widths(linear);
            let start = layer as f32 * 10.0 + linear as usize as f32;
            Factors { layer, linear, a: numbered(RANK * inputs, start), b: numbered(RANK * outputs, -start) }
        };
        config().targets(model).unwrap().into_iter().map(place).collect()
    }

    fn written(home: &Path) -> PathBuf {
        let folder = home.join("adapter");
        let model = ModelConfig::tiny();
        AdapterFiles::write(&folder, &config(), &factors(&model), &AdapterRecord::default()).unwrap();
        folder
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("adapter");
        let model = ModelConfig::tiny();
        let report = json!({ "loss": 0.1 }).as_object().unwrap().clone();
        let record = AdapterRecord { base_fingerprint: Some("ab".into()), document_start: true, report };
        let config = LoraConfig {
            alpha: 3.5,
            dropout: 0.05,
            rslora: true,
            layers_to_transform: Some(vec![1]),
            exclude_modules: Some(Modules::from_text(r".*\.v_proj")),
            base_model_name_or_path: Some("x".into()),
            ..config()
        };
        let factors: Vec<_> = factors(&model).into_iter().filter(|factors| factors.layer == 1).collect();
        AdapterFiles::write(&folder, &config, &factors, &record).unwrap();
        // A second adapter takes its place.
        AdapterFiles::write(&folder, &config, &factors, &record).unwrap();
        let files = AdapterFiles::open(&folder).unwrap();
        assert_eq!((files.config(), files.record()), (&config, Some(&record)));
        assert_eq!(files.tensor_count(), 4);
        assert_eq!(files.factors(&model).unwrap(), factors);
        let written: Map<String, Value> = serde_json::from_slice(&fs::read(folder.join(CONFIG)).unwrap()).unwrap();
        assert!(written.keys().is_sorted(), "PEFT sorts its keys");
    }

    #[test]
    fn settings_are_honoured_or_refused_by_name() {
        let home = tempfile::tempdir().unwrap();
        let folder = written(home.path());
        let original: Value = serde_json::from_slice(&fs::read(folder.join(CONFIG)).unwrap()).unwrap();
        let refused = |field: &str| Err((ErrorKind::Unsupported, field.to_owned()));
        let broken = |field: &str| Err((ErrorKind::BadFile, field.to_owned()));
        for (field, value, expected) in [
            ("peft_type", json!("PROMPT_TUNING"), refused("peft_type")),
            ("peft_type", json!(null), broken("peft_type")),
            ("task_type", json!("SEQ_CLS"), refused("task_type")),
            ("task_type", json!(null), Ok(())),
            ("bias", json!("all"), refused("bias")),
            ("use_dora", json!(true), refused("use_dora")),
            ("lora_bias", json!(true), refused("lora_bias")),
            ("fan_in_fan_out", json!(true), refused("fan_in_fan_out")),
            ("modules_to_save", json!(["lm_head"]), refused("modules_to_save")),
            ("rank_pattern", json!({ "q_proj": 4 }), refused("rank_pattern")),
            ("alpha_pattern", json!({ "q_proj": 4 }), refused("alpha_pattern")),
            ("layer_replication", json!([[0, 1]]), refused("layer_replication")),
            ("target_parameters", json!(["x"]), refused("target_parameters")),
            ("trainable_token_indices", json!([1]), refused("trainable_token_indices")),
            ("init_lora_weights", json!("pissa_niter_4"), refused("init_lora_weights")),
            ("init_lora_weights", json!("gaussian"), Ok(())),
            ("layers_pattern", json!("h"), Ok(())),
            ("target_modules", json!(null), broken("target_modules")),
            ("target_modules", json!([1]), broken("target_modules")),
            ("r", json!("8"), broken("r")),
            ("r", json!(0), broken("r, lora_alpha, lora_dropout")),
            ("lora_dropout", json!(1.5), broken("r, lora_alpha, lora_dropout")),
            ("something_of_tomorrow", json!(true), Ok(())),
            ("revision", json!("main"), Ok(())),
            ("inference_mode", json!(false), Ok(())),
        ] {
            let mut changed = original.clone();
            changed[field] = value.clone();
            fs::write(folder.join(CONFIG), changed.to_string()).unwrap();
            let opened = AdapterFiles::open(&folder).map(|_| ()).map_err(|error| (error.kind(), error.to_string()));
            match (&opened, &expected) {
                (Ok(()), Ok(())) => {}
                (Err((kind, message)), Err((expected, field))) => {
                    assert_eq!(kind, expected, "{message}");
                    assert!(message.contains(&format!("{CONFIG}: {field}: ")), "{message}");
                }
                _ => panic!("{field} = {value}: {opened:?}"),
            }
        }
    }

    #[test]
    fn an_adapter_that_does_not_fit_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let folder = written(home.path());
        let files = AdapterFiles::open(&folder).unwrap();
        let tiny = ModelConfig::tiny();
        for (model, expected) in [
            (ModelConfig { layers: 1, ..tiny.clone() }, "model.layers.1.self_attn.q_proj: the model has 1 layers"),
            (ModelConfig { heads: 4, ..tiny.clone() }, "shape [16, 2] where this model needs [32, 2]"),
            (ModelConfig { hidden_size: 8, ..tiny.clone() }, "shape [2, 12] where this model needs [2, 8]"),
        ] {
            let error = files.factors(&model).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AdapterMismatch, "{error}");
            assert!(error.message().contains(expected), "{error}");
        }
        // A deeper model has layers that the adapter lacks.
        let error = files.factors(&ModelConfig { layers: 3, ..tiny }).unwrap_err();
        assert!(error.message().contains("model.layers.2.self_attn.q_proj: A: missing"), "{error}");
    }

    #[test]
    fn tensors_and_settings_have_to_agree() {
        let model = ModelConfig::tiny();
        let q0 = factors(&model).remove(0);
        let with = |values: &dyn Fn(&mut Factors)| {
            let mut changed = q0.clone();
            values(&mut changed);
            vec![changed]
        };
        let nan = |factors: &mut Factors| factors.b[3] = f32::NAN;
        let infinite = |factors: &mut Factors| factors.a[0] = f32::INFINITY;
        for (targets, factors, kind, expected) in [
            (names(&["q_proj"]), vec![], ErrorKind::AdapterMismatch, "no tensor applies"),
            (names(&["v_proj"]), vec![q0.clone()], ErrorKind::BadFile, "target_modules does not mean it"),
            (names(&["norm"]), vec![q0.clone()], ErrorKind::AdapterMismatch, "no linear layer of the model is meant"),
            (names(&["lm_head"]), vec![q0.clone()], ErrorKind::Unsupported, "lm_head cannot be adapted"),
            (names(&[&Linear::Q.path(0)]), with(&nan), ErrorKind::BadFile, "lora_B.weight: holds NaN"),
            (names(&[&Linear::Q.path(0)]), with(&infinite), ErrorKind::BadFile, "lora_A.weight: holds NaN"),
        ] {
            let home = tempfile::tempdir().unwrap();
            let folder = home.path().join("adapter");
            let config = LoraConfig { target_modules: targets, ..config() };
            AdapterFiles::write(&folder, &config, &factors, &AdapterRecord::default()).unwrap();
            let error = AdapterFiles::open(&folder).unwrap().factors(&model).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.message().contains(expected), "{error}");
        }
    }

    #[test]
    fn unknown_tensors_are_refused_by_name() {
        let path = Linear::Q.path(0);
        for (name, known) in [
            (format!("{ROOT}{path}.lora_A.weight"), true),
            (format!("{ROOT}{path}.lora_magnitude_vector"), false),
            (format!("{ROOT}{path}.lora_A.default.weight"), false),
            (format!("{path}.lora_A.weight"), false),
            (format!("{ROOT}model.layers.00.self_attn.q_proj.lora_A.weight"), false),
            (format!("{ROOT}model.layers.0.mlp.q_proj.lora_A.weight"), false),
            (format!("{ROOT}model.embed_tokens.lora_embedding_A"), false),
            (format!("{ROOT}lm_head.lora_A.weight"), false),
        ] {
            assert_eq!(peft_place(&name).is_some(), known, "{name}");
        }
    }

    #[test]
    fn reads_the_adapters_of_mlx() {
        let home = tempfile::tempdir().unwrap();
        let model = ModelConfig::tiny();
        let expected = factors(&model);
        let tensors = expected.iter().flat_map(|Factors { layer, linear, a, b }| {
            let (inputs, outputs) = model.widths(*linear);
            let spec = |suffix: &str, shape: [usize; 2]| TensorSpec {
                name: format!("{}.{suffix}", linear.path(*layer)),
                storage: Storage::Float(FloatType::F32),
                shape: shape.to_vec(),
            };
            let (a, b) = (transpose(a, RANK), transpose(b, outputs));
            [(spec("lora_a", [inputs, RANK]), a), (spec("lora_b", [RANK, outputs]), b)]
        });
        let path = home.path().join(mlx_adapter::TENSORS);
        let tensors: Vec<(TensorSpec, Vec<f32>)> = tensors.collect();
        let specs = tensors.iter().map(|(spec, _)| spec.clone()).collect();
        let mut writer = SafetensorsWriter::create(&path, "mlx", specs).unwrap();
        for (spec, values) in &tensors {
            writer.append(&spec.name, bytemuck::cast_slice(values)).unwrap();
        }
        writer.finish().unwrap();
        let settings = json!({
            "fine_tune_type": "lora",
            "num_layers": 2,
            "lora_parameters": { "rank": RANK, "scale": 20.0, "dropout": 0.0 },
        });
        fs::write(home.path().join(CONFIG), settings.to_string()).unwrap();
        let files = AdapterFiles::open(home.path()).unwrap();
        assert_eq!(files.config().scale(), 20.0);
        assert_eq!(files.factors(&model).unwrap(), expected);
        fs::write(home.path().join(CONFIG), settings.to_string().replace("lora\"", "dora\"")).unwrap();
        assert_eq!(AdapterFiles::open(home.path()).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
