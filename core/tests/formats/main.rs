//! Model files of every format: opened, refused, converted.

mod families;
mod folder_and_file;
mod gguf;
mod gguf_bytes;
mod hostile;
mod import;
mod merge;
mod opening;
mod samples;
mod split;
#[cfg(unix)]
mod within;
mod zero_points;

use idiolect::format::ModelFiles;
use idiolect::model::TensorName;

/// Every matrix of a model with its place.
fn matrices(files: &ModelFiles) -> Vec<(TensorName, Vec<f32>)> {
    let linears = files.config().modules().map(TensorName::Linear);
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
