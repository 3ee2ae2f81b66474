//! The parity goldens (`tests/goldens/README.md`): what transformers and PEFT computed, and how far a result is off.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Deserialize;

use crate::portable;

/// Whatever a test's set-up can fail with.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Logits: the largest difference, as a share of the row's largest logit.
pub const LOGITS_BOUND: f64 = 2e-4;
/// A gradient tensor: the Frobenius norm of the difference, as a share of the reference's.
pub const GRADIENT_BOUND: f64 = 1e-3;
/// A loss: the relative difference.
pub const LOSS_BOUND: f64 = 1e-4;

/// One case: model, adapter, rows of token ids, and what the reference made of them.
#[derive(Deserialize)]
pub struct Golden {
    /// The case's name, and its files'.
    pub case: String,
    /// Where the model comes from.
    pub model: Model,
    /// The adapter that the case starts from.
    pub adapter: Adapter,
    /// As PEFT reports it.
    pub trainable_parameters: u64,
    /// As PEFT reports it.
    pub all_parameters: u64,
    /// Token ids; a row of n gives n − 1 predictions.
    pub rows: Vec<Vec<u32>>,
    /// The losses over all rows.
    pub eval: Eval,
    /// Which logits are kept: entry i describes the tensors `logits.i` and `log_sum_exp.i`.
    pub logits: Vec<Logits>,
    /// How the case is trained.
    pub train: Train,
    /// Each step's loss before its update, mean nats a prediction.
    pub losses: Vec<f64>,
    /// Each step's gradient norm over all adapter tensors.
    pub grad_norms: Vec<f64>,
    #[serde(skip)]
    tensors: HashMap<String, Vec<f32>>,
}

/// Where a case's model comes from.
#[derive(Deserialize)]
#[serde(tag = "source", rename_all = "lowercase")]
pub enum Model {
    /// A Hugging Face folder that [`Golden::model_path`] writes.
    Generated {
        /// `config.json`.
        config: serde_json::Value,
        /// The stored type: `float32`, `float16` or `bfloat16`.
        dtype: String,
        /// The prefix of every tensor's stream.
        seed: String,
        /// Of all tensors' f32 values.
        sha256: String,
        /// Every tensor.
        tensors: Vec<Generated>,
    },
    /// A folder of this repository.
    Repository {
        /// From the repository's root.
        path: PathBuf,
    },
    /// A folder of the data that lies beside the repository.
    Shared {
        /// From the data's root.
        path: PathBuf,
        /// Quantize it first, as `idiolect import` does.
        import: Option<Quantization>,
    },
    /// The GGUF file that `tests/get-model` fetches.
    Published,
}

/// Arguments of `idiolect import`.
#[derive(Deserialize, Clone, Copy)]
pub struct Quantization {
    /// `--bits`
    pub bits: u32,
    /// `--group-size`
    pub group_size: u32,
}

/// A generated tensor: name, shape, centre and amplitude of its uniform values.
#[derive(Deserialize)]
pub struct Generated(pub String, pub Vec<usize>, pub f32, pub f32);

impl Generated {
    /// Its f32 values, row-major.
    pub fn values(&self, seed: &str) -> Vec<f32> {
        let Self(name, shape, centre, amplitude) = self;
        portable::uniform(&format!("{seed}/{name}"), shape.iter().product(), *centre, *amplitude)
    }
}

/// A PEFT adapter with generated tensors.
#[derive(Deserialize)]
pub struct Adapter {
    /// The prefix of every tensor's stream.
    pub seed: String,
    /// `adapter_config.json`.
    pub config: serde_json::Value,
    /// Of all tensors' f32 values.
    pub sha256: String,
    /// Every tensor, in the order of the projections.
    pub tensors: Vec<Generated>,
}

/// Mean losses over all rows, nats a prediction.
#[derive(Deserialize)]
pub struct Eval {
    /// How many predictions.
    pub tokens: usize,
    /// Without the adapter.
    pub base_nll: f64,
    /// With it.
    pub nll: f64,
}

/// Which of a row's logits are kept.
#[derive(Deserialize)]
pub struct Logits {
    /// Index of the row.
    pub row: usize,
    /// With the adapter, or the bare model.
    pub adapter: bool,
    /// The largest magnitude among all of the row's logits.
    pub max_abs: f64,
    /// The token positions kept.
    pub positions: Vec<usize>,
    /// The vocabulary columns kept; all where absent.
    pub columns: Option<Vec<usize>>,
}

