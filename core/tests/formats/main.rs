//! Model files of every format: opened, refused, converted.

mod gguf_bytes;
mod hostile;
mod import;
mod merge;
mod opening;
mod samples;
#[cfg(unix)]
mod within;

use idiolect::format::{ModelFiles, TensorName};
use idiolect::model::Linear;

/// Every matrix of a model with its place.
fn matrices(files: &ModelFiles) -> Vec<(TensorName, Vec<f32>)> {
    let linears = (0..files.config().layers).flat_map(|layer| Linear::ALL.map(|l| TensorName::Linear(layer, l)));
    [TensorName::Embedding, TensorName::Head]
        .into_iter()
        .chain(linears)
        .map(|name| (name, values(files, name)))
        .collect()
}

/// A matrix, dequantized.
fn values(files: &ModelFiles, name: TensorName) -> Vec<f32> {
    let matrix = files.matrix(name).unwrap();
    let mut values = vec![0.0; matrix.rows() * matrix.cols()];
    matrix.dequantize(0..matrix.rows(), 0..matrix.cols(), &mut values);
    values
}

/// The error of opening a model.
fn refusal(path: &std::path::Path) -> idiolect::Error {
    match ModelFiles::open(path) {
        Ok(_) => panic!("{} opened", path.display()),
        Err(error) => error,
    }
}
