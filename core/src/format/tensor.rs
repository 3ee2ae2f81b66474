//! A named tensor of a file, before anything is known of its meaning.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use idiolect_kernels::matrix::{BlockType, Bytes, FloatType};

use crate::error::{Error, Result, shown};

/// How a tensor's values are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// Floats.
    Float(FloatType),
    /// Unsigned 32-bit words: packed codes.
    Words,
    /// GGUF blocks.
    Block(BlockType),
    /// A type without meaning for a model's weights, by its name.
    Other(String),
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float(float) => float.name(),
            Self::Words => "U32",
            Self::Block(block) => block.name(),
            Self::Other(name) => name,
        })
    }
}

/// A tensor as it lies in its file.
#[derive(Debug, Clone)]
pub struct Tensor {
    /// The file.
    pub file: Arc<Path>,
    /// Its name there.
    pub name: String,
    /// The type of its values.
    pub storage: Storage,
    /// Its shape, the outermost axis first.
    pub shape: Vec<usize>,
    /// Its bytes, as many as type and shape need.
    pub bytes: Bytes,
}

impl Tensor {
    /// An error that names this tensor and its file.
    pub(crate) fn bad(&self, what: impl fmt::Display) -> Error {
        Error::bad_file(&self.file, &shown(&self.name), what)
    }

    /// A tensor that is what it claims to be, but cannot be used.
    pub(crate) fn unsupported(&self, what: impl fmt::Display) -> Error {
        Error::unsupported(&self.file, &shown(&self.name), what)
    }

    /// Its values widened to f32, for vectors and other small tensors.
    ///
    /// # Errors
    /// When it has another shape or does not hold floats, or one of them is NaN or infinite.
    pub(crate) fn floats(&self, shape: &[usize]) -> Result<Vec<f32>> {
        let float = self.expect_floats(shape)?;
        let values: Vec<f32> = (0..self.bytes.len() / float.size()).map(|i| float.read(&self.bytes, i)).collect();
        if values.iter().all(|value| value.is_finite()) {
            Ok(values)
        } else {
            Err(self.bad("holds NaN or infinite values"))
        }
    }

    /// Checks shape and type without reading a value.
    pub(crate) fn expect_floats(&self, shape: &[usize]) -> Result<FloatType> {
        self.expect_shape(shape)?;
        match self.storage {
            Storage::Float(float) => Ok(float),
            _ => Err(self.bad(format!("type {} where floats belong", self.storage))),
        }
    }

    /// The bytes of its transpose, where it is `[rows, columns]` of floats.
    ///
    /// # Errors
    /// When it has another shape or does not hold floats.
    pub(crate) fn transposed(&self, rows: usize, columns: usize) -> Result<Bytes> {
        let size = self.expect_floats(&[rows, columns])?.size();
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for column in 0..columns {
            for row in 0..rows {
                bytes.extend_from_slice(&self.bytes[(row * columns + column) * size..][..size]);
            }
        }
        Ok(bytes.into())
    }

    /// Checks the shape.
    pub(crate) fn expect_shape(&self, shape: &[usize]) -> Result<()> {
        if self.shape == shape {
            Ok(())
        } else {
            Err(self.bad(format!("shape {:?} where the model needs {shape:?}", self.shape)))
        }
    }
}
