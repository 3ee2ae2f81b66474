//! Safetensors files written tensor by tensor: never a whole model in memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::tensor::Storage;
use crate::error::{Error, Result};

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

/// A new file in the making. Its tensors are appended to piece by piece, in any order between them.
pub(crate) struct SafetensorsWriter {
    path: PathBuf,
    file: File,
    tensors: HashMap<String, Place>,
}

/// Where a tensor's next byte goes, and where it ends.
struct Place {
    next: u64,
    end: u64,
}

impl SafetensorsWriter {
    /// Begins a new file of these tensors: wider values first, so that all are aligned, then by name.
    pub fn create(path: &Path, format: &str, mut specs: Vec<TensorSpec>) -> Result<Self> {
        specs.sort_by(|a, b| b.value_size().cmp(&a.value_size()).then_with(|| a.name.cmp(&b.name)));
        let mut header = Map::new();
        header.insert("__metadata__".into(), json!({ "format": format }));
        let mut offset = 0;
        for spec in &specs {
            let end = offset + spec.bytes();
            let entry =
                json!({ "dtype": spec.storage.to_string(), "shape": spec.shape, "data_offsets": [offset, end] });
            header.insert(spec.name.clone(), entry);
            offset = end;
        }
        let mut header = Value::Object(header).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');

        let io = |cause| Error::io(path, &cause);
        let mut file = File::create_new(path).map_err(io)?;
        file.write_all(&(header.len() as u64).to_le_bytes()).and_then(|()| file.write_all(&header)).map_err(io)?;
        let mut next = 8 + header.len() as u64;
        let mut tensors = HashMap::new();
        for spec in specs {
            let end = next + spec.bytes() as u64;
            tensors.insert(spec.name, Place { next, end });
            next = end;
        }
        Ok(Self { path: path.to_owned(), file, tensors })
    }

    /// Appends little-endian bytes to a tensor.
    pub fn append(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let place = self.tensors.get_mut(name).filter(|place| place.end - place.next >= bytes.len() as u64);
        let place = place.ok_or_else(|| Error::bad_file(&self.path, name, "written beyond its end"))?;
        self.file
            .seek(SeekFrom::Start(place.next))
            .and_then(|_| self.file.write_all(bytes))
            .map_err(|cause| Error::io(&self.path, &cause))?;
        place.next += bytes.len() as u64;
        Ok(())
    }

    /// Makes the file durable, once every tensor is whole.
    pub fn finish(self) -> Result<()> {
        match self.tensors.iter().find(|(_, place)| place.next != place.end) {
            Some((name, place)) => {
                Err(Error::bad_file(&self.path, name, format!("{} bytes not written", place.end - place.next)))
            }
            None => self.file.sync_all().map_err(|cause| Error::io(&self.path, &cause)),
        }
    }
}

#[cfg(test)]
mod tests {
    use idiolect_kernels::matrix::FloatType;

    use super::*;
    use crate::disk::file_bytes::FileBytes;
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
        let mut writer =
            SafetensorsWriter::create(&path, "mlx", tensors.iter().map(|(spec, _)| spec.clone()).collect()).unwrap();
        for (spec, bytes) in &tensors {
            writer.append(&spec.name, &bytes[..bytes.len() / 2]).unwrap();
        }
        for (spec, bytes) in &tensors {
            writer.append(&spec.name, &bytes[bytes.len() / 2..]).unwrap();
        }
        writer.finish().unwrap();
        let read = safetensors::read(&FileBytes::read(&path).unwrap()).unwrap();
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
        for (bytes, expected) in [(&b"1234"[..], "x: 4 bytes not written"), (b"123456789", "x: written beyond its end")]
        {
            let path = home.path().join(bytes.len().to_string());
            let spec = TensorSpec { name: "x".into(), storage: Storage::Words, shape: vec![2] };
            let mut writer = SafetensorsWriter::create(&path, "mlx", vec![spec]).unwrap();
            let error = writer.append("x", bytes).and_then(|()| writer.finish()).unwrap_err();
            assert!(error.message().ends_with(expected), "{error}");
        }
    }
}
