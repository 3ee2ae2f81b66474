//! Quantization and dequantization against the libraries that the formats come from, bit for bit.

use std::path::{Path, PathBuf};

use idiolect::format::ModelFiles;
use idiolect::model::TensorName;
use idiolect_kernels::Matrix;
use idiolect_kernels::matrix::{AFFINE_BITS, AFFINE_GROUPS, BlockType, FloatType, quantize_affine};
use libtest_mimic::{Arguments, Failed, Trial};
use safetensors::tensor::Dtype;
use safetensors::{SafeTensors, View};
use sha2::{Digest, Sha256};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository")
}

/// The published model, where `tests/get-model` puts it.
fn published() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from);
    target.join("models/SmolLM2-135M-Instruct.Q4_1.gguf")
}

fn main() {
    let arguments = Arguments::from_args();
    // Cases: sources, times bits, times groups.
    let mlx = |path: PathBuf, cases: usize| {
        let name = format!("quantizes as MLX: {}", path.file_stem().unwrap_or_default().to_string_lossy());
        let absent = !path.exists();
        Trial::test(name, move || quantizes_as_mlx(&path, cases)).with_ignored_flag(absent)
    };
    let shared = repository().join("../shared/data/golden");
    let model = published();
    let absent = !model.exists();
    let trials = vec![
        mlx(repository().join("tests/goldens/mlx_quantize.safetensors"), 3 * 6 * 3),
        mlx(shared.join("mlx_affine_quant.safetensors"), 3 * 6 * 3),
        mlx(shared.join("mlx_affine_quant_half.safetensors"), 2 * 2 * 3),
        Trial::test("dequantizes blocks as the gguf package", dequantizes_blocks_as_gguf),
        Trial::test("dequantizes as the gguf package", move || dequantizes_as_gguf(&model)).with_ignored_flag(absent),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn hexadecimal(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every source `X.w` of the file, at every number of bits and group `X.bN.gM` that is there: codes, scales and biases; and
/// where the metadata has a hash by that name, the values that they stand for.
fn quantizes_as_mlx(path: &Path, expected: usize) -> Result<(), Failed> {
    let file = std::fs::read(path)?;
    let goldens = SafeTensors::deserialize(&file)?;
    let (_, header) = SafeTensors::read_metadata(&file)?;
    let hashes = header.metadata().clone().unwrap_or_default();
    let mut cases = 0;
    for source in goldens.names().into_iter().filter_map(|name| name.strip_suffix(".w")) {
        let weights = goldens.tensor(&format!("{source}.w"))?;
        let float = match weights.dtype() {
            Dtype::F32 => FloatType::F32,
            Dtype::F16 => FloatType::F16,
            Dtype::BF16 => FloatType::BF16,
            other => return Err(format!("{source} is of {other}").into()),
        };
        let count = weights.data_len() / float.size();
        let values: Vec<f32> = (0..count).map(|i| float.read(weights.data(), i)).collect();
        let (rows, cols) = (weights.shape()[0], weights.shape()[1]);
        for bits in AFFINE_BITS {
            for group in AFFINE_GROUPS {
                let case = format!("{source}.b{bits}.g{group}");
                let Ok(codes) = goldens.tensor(&format!("{case}.q")) else { continue };
                let ours = quantize_affine(&values, bits, group, float);
                let scales = goldens.tensor(&format!("{case}.scales"))?;
                let biases = goldens.tensor(&format!("{case}.biases"))?;
                for (part, ours, theirs) in [
                    ("codes", &ours.codes, codes.data()),
                    ("scales", &ours.scales, scales.data()),
                    ("biases", &ours.biases, biases.data()),
                ] {
                    let differing = ours.iter().zip(theirs).filter(|(a, b)| a != b).count();
                    if ours.len() != theirs.len() || differing > 0 {
                        return Err(format!("{case}: {differing} of {} bytes of {part} differ", theirs.len()).into());
                    }
                }
                if let Some(golden) = hashes.get(&case) {
                    let parts = (ours.codes.into(), ours.scales.into(), ours.biases.into());
                    let matrix = Matrix::affine((rows, cols), bits, group, float, parts.0, parts.1, parts.2)?;
                    let mut read = vec![f32::NAN; rows * cols];
                    matrix.dequantize(0..rows, 0..cols, &mut read);
                    if hexadecimal(Sha256::new_with_prefix(bytemuck::cast_slice(&read))) != *golden {
                        return Err(format!("{case}: other values").into());
                    }
                }
                cases += 1;
            }
        }
    }
    if cases == expected { Ok(()) } else { Err(format!("{cases} cases").into()) }
}

/// Every type of blocks that is read, by `goldens/gguf_blocks.py`: the very bits.
fn dequantizes_blocks_as_gguf() -> Result<(), Failed> {
    let file = std::fs::read(repository().join("tests/goldens/gguf_blocks.safetensors"))?;
    let goldens = SafeTensors::deserialize(&file)?;
    for block in BlockType::ALL {
        let part = |part: &str| goldens.tensor(&format!("{}.{part}", block.name()));
        let (blocks, values) = (part("blocks")?, part("values")?);
        let (rows, cols) = (values.shape()[0], values.shape()[1]);
        let matrix = Matrix::blocks(rows, cols, block, blocks.data().to_vec().into())?;
        let mut ours = vec![f32::NAN; rows * cols];
        matrix.dequantize(0..rows, 0..cols, &mut ours);
        let theirs = values.data().as_chunks::<4>().0;
        if let Some(i) = (0..ours.len()).find(|&i| ours[i].to_le_bytes() != theirs[i]) {
            let expected = f32::from_le_bytes(theirs[i]);
            return Err(format!("{block:?}: value {i} is {}, not {expected}", ours[i]).into());
        }
    }
    Ok(())
}

/// The SHA-256 of every tensor's values as `goldens/gguf_dequant.py` noted it.
fn dequantizes_as_gguf(model: &Path) -> Result<(), Failed> {
    let goldens = std::fs::read(repository().join("tests/goldens/gguf_dequant.json"))?;
    let goldens: std::collections::BTreeMap<String, String> = serde_json::from_slice(&goldens)?;
    let files = ModelFiles::open(model)?;
    let mut seen = 0;
    let mut check = |name: TensorName, values: &mut dyn Iterator<Item = Vec<f32>>| -> Result<(), Failed> {
        let digest =
            hexadecimal(values.fold(Sha256::new(), |digest, row| digest.chain_update(bytemuck::cast_slice(&row))));
        seen += 1;
        let path = files.config().family.path(name);
        match goldens.get(&path) {
            Some(golden) if *golden == digest => Ok(()),
            Some(_) => Err(format!("{path} differs").into()),
            None => Err(format!("{path} has no golden").into()),
        }
    };
    for name in files.config().matrices() {
        let matrix = files.matrix(name)?;
        check(
            name,
            &mut (0..matrix.rows()).map(|row| {
                let mut values = vec![0.0; matrix.cols()];
                matrix.row(row, &mut values);
                values
            }),
        )?;
    }
    for name in files.config().norms() {
        check(name, &mut std::iter::once(files.vector(name)?))?;
    }
    if seen == goldens.len() { Ok(()) } else { Err(format!("{seen} tensors of {}", goldens.len()).into()) }
}
