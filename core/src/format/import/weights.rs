//! The weights of the new folder, written panel by panel: neither the model nor a matrix is ever held whole.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use idiolect_kernels::matrix::{AffineRows, FloatType, Matrix, quantize_affine};
use rayon::prelude::*;
use serde_json::json;

use super::dither::{Grid, dithered};
use super::forms::{Form, Forms};
use super::low_rank::{Added, LowRank};
use crate::disk::staged::StagedFolder;
use crate::error::{Error, Result};
use crate::format::model_files::ModelFiles;
use crate::format::safetensors::{INDEX, SINGLE};
use crate::format::safetensors_writer::{SafetensorsWriter, TensorSpec};
use crate::format::tensor::Storage;
use crate::shape::{ModelConfig, NormKind};

/// A file of weights is no larger, as in mlx-lm.
pub(super) const SHARD_BYTES: usize = 5 << 30;

/// Values that one thread converts at a time.
pub(crate) const PANEL: usize = 1 << 18;

/// Parameters of a model: matrices, norms and biases, a tied head counted once.
pub(super) fn parameters(config: &ModelConfig) -> u64 {
    let matrix = |name| {
        let (rows, columns) = config.matrix_shape(name);
        (rows * columns) as u64
    };
    let matrices: u64 = config.matrices().map(matrix).sum();
    let linears = config.layers.iter().flat_map(|layer| &layer.linears);
    let biases: u64 = linears.filter(|linear| linear.bias).map(|linear| linear.outputs as u64).sum();
    let of_a_norm = if config.family.norm == NormKind::Layer { 2 } else { 1 };
    matrices + biases + config.norms().map(|name| of_a_norm * config.norm_width(name) as u64).sum::<u64>()
}

/// A norm or a bias.
struct Vector {
    name: String,
    float: FloatType,
    values: Vec<f32>,
}

