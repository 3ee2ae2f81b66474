//! Safetensors files written tensor by tensor: never a whole model in memory.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::tensor::Storage;
use crate::error::{Error, ErrorKind, Result};

/// A tensor to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TensorSpec {
    pub name: String,
    pub storage: Storage,
    /// The outermost axis first.
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// Bytes a value; only floats and words are written.
    fn value_size(&self) -> usize {
        match self.storage {
            Storage::Float(float) => float.size(),
            Storage::Words => 4,
            Storage::Block(_) | Storage::Other(_) => 0,
        }
    }

    pub fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.value_size()
    }
}

/// Writes a new file of `tensors` and makes it durable. `produce` writes the bytes of each, little-endian, when its
/// turn comes: wider values first, so that all are aligned, then by name.
pub(crate) fn write<T>(
    path: &Path,
    format: &str,
    mut tensors: Vec<(TensorSpec, T)>,
    mut produce: impl FnMut(T, &mut dyn Write) -> Result<()>,
) -> Result<()> {
    tensors.sort_by(|(a, _), (b, _)| b.value_size().cmp(&a.value_size()).then_with(|| a.name.cmp(&b.name)));
    let io = |cause| Error::io(path, &cause);
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!({ "format": format }));
    let mut offset = 0;
    for (spec, _) in &tensors {
        let end = offset + spec.bytes();
        let entry = json!({ "dtype": spec.storage.to_string(), "shape": spec.shape, "data_offsets": [offset, end] });
        header.insert(spec.name.clone(), entry);
        offset = end;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');

    let file = File::create_new(path).map_err(io)?;
    let mut out = Counted { out: BufWriter::with_capacity(1 << 20, file), written: 0 };
    out.write_all(&(header.len() as u64).to_le_bytes()).and_then(|()| out.write_all(&header)).map_err(io)?;
    for (spec, source) in tensors {
        let start = out.written;
        produce(source, &mut out)?;
        if out.written - start != spec.bytes() as u64 {
            let message = format!("{}: {} bytes of {} given", spec.name, out.written - start, spec.bytes());
            return Err(Error::new(ErrorKind::BadData, message));
        }
    }
    let file = out.out.into_inner().map_err(|cause| io(cause.into_error()))?;
    file.sync_all().map_err(io)
}

/// Counts what is written.
struct Counted {
    out: BufWriter<File>,
    written: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use idiolect_kernels::matrix::FloatType;

    use super::*;
    use crate::format::safetensors;

    #[test]
    fn reads_back_what_was_written_aligned() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("t.safetensors");
        let tensors = [
            ("odd", Storage::Float(FloatType::F16), vec![3]),
            ("codes", Storage::Words, vec![2, 2]),
            ("empty", Storage::Float(FloatType::F32), vec![0, 5]),
            ("wide", Storage::Float(FloatType::F32), vec![1, 3]),
        ];
        let tensors = tensors.map(|(name, storage, shape)| {
            let spec = TensorSpec { name: name.into(), storage, shape };
            let bytes: Vec<u8> = (0..spec.bytes()).map(|i| (i * 7 + name.len()) as u8).collect();
            (spec, bytes)
        });
        write(&path, "mlx", tensors.to_vec(), |bytes, out| Ok(out.write_all(&bytes).unwrap())).unwrap();
        let read = safetensors::read(&path).unwrap();
        assert_eq!(read.len(), tensors.len());
        for (spec, bytes) in tensors {
            let tensor = &read[&spec.name];
            assert_eq!((&tensor.storage, &tensor.shape), (&spec.storage, &spec.shape));
            assert_eq!(*tensor.bytes, *bytes);
            assert_eq!(tensor.bytes.as_ptr() as usize % spec.value_size(), 0, "{} is not aligned", spec.name);
        }
    }

    #[test]
    fn a_tensor_of_another_length_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let spec = TensorSpec { name: "x".into(), storage: Storage::Words, shape: vec![2] };
        let result =
            write(&home.path().join("t"), "mlx", vec![(spec, ())], |(), out| Ok(out.write_all(b"1234").unwrap()));
        assert_eq!(result.unwrap_err().message(), "x: 4 bytes of 8 given");
    }
}