/// `idiolect train`'s settings (constant rate, no warm-up, no clipping).
#[derive(Deserialize)]
pub struct Train {
    /// `--steps`
    pub steps: usize,
    /// `--accumulate`: rows a step.
    pub accumulate: usize,
    /// `--lr`
    pub lr: f64,
    /// `--weight-decay`
    pub weight_decay: f64,
}

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The data beside the repository, where it is there.
pub fn shared() -> Option<PathBuf> {
    let data = repository().parent()?.join("shared/data");
    data.is_dir().then_some(data)
}

/// The published model's file, where `tests/get-model` has fetched it.
pub fn published() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from);
    let file = target.join("models/SmolLM2-135M-Instruct.Q4_1.gguf");
    file.is_file().then_some(file)
}

impl Golden {
    /// The names of all cases, sorted.
    pub fn names() -> Result<Vec<String>> {
        let mut names: Vec<String> = fs::read_dir(Self::folder())?
            .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".json")?.to_string()))
            .collect();
        names.sort();
        Ok(names)
    }

    /// Read the case `name`.
    pub fn read(name: &str) -> Result<Self> {
        let mut golden: Self = serde_json::from_slice(&fs::read(Self::folder().join(format!("{name}.json")))?)?;
        golden.tensors = read_f32(&Self::folder().join(format!("{name}.safetensors")))?;
        Ok(golden)
    }

    fn folder() -> PathBuf {
        repository().join("tests/goldens/parity")
    }

    /// The model's folder or file, with a generated one written into `scratch`; the quantization it still needs; or none
    /// where this machine lacks the model.
    pub fn model_path(&self, scratch: &Path) -> Result<Option<(PathBuf, Option<Quantization>)>> {
        Ok(match &self.model {
            Model::Generated { config, dtype, seed, tensors, .. } => {
                let folder = scratch.join("model");
                fs::create_dir_all(&folder)?;
                fs::write(folder.join("config.json"), serde_json::to_vec_pretty(config)?)?;
                for file in ["tokenizer.json", "tokenizer_config.json"] {
                    fs::copy(repository().join("tests/goldens/tokenizer").join(file), folder.join(file))?;
                }
                write_safetensors(&folder.join("model.safetensors"), dtype, seed, tensors)?;
                Some((folder, None))
            }
            Model::Repository { path } => {
                let folder = repository().join(path);
                folder.is_dir().then_some((folder, None))
            }
            Model::Shared { path, import } => shared().map(|data| (data.join(path), *import)),
            Model::Published => published().map(|file| (file, None)),
        })
    }

    /// Write the adapter that the case starts from as a PEFT folder.
    pub fn write_adapter(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("adapter_config.json"), serde_json::to_vec_pretty(&self.adapter.config)?)?;
        let Adapter { seed, tensors, .. } = &self.adapter;
        write_safetensors(&folder.join("adapter_model.safetensors"), "float32", seed, tensors)
    }

    /// The rows of a step, cycling through the case's.
    pub fn batch(&self, step: usize) -> Vec<&[u32]> {
        let first = step * self.train.accumulate;
        (first..first + self.train.accumulate).map(|i| self.rows[i % self.rows.len()].as_slice()).collect()
    }

    /// How far `logits`, `[tokens, vocabulary]` of the row of entry `index`, are off, as a share of its largest logit:
    /// the kept ones one by one, all the others through their log-sum-exp.
    pub fn logits_error(&self, index: usize, logits: &[f32]) -> f64 {
        let entry = &self.logits[index];
        let vocabulary = logits.len() / self.rows[entry.row].len();
        let all: Vec<usize>;
        let columns = match &entry.columns {
            Some(columns) => columns,
            None => {
                all = (0..vocabulary).collect();
                &all
            }
        };
        let cells = entry.positions.iter().flat_map(|p| columns.iter().map(move |c| p * vocabulary + c));
        let kept = &self.tensors[&format!("logits.{index}")];
        assert_eq!(kept.len(), entry.positions.len() * columns.len());
        let cells = cells.zip(kept).map(|(cell, &reference)| difference(logits[cell], reference));
        let sums = &self.tensors[&format!("log_sum_exp.{index}")];
        let sums = logits
            .chunks(vocabulary)
            .zip(sums)
            .map(|(row, &reference)| (log_sum_exp(row) - f64::from(reference)).abs());
        largest(cells.chain(sums)) / entry.max_abs
    }

    /// How far the first step's gradient of one adapter tensor is off, as a share of the reference's norm (estimated
    /// from projections where the golden holds no more).
    pub fn gradient_error(&self, name: &str, gradient: &[f32]) -> f64 {
        if let Some(reference) = self.tensors.get(&format!("gradient.{name}")) {
            assert_eq!(gradient.len(), reference.len(), "{name}");
            let norm = norm(reference.iter().map(|&x| f64::from(x)));
            return norm_of_differences(gradient, reference) / norm;
        }
        let index = self.adapter.tensors.iter().position(|tensor| tensor.0 == name);
        let index = index.unwrap_or_else(|| panic!("{}: no adapter tensor {name}", self.case));
        let projections = portable::project(&format!("projection/{name}"), gradient);
        let reference = &self.tensors["gradient_projections"][index * portable::PROJECTIONS..];
        let differences = projections.iter().zip(reference).map(|(a, &b)| a - f64::from(b));
        norm(differences) / (portable::PROJECTIONS as f64).sqrt() / f64::from(self.tensors["gradient_norms"][index])
    }
}