/// Writes `model.safetensors`, or shards of at most `shard_bytes` and their index. To the matrices that `added` names
/// its product is added. An error of `progress` ends it.
pub(super) fn write(
    files: &ModelFiles,
    forms: &Forms,
    added: &Added<'_>,
    staged: &StagedFolder,
    shard_bytes: usize,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<()> {
    let vectors = vectors(files, forms)?;
    let mut modules: Vec<Vec<TensorSpec>> = Vec::new();
    for (name, form) in &forms.matrices {
        let matrix = files.matrix(*name)?;
        modules.push(specs(&files.path_of(*name), *form, &matrix, files.is_transposed(*name)));
    }
    modules.extend(vectors.iter().map(|vector| {
        let storage = Storage::Float(vector.float);
        vec![TensorSpec { name: vector.name.clone(), storage, shape: vec![vector.values.len()] }]
    }));
    let mut shards = Shards::create(staged, modules, shard_bytes)?;

    let bad = |name: &str, what: &str| Error::bad_file(files.path(), name, what);
    let total = parameters(files.config());
    let mut done = 0;
    for vector in &vectors {
        shards.append(&vector.name, &floats(&vector.values, vector.float).map_err(|what| bad(&vector.name, what))?)?;
        done += vector.values.len() as u64;
    }
    for (name, form) in &forms.matrices {
        let matrix = files.matrix(*name)?;
        let path = files.path_of(*name);
        // What is written by columns is held whole: nothing large is.
        let by_columns = files.is_transposed(*name) && matches!(form, Form::Float(_));
        let panel_rows = if by_columns { matrix.rows() } else { (PANEL / matrix.cols()).max(1) };
        let batch = panel_rows * rayon::current_num_threads();
        for start in (0..matrix.rows()).step_by(batch) {
            let rows = start..matrix.rows().min(start + batch);
            let panels: Vec<_> = rows.clone().step_by(panel_rows).collect();
            let converted: Vec<AffineRows> = panels
                .into_par_iter()
                .map(|first| convert(&matrix, first..rows.end.min(first + panel_rows), *form, added.get(name)))
                .collect::<Result<_, _>>()
                .map_err(|what| bad(&path, what))?;
            for AffineRows { codes, scales, biases } in converted {
                let codes = if by_columns { transposed(&codes, matrix.rows(), matrix.cols()) } else { codes };
                shards.append(&format!("{path}.weight"), &codes)?;
                if matches!(form, Form::Affine { .. }) {
                    shards.append(&format!("{path}.scales"), &scales)?;
                    shards.append(&format!("{path}.biases"), &biases)?;
                }
            }
            done += (rows.len() * matrix.cols()) as u64;
            progress(done, total)?;
        }
    }
    shards.finish()
}

/// Norms and biases: little enough to be held together.
fn vectors(files: &ModelFiles, forms: &Forms) -> Result<Vec<Vector>> {
    let config = files.config();
    let mut vectors = Vec::new();
    let mut add = |name: String, stored: FloatType, values: Vec<f32>| {
        vectors.push(Vector { name, float: forms.vectors.unwrap_or(stored), values });
    };
    for name in config.norms() {
        add(format!("{}.weight", files.path_of(name)), files.vector_type(name), files.vector(name)?);
        if let Some(bias) = files.norm_bias(name)? {
            add(format!("{}.bias", files.path_of(name)), files.vector_type(name), bias);
        }
    }
    for module in config.modules() {
        if let Some(values) = files.bias(module)? {
            add(format!("{}.bias", files.path_of(module)), files.bias_type(module), values);
        }
    }
    Ok(vectors)
}

/// The bytes of the transpose of `[rows, columns]` floats.
fn transposed(floats: &[u8], rows: usize, columns: usize) -> Vec<u8> {
    let size = floats.len() / (rows * columns);
    let value = |row: usize, column: usize| &floats[(row * columns + column) * size..][..size];
    (0..columns).flat_map(|column| (0..rows).flat_map(move |row| value(row, column))).copied().collect()
}

/// The tensors of the matrix at `path`.
fn specs(path: &str, form: Form, matrix: &Matrix, transposed: bool) -> Vec<TensorSpec> {
    let (rows, cols) = (matrix.rows(), matrix.cols());
    let spec = |suffix: &str, storage: Storage, width: usize| TensorSpec {
        name: format!("{path}.{suffix}"),
        storage,
        shape: vec![rows, width],
    };
    match form {
        Form::Float(float) if transposed => {
            let storage = Storage::Float(float);
            vec![TensorSpec { name: format!("{path}.weight"), storage, shape: vec![cols, rows] }]
        }
        Form::Float(float) => vec![spec("weight", Storage::Float(float), cols)],
        Form::Affine { bits, group, scales, .. } => vec![
            spec("weight", Storage::Words, cols * usize::from(bits) / 32),
            spec("scales", Storage::Float(scales), cols / group),
            spec("biases", Storage::Float(scales), cols / group),
        ],
    }
}

/// Rows in their new form, `added` added; floats stand as codes without scales.
pub(crate) fn convert(
    matrix: &Matrix,
    rows: Range<usize>,
    form: Form,
    added: Option<&LowRank<'_>>,
) -> Result<AffineRows, &'static str> {
    let values = || {
        let mut values = vec![0.0; rows.len() * matrix.cols()];
        matrix.dequantize(rows.clone(), 0..matrix.cols(), &mut values);
        values
    };
    match (form, added) {
        (Form::Affine { bits, group, scales, exact: own }, Some(added)) => {
            dithered(matrix, rows, Grid { bits, group, scales, own }, added)
        }
        (Form::Affine { bits, scales, exact: true, .. }, None) => {
            let repacked = matrix.affine_rows(rows, bits, scales);
            let finite = |bytes: &[u8]| (0..bytes.len() / scales.size()).all(|i| scales.read(bytes, i).is_finite());
            let sound = finite(&repacked.scales) && finite(&repacked.biases);
            if sound { Ok(repacked) } else { Err(NOT_FINITE) }
        }
        (Form::Affine { bits, group, scales, exact: false }, None) => {
            let mut values = values();
            // A quantized source becomes floats of that type first, as for MLX.
            let source = floats(&values, scales)?;
            values.iter_mut().enumerate().for_each(|(i, value)| *value = scales.read(&source, i));
            Ok(quantize_affine(&values, bits, group, scales))
        }
        (Form::Float(float), added) => {
            let mut values = values();
            if let Some(added) = added {
                values.iter_mut().zip(added.rows(rows)).for_each(|(value, added)| *value += added);
            }
            Ok(AffineRows { codes: floats(&values, float)?, ..AffineRows::default() })
        }
    }
}

pub(crate) const NOT_FINITE: &str = "holds NaN or infinite values";

