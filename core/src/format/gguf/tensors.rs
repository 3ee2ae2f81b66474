//! The tensors that a GGUF file lists: their types, shapes and places.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use idiolect_kernels::matrix::{BlockType, FloatType};

use super::value::Cursor;
use crate::disk::file_bytes::FileBytes;
use crate::error::{Error, Result, shown};
use crate::format::safetensors::Tensors;
use crate::format::tensor::{Storage, Tensor};

/// What the file says of a tensor.
pub(super) struct TensorInfo {
    name: String,
    storage: Storage,
    /// Outermost first.
    shape: Vec<usize>,
    offset: u64,
    bytes: usize,
}

pub(super) fn read_infos(path: &Path, cursor: &mut Cursor<'_>, count: u64) -> Result<Vec<TensorInfo>> {
    let mut infos = Vec::new();
    for index in 0..count {
        let place = format!("tensor {index} of {count}");
        let name = cursor.text().map_err(|fault| fault.error(path, &place))?;
        if name.is_empty() {
            return Err(Error::bad_file(path, &place, "has no name"));
        }
        let bad = |what: &dyn fmt::Display| Error::bad_file(path, &shown(name), what);
        let axes = cursor.u32().map_err(|fault| bad(&fault))?;
        if !(1..=4).contains(&axes) {
            return Err(bad(&format!("{axes} axes")));
        }
        let mut shape = Vec::new();
        for _ in 0..axes {
            shape.push(cursor.length().map_err(|fault| bad(&fault))?);
        }
        let kind = cursor.u32().map_err(|fault| bad(&fault))?;
        let offset = cursor.u64().map_err(|fault| bad(&fault))?;
        let storage = storage(kind).map_err(|kind| {
            Error::unsupported(path, &shown(name), format!("type {kind}"))
                .with_hint(format!("read are {}", read_types()))
        })?;
        let (block, size) = match storage {
            Storage::Block(block) => (block.len(), block.size()),
            Storage::Float(float) => (1, float.size()),
            Storage::Words | Storage::Other(_) => return Err(bad(&"no type of weights")),
        };
        if shape[0] == 0 || !shape[0].is_multiple_of(block) {
            return Err(bad(&format!("{} columns, where {storage} needs a multiple of {block}", shape[0])));
        }
        let values = shape.iter().try_fold(1usize, |product, &axis| product.checked_mul(axis)).filter(|&n| n > 0);
        let bytes = values.and_then(|n| (n / block).checked_mul(size));
        let bytes = bytes.ok_or_else(|| bad(&format!("axes {shape:?} are absurd")))?;
        shape.reverse();
        infos.push(TensorInfo { name: name.to_owned(), storage, shape, offset, bytes });
    }
    Ok(infos)
}

/// Checks that the tensors lie in the file, aligned and apart, and maps them.
pub(super) fn place(
    path: &Path,
    file: &Arc<FileBytes>,
    mut infos: Vec<TensorInfo>,
    data: usize,
    alignment: usize,
) -> Result<Tensors> {
    infos.sort_by_key(|info| info.offset);
    let shared: Arc<Path> = path.into();
    let mut tensors = Tensors::new();
    let mut free_from = data;
    for info in infos {
        let bad = |what: &str| Error::bad_file(path, &format!("{}: offset", shown(&info.name)), what);
        if !info.offset.is_multiple_of(alignment as u64) {
            return Err(bad("not aligned"));
        }
        let start = usize::try_from(info.offset).ok().and_then(|offset| offset.checked_add(data));
        let end = start.and_then(|start| start.checked_add(info.bytes));
        let range = start.zip(end).ok_or_else(|| bad("overflows"))?;
        if range.0 < free_from {
            return Err(bad("overlaps the tensor before"));
        }
        free_from = range.1;
        let bytes = file.bytes(range.0..range.1).ok_or_else(|| bad("reaches beyond the end of the file"))?;
        let TensorInfo { name, storage, shape, .. } = info;
        let tensor = Tensor { file: shared.clone(), name: name.clone(), storage, shape, bytes };
        if let Some(twin) = tensors.insert(name, tensor) {
            return Err(twin.bad("two tensors of this name"));
        }
    }
    Ok(tensors)
}

/// The storage of a tensor type, or the name of one that is not read.
fn storage(number: u32) -> Result<Storage, String> {
    let float = FloatType::ALL.into_iter().find(|float| float.gguf_type() == number).map(Storage::Float);
    let block = || BlockType::ALL.into_iter().find(|block| block.gguf_type() == number).map(Storage::Block);
    float.or_else(block).ok_or_else(|| type_name(number).map_or_else(|| format!("number {number}"), str::to_owned))
}

/// The names of the types that are read: `F32, F16 and Q8_0`.
fn read_types() -> String {
    let mut names: Vec<_> = FloatType::ALL.map(FloatType::name).to_vec();
    names.extend(BlockType::ALL.map(BlockType::name));
    let last = names.pop().unwrap_or_default();
    format!("{} and {last}", names.join(", "))
}

fn type_name(number: u32) -> Option<&'static str> {
    Some(match number {
        9 => "Q8_1",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        40 => "NVFP4",
        41 => "Q1_0",
        _ => return None,
    })
}
