//! Safetensors files, single or sharded. Tensors are ranges of the file's bytes.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::{Component, Path};
use std::sync::Arc;

use idiolect_kernels::matrix::FloatType;
use safetensors::tensor::{Dtype, Metadata};
use safetensors::{SafeTensorError, SafeTensors};
use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};

use super::tensor::{Storage, Tensor};
use crate::disk::file_bytes::{FileBytes, OpenBytes};
use crate::disk::json::JsonFields;
use crate::error::{Error, Result, shown};

/// The tensors of a folder or file, by name.
pub(crate) type Tensors = BTreeMap<String, Tensor>;

pub(crate) const SINGLE: &str = "model.safetensors";
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// Every tensor of `model.safetensors`, or of the shards that the index names; and the files, as `open` opens them.
pub(crate) fn read_folder(folder: &Path, open: OpenBytes<'_>) -> Result<(Tensors, Vec<Arc<FileBytes>>)> {
    let single = folder.join(SINGLE);
    if single.exists() {
        let file = open(&single)?;
        return Ok((read(&file)?, vec![file]));
    }
    let index = folder.join(INDEX);
    if !index.exists() {
        return Err(missing_weights(folder, &single));
    }
    let index = JsonFields::read(&index)?;
    let map = index.fields("weight_map")?;
    let map = index.required("weight_map", map)?;
    let mut shards: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (tensor, shard) in map.object() {
        let shard = shard.as_str().filter(|name| is_shard_name(name));
        let shard = shard.ok_or_else(|| map.bad(tensor, "not the name of a .safetensors file beside the index"))?;
        shards.entry(shard).or_default().push(tensor);
    }
    let (mut tensors, mut files) = (Tensors::new(), Vec::new());
    for (shard, listed) in shards {
        let file = open(&folder.join(shard))?;
        let of_shard = read(&file)?;
        files.push(file);
        if let Some(lost) = listed.into_iter().find(|name| !of_shard.contains_key(*name)) {
            return Err(map.bad(lost, format!("not in {shard}")));
        }
        add_part(&mut tensors, of_shard)?;
    }
    Ok((tensors, files))
}

/// Adds the tensors of a further file to those of a model, each of which lies in one file.
pub(super) fn add_part(tensors: &mut Tensors, part: Tensors) -> Result<()> {
    for (name, tensor) in part {
        if let Some(first) = tensors.get(&name) {
            return Err(tensor.bad(format!("also in {}", first.file.display())));
        }
        tensors.insert(name, tensor);
    }
    Ok(())
}

/// A plain file name: nothing that leads out of the folder.
fn is_shard_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(_)), None))
        && name.ends_with(".safetensors")
        && !name.contains(['/', '\\'])
}

fn missing_weights(folder: &Path, single: &Path) -> Error {
    for other in ["pytorch_model.bin", "pytorch_model.bin.index.json"] {
        let path = folder.join(other);
        if path.exists() {
            let what = "weights in PyTorch's pickle format are not read";
            return Error::unsupported(&path, "file", what).with_hint("save the model as safetensors");
        }
    }
    Error::io(single, &std::io::Error::from(std::io::ErrorKind::NotFound))
        .with_hint("a model folder holds config.json, tokenizer.json and model.safetensors")
}

/// Every tensor of one file.
pub(crate) fn read(file: &Arc<FileBytes>) -> Result<Tensors> {
    let whole = 0..(**file).as_ref().len();
    read_part(file, whole, file.path())
}

/// Every tensor of a file that lies within another one in one piece; errors call it `path`.
pub(crate) fn read_part(file: &Arc<FileBytes>, part: Range<usize>, path: &Path) -> Result<Tensors> {
    let bytes = (**file).as_ref().get(part.clone()).unwrap_or_default();
    let (header_len, metadata) = read_header(path, bytes)?;
    let data = part.start + 8 + header_len;
    let shared: Arc<Path> = path.into();
    let mut tensors = Tensors::new();
    for (name, info) in metadata.tensors() {
        let (start, end) = info.data_offsets;
        let range = start.checked_add(data).zip(end.checked_add(data));
        let range = range.filter(|(_, end)| *end <= part.end).and_then(|(start, end)| file.bytes(start..end));
        let bytes = range.ok_or_else(|| Error::bad_file(path, &shown(&name), "lies outside the file"))?;
        let shape = info.shape.clone();
        let tensor = Tensor { file: shared.clone(), name: name.clone(), storage: storage(info.dtype), shape, bytes };
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

/// The header: its length and what it says. The crate checks that types, shapes and offsets agree, that tensors leave
/// neither gap nor overlap and that they end where the file ends; it lets a repeated name pass.
fn read_header(path: &Path, bytes: &[u8]) -> Result<(usize, Metadata)> {
    let (len, metadata) = SafeTensors::read_metadata(bytes).map_err(|cause| header_error(path, cause))?;
    let header: &[u8] = bytes.get(8..8 + len).unwrap_or_default();
    serde_json::Deserializer::from_slice(header)
        .deserialize_map(UniqueKeys)
        .map_err(|cause| Error::bad_file(path, "header", cause))?;
    Ok((len, metadata))
}

fn header_error(path: &Path, cause: SafeTensorError) -> Error {
    use SafeTensorError as E;
    match cause {
        E::HeaderTooSmall | E::InvalidHeaderLength => Error::bad_file(path, "header length", "the file ends before"),
        E::HeaderTooLarge => Error::bad_file(path, "header length", "over 100 MB"),
        E::InvalidHeader(_) | E::InvalidHeaderDeserialization(_) | E::JsonError(_) => {
            Error::bad_file(path, "header", "not the JSON of a safetensors header")
        }
        E::InvalidOffset(name) => {
            Error::bad_file(path, &format!("{}: data_offsets", shown(&name)), "gap, overlap or reversed range")
        }
        E::MetadataIncompleteBuffer => {
            Error::bad_file(path, "data_offsets", "the tensors do not end where the file ends")
        }
        E::TensorInvalidInfo => Error::bad_file(path, "data_offsets", "a length that type and shape contradict"),
        E::ValidationOverflow => Error::bad_file(path, "shape", "the size overflows"),
        other => Error::bad_file(path, "header", other),
    }
}

fn storage(dtype: Dtype) -> Storage {
    match dtype {
        Dtype::F16 => Storage::Float(FloatType::F16),
        Dtype::BF16 => Storage::Float(FloatType::BF16),
        Dtype::F32 => Storage::Float(FloatType::F32),
        Dtype::U32 => Storage::Words,
        other => Storage::Other(other.to_string()),
    }
}

/// Accepts an object whose keys are all different.
struct UniqueKeys;

impl<'de> Visitor<'de> for UniqueKeys {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
            if seen.contains(&key) {
                return Err(serde::de::Error::custom(format!("{} twice", shown(&key))));
            }
            seen.insert(key);
        }
        Ok(())
    }
}