/// Values as little-endian floats of a type.
fn floats(values: &[f32], float: FloatType) -> Result<Vec<u8>, &'static str> {
    check_range(values, float)?;
    let mut bytes = Vec::with_capacity(values.len() * float.size());
    values.iter().for_each(|&value| float.write(value, &mut bytes));
    Ok(bytes)
}

/// Refuses what a float type cannot hold.
pub(super) fn check_range(values: &[f32], float: FloatType) -> Result<(), &'static str> {
    if !values.iter().all(|value| value.is_finite()) {
        return Err(NOT_FINITE);
    }
    let mut largest = Vec::new();
    float.write(values.iter().fold(0.0, |largest, value| value.abs().max(largest)), &mut largest);
    match float.read(&largest, 0).is_finite() {
        true => Ok(()),
        false => Err("holds values beyond the range of 16-bit floats; import with 32 bits"),
    }
}

/// The files of weights, filled together.
struct Shards {
    writers: Vec<SafetensorsWriter>,
    /// The file of every tensor.
    places: HashMap<String, usize>,
}

impl Shards {
    /// Begins as many files as the modules need. A module lies in one file.
    fn create(staged: &StagedFolder, modules: Vec<Vec<TensorSpec>>, shard_bytes: usize) -> Result<Self> {
        let mut shards: Vec<Vec<TensorSpec>> = Vec::new();
        let (mut filled, mut total) = (0, 0);
        for module in modules {
            let bytes: usize = module.iter().map(TensorSpec::bytes).sum();
            total += bytes;
            match shards.last_mut() {
                Some(shard) if filled + bytes <= shard_bytes => shard.extend(module),
                _ => {
                    shards.push(module);
                    filled = 0;
                }
            }
            filled += bytes;
        }
        let count = shards.len();
        let file = |index: usize| match count {
            1 => SINGLE.to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", index + 1),
        };
        let mut places = HashMap::new();
        let mut map = BTreeMap::new();
        let mut writers = Vec::new();
        for (index, specs) in shards.into_iter().enumerate() {
            for spec in &specs {
                places.insert(spec.name.clone(), index);
                map.insert(spec.name.clone(), file(index));
            }
            writers.push(SafetensorsWriter::create(&staged.file(&file(index)), "mlx", specs)?);
        }
        if count > 1 {
            let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
            staged.write(INDEX, format!("{index:#}\n").as_bytes())?;
        }
        Ok(Self { writers, places })
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.places.get(name).map_or(Ok(()), |&shard| self.writers[shard].append(name, bytes))
    }

    fn finish(self) -> Result<()> {
        self.writers.into_iter().try_for_each(SafetensorsWriter::finish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::file_bytes::FileBytes;
    use crate::format::safetensors::read_folder;

    #[test]
    fn shards_keep_modules_whole_and_read_back() {
        let spec = |name: &str, suffix: &str, len: usize| TensorSpec {
            name: format!("{name}.{suffix}"),
            storage: Storage::Words,
            shape: vec![len],
        };
        let module = |name: &str, len: usize| vec![spec(name, "weight", len), spec(name, "scales", 1)];
        // (files' limit in bytes, files): modules of 24, 44 and 12 bytes
        for (limit, files) in [(1, 3), (40, 3), (60, 2), (68, 2), (80, 1)] {
            let home = tempfile::tempdir().unwrap();
            let folder = home.path().join("model");
            let staged = StagedFolder::begin(&folder).unwrap();
            let modules = vec![module("a", 5), module("b", 10), module("c", 2)];
            let mut shards = Shards::create(&staged, modules, limit).unwrap();
            for (name, len) in [("a.weight", 5), ("b.weight", 10), ("c.weight", 2)] {
                shards.append(name, &vec![len as u8; 4 * len]).unwrap();
                shards.append(&name.replace("weight", "scales"), &[1; 4]).unwrap();
            }
            shards.finish().unwrap();
            staged.publish(None).unwrap();
            assert_eq!(std::fs::read_dir(&folder).unwrap().count(), if files == 1 { 1 } else { files + 1 }, "{limit}");
            let (tensors, _) = read_folder(&folder, &FileBytes::map).unwrap();
            assert_eq!(tensors.len(), 6);
            assert_eq!(*tensors["b.weight"].bytes, [10; 40]);
            assert_eq!(tensors["b.weight"].file, tensors["b.scales"].file);
        }
    }
}