/// The difference of two values; not a number counts as infinitely far.
fn difference(a: f32, b: f32) -> f64 {
    (f64::from(a) - f64::from(b)).abs()
}

/// The largest of `values`, infinite where one is not a number.
fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |most, x| if x.is_nan() { f64::INFINITY } else { most.max(x) })
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}

fn norm_of_differences(a: &[f32], b: &[f32]) -> f64 {
    norm(a.iter().zip(b).map(|(&a, &b)| difference(a, b)))
}

fn log_sum_exp(row: &[f32]) -> f64 {
    let top = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    top + row.iter().map(|&x| (f64::from(x) - top).exp()).sum::<f64>().ln()
}

/// Every f32 tensor of a safetensors file.
pub fn read_f32(path: &Path) -> Result<HashMap<String, Vec<f32>>> {
    let bytes = fs::read(path)?;
    let file = SafeTensors::deserialize(&bytes)?;
    let tensors = file.iter().map(|(name, tensor)| {
        assert_eq!(tensor.dtype(), Dtype::F32, "{}: {name}", path.display());
        let values = tensor.data().as_chunks::<4>().0.iter().map(|&x| f32::from_le_bytes(x)).collect();
        (name.to_string(), values)
    });
    Ok(tensors.collect())
}

/// Write generated tensors as `dtype`, each value rounded to the nearest.
fn write_safetensors(path: &Path, dtype: &str, seed: &str, tensors: &[Generated]) -> Result<()> {
    let mut stored = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let values = tensor.values(seed);
        stored.push(match dtype {
            "float32" => (Dtype::F32, values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()),
            "float16" => (Dtype::F16, values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect()),
            "bfloat16" => (Dtype::BF16, values.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect()),
            _ => return Err(format!("{}: no such dtype: {dtype}", path.display()).into()),
        });
    }
    let views = tensors
        .iter()
        .zip(&stored)
        .map(|(Generated(name, shape, ..), (dtype, bytes))| Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>>>()?;
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    Ok(safetensors::serialize_to_file(views, Some(metadata), path)?)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn digest(seed: &str, tensors: &[Generated]) -> String {
        let mut sha256 = Sha256::new();
        for tensor in tensors {
            tensor.values(seed).iter().for_each(|x| sha256.update(x.to_le_bytes()));
        }
        sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn generated_tensors_equal_pythons() -> Result<()> {
        for name in Golden::names()? {
            let golden = Golden::read(&name)?;
            assert_eq!(digest(&golden.adapter.seed, &golden.adapter.tensors), golden.adapter.sha256, "{name}: adapter");
            if let Model::Generated { seed, tensors, sha256, .. } = &golden.model {
                assert_eq!(&digest(seed, tensors), sha256, "{name}: model");
            }
        }
        Ok(())
    }

    #[test]
    fn a_changed_gradient_is_told_by_its_projections() -> Result<()> {
        let mut golden = Golden::read("gqa")?;
        let name = golden.adapter.tensors[0].0.clone();
        let gradient = golden.tensors[&format!("gradient.{name}")].clone();
        let norm = norm(gradient.iter().map(|&x| f64::from(x)));
        let changed: Vec<f32> = gradient
            .iter()
            .zip(portable::uniform("change", gradient.len(), 0.0, 1.0))
            .map(|(g, u)| g + 1e-3 * u)
            .collect();
        let whole = golden.gradient_error(&name, &changed);

        // The same golden as if it were of a large model.
        golden.tensors.remove(&format!("gradient.{name}"));
        let projections = portable::project(&format!("projection/{name}"), &gradient);
        golden.tensors.insert("gradient_projections".into(), projections.iter().map(|&x| x as f32).collect());
        golden.tensors.insert("gradient_norms".into(), vec![norm as f32]);
        let estimated = golden.gradient_error(&name, &changed);
        assert!((estimated / whole - 1.0).abs() < 0.4, "{estimated} for {whole}");
        assert!(golden.gradient_error(&name, &gradient) < 1e-6);
        Ok(())
    }
}
