//! The GGUF container, versions 2 and 3, little-endian: metadata and tensors, read without copying.
//!
//! `GGUF`, u32 version, u64 tensors, u64 keys; each key a string, a u32 type and a value; each tensor a string, u32
//! axes, u64 sizes (innermost first), u32 type, u64 offset; then the data from the next multiple of
//! `general.alignment`. A string is a u64 length and its bytes, an array a u32 type, a u64 length and its values.

pub(super) mod model;
pub(super) mod split;
mod tensors;
mod value;
mod vocabulary;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub use value::{GgufArray, GgufValue};
pub use vocabulary::vocabulary;

use self::value::{Cursor, Fault, ValueType};
use super::safetensors::{Tensors, add_part};
use crate::disk::file_bytes::{FileBytes, OpenBytes};
use crate::error::shown;
use crate::error::{Error, Result};

/// An open GGUF file, or the parts of a model in several.
#[derive(Debug)]
pub struct GgufFile {
    file: Arc<FileBytes>,
    /// The other parts, in their order.
    further: Vec<Arc<FileBytes>>,
    /// Of the first part.
    metadata: BTreeMap<String, GgufValue>,
    tensors: Tensors,
}

impl GgufFile {
    /// Maps a file, and where it is a part of a model those beside it, and checks everything that they say of themselves:
    /// counts, lengths, types, offsets, overlaps.
    ///
    /// # Errors
    /// When a file is missing or cannot be read, is not GGUF, or contradicts itself or another part; or a tensor has a type
    /// that is not read.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_by(path, &FileBytes::map)
    }

    /// The same with files opened by `open`.
    pub(crate) fn open_by(path: &Path, open: OpenBytes<'_>) -> Result<Self> {
        split::open(path, open)
    }

    /// A whole model in one file, which is open.
    pub(crate) fn alone(file: Arc<FileBytes>) -> Result<Self> {
        let file = Self::of(file)?;
        split::refuse(&file)?;
        Ok(file)
    }

    /// A file, whatever it is a part of.
    fn of(file: Arc<FileBytes>) -> Result<Self> {
        let (path, bytes): (_, &[u8]) = (file.path(), (*file).as_ref());
        let mut cursor = Cursor::new(bytes);
        let header = |fault: Fault| fault.error(path, "header");
        if cursor.take(4).map_err(header)? != b"GGUF" {
            return Err(Error::bad_file(path, "magic", "not GGUF").with_hint("give a GGUF file or a model folder"));
        }
        match cursor.u32().map_err(header)? {
            2 | 3 => {}
            version if matches!(version.swap_bytes(), 1..=3) => {
                return Err(Error::unsupported(path, "version", "a big-endian file"));
            }
            version => return Err(Error::unsupported(path, "version", format!("{version}, where 2 or 3 is read"))),
        }
        let tensor_count = cursor.u64().map_err(header)?;
        let key_count = cursor.u64().map_err(header)?;

        let metadata = read_metadata(path, &file, &mut cursor, key_count)?;
        let alignment = alignment(path, &metadata)?;
        let infos = tensors::read_infos(path, &mut cursor, tensor_count)?;
        let data = cursor.at.next_multiple_of(alignment);
        let tensors = tensors::place(path, &file, infos, data, alignment)?;
        Ok(Self { file, further: Vec::new(), metadata, tensors })
    }

    /// Adds the tensors of the next part.
    fn append(&mut self, part: Self) -> Result<()> {
        self.further.push(part.file);
        add_part(&mut self.tensors, part.tensors)
    }

    /// Where the file lies, the first one of several.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// All files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Arc<FileBytes>> {
        [&self.file].into_iter().chain(&self.further)
    }

    /// A metadata value.
    pub fn get(&self, key: &str) -> Option<&GgufValue> {
        self.metadata.get(key)
    }

    /// All tensors, by name.
    pub(crate) fn tensors(&self) -> &Tensors {
        &self.tensors
    }

    fn read_as<'a, T>(
        &'a self,
        key: &str,
        kind: &str,
        read: impl FnOnce(&'a GgufValue) -> Option<T>,
    ) -> Result<Option<T>> {
        let wrong = || Error::bad_file(self.path(), key, format!("not {kind}"));
        self.get(key).map(|value| read(value).ok_or_else(wrong)).transpose()
    }

    /// A whole number, or `None` where the key is absent.
    ///
    /// # Errors
    /// When the value is of another type or negative.
    pub fn usize(&self, key: &str) -> Result<Option<usize>> {
        self.read_as(key, "a whole number", |value| match value {
            GgufValue::Unsigned(n) => usize::try_from(*n).ok(),
            GgufValue::Signed(n) => usize::try_from(*n).ok(),
            _ => None,
        })
    }

    /// A float, or `None` where the key is absent.
    ///
    /// # Errors
    /// When the value is of another type.
    pub fn f64(&self, key: &str) -> Result<Option<f64>> {
        self.read_as(key, "a float", |value| if let GgufValue::Float(x) = value { Some(*x) } else { None })
    }

    /// A truth value, or `None` where the key is absent.
    ///
    /// # Errors
    /// When the value is of another type.
    pub fn bool(&self, key: &str) -> Result<Option<bool>> {
        self.read_as(key, "true or false", |value| if let GgufValue::Bool(b) = value { Some(*b) } else { None })
    }

    /// Text, or `None` where the key is absent.
    ///
    /// # Errors
    /// When the value is of another type, or not UTF-8.
    pub fn str(&self, key: &str) -> Result<Option<&str>> {
        if let Some(GgufValue::NotText) = self.get(key) {
            return Err(Fault::NotText.error(self.path(), key));
        }
        self.read_as(key, "text", |value| if let GgufValue::String(s) = value { Some(s.as_str()) } else { None })
    }

    /// A list, or `None` where the key is absent.
    ///
    /// # Errors
    /// When the value is of another type.
    pub fn array(&self, key: &str) -> Result<Option<&GgufArray>> {
        self.read_as(key, "a list", |value| if let GgufValue::Array(array) = value { Some(array) } else { None })
    }
}

fn read_metadata(
    path: &Path,
    file: &Arc<FileBytes>,
    cursor: &mut Cursor<'_>,
    count: u64,
) -> Result<BTreeMap<String, GgufValue>> {
    let mut metadata = BTreeMap::new();
    for index in 0..count {
        let key = cursor.text().map_err(|fault| fault.error(path, &format!("key {index} of {count}")))?;
        let in_key = |fault: Fault| fault.error(path, &shown(key));
        let kind = cursor.u32().and_then(ValueType::from_number).map_err(in_key)?;
        let value = if kind == ValueType::Array {
            let (element, len, range) = cursor.skip_array(1).map_err(in_key)?;
            let bytes = file.bytes(range).ok_or(Fault::Truncated).map_err(in_key)?;
            GgufValue::Array(GgufArray { element, len, bytes })
        } else {
            cursor.scalar(kind).map_err(in_key)?
        };
        if metadata.insert(key.to_owned(), value).is_some() {
            return Err(Error::bad_file(path, &shown(key), "twice in the metadata"));
        }
    }
    Ok(metadata)
}

fn alignment(path: &Path, metadata: &BTreeMap<String, GgufValue>) -> Result<usize> {
    const KEY: &str = "general.alignment";
    match metadata.get(KEY) {
        None => Ok(32),
        Some(GgufValue::Unsigned(n)) if n.is_power_of_two() && (8..=1 << 20).contains(n) => Ok(*n as usize),
        Some(_) => Err(Error::bad_file(path, KEY, "not a power of two from 8 to 1 MiB")),
    }
}
