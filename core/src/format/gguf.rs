//! The GGUF container, versions 2 and 3, little-endian: metadata and tensors, read without copying.
//!
//! `GGUF`, u32 version, u64 tensors, u64 keys; each key a string, a u32 type and a value; each tensor a string, u32
//! axes, u64 sizes (innermost first), u32 type, u64 offset; then the data from the next multiple of
//! `general.alignment`. A string is a u64 length and its bytes, an array a u32 type, a u64 length and its values.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use idiolect_kernels::matrix::{BlockType, Bytes, FloatType};

use super::mapped::MappedFile;
use super::safetensors::Tensors;
use super::tensor::{Storage, Tensor, shown};
use crate::error::{Error, Result};

/// A metadata value.
#[derive(Debug, Clone)]
pub enum GgufValue {
    /// An unsigned whole number of any width.
    Unsigned(u64),
    /// A signed whole number of any width.
    Signed(i64),
    /// A float of either width.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Text.
    String(String),
    /// A list, left in the file.
    Array(GgufArray),
}

/// A list of metadata values, decoded from the file as it is read.
#[derive(Debug, Clone)]
pub struct GgufArray {
    element: ValueType,
    len: usize,
    bytes: Bytes,
}

impl GgufArray {
    /// Values in the list.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the list has no value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The values as text, or `None` for a list of another type.
    pub fn strings(&self) -> Option<impl Iterator<Item = &str>> {
        let mut cursor = Cursor::new(&self.bytes);
        // Opening the file has walked over the same bytes without an error.
        (self.element == ValueType::String).then(|| (0..self.len).map_while(move |_| cursor.text().ok()))
    }

    /// The values as whole numbers, or `None` for a list of another type or one with a negative value.
    pub fn unsigned(&self) -> Option<Vec<u64>> {
        let mut cursor = Cursor::new(&self.bytes);
        let whole = |value| match value {
            GgufValue::Unsigned(n) => Some(n),
            GgufValue::Signed(n) => u64::try_from(n).ok(),
            _ => None,
        };
        (0..self.len).map(|_| cursor.scalar(self.element).ok().and_then(whole)).collect()
    }
}

/// An open GGUF file.
#[derive(Debug)]
pub struct GgufFile {
    file: Arc<MappedFile>,
    metadata: BTreeMap<String, GgufValue>,
    tensors: Tensors,
}

impl GgufFile {
    /// Maps a file and checks everything that it says of itself: counts, lengths, types, offsets, overlaps.
    ///
    /// # Errors
    /// When the file cannot be read, is not GGUF, or contradicts itself; or a tensor has a type that is not read.
    pub fn open(path: &Path) -> Result<Self> {
        let file = MappedFile::open(path)?;
        let bytes: &[u8] = (*file).as_ref();
        let mut cursor = Cursor::new(bytes);
        let header = |fault: Fault| fault.error(path, "header");
        if cursor.take(4).map_err(header)? != b"GGUF" {
            return Err(Error::bad_file(path, "magic", "not GGUF"));
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
        let infos = read_tensor_infos(path, &mut cursor, tensor_count)?;
        let data = cursor.at.next_multiple_of(alignment);
        let tensors = place_tensors(path, &file, infos, data, alignment)?;
        Ok(Self { file, metadata, tensors })
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        self.file.path()
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
    /// When the value is of another type.
    pub fn str(&self, key: &str) -> Result<Option<&str>> {
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

/// What a cursor found wrong.
enum Fault {
    Truncated,
    NotText,
    BadBool(u8),
    BadType(u32),
    TooDeep,
}

impl Fault {
    fn error(self, path: &Path, field: &str) -> Error {
        Error::bad_file(path, field, self)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("reaches beyond the end of the file"),
            Self::NotText => f.write_str("not UTF-8"),
            Self::BadBool(byte) => write!(f, "{byte} where 0 or 1 belongs"),
            Self::BadType(number) => write!(f, "unknown value type {number}"),
            Self::TooDeep => write!(f, "arrays nested deeper than {MAX_DEPTH}"),
        }
    }
}

/// Arrays of arrays of … values.
const MAX_DEPTH: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    String,
    Array,
    U64,
    I64,
    F64,
}

impl ValueType {
    fn from_number(number: u32) -> Result<Self, Fault> {
        use ValueType::*;
        let types = [U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64];
        types.get(number as usize).copied().ok_or(Fault::BadType(number))
    }
}

/// Reads from untrusted bytes; never beyond their end.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let end = self.at.checked_add(len).ok_or(Fault::Truncated)?;
        let taken = self.bytes.get(self.at..end).ok_or(Fault::Truncated)?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.take(N)?.try_into().map_err(|_| Fault::Truncated)
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_le_bytes)
    }

    fn length(&mut self) -> Result<usize, Fault> {
        usize::try_from(self.u64()?).map_err(|_| Fault::Truncated)
    }

    fn text(&mut self) -> Result<&'a str, Fault> {
        let len = self.length()?;
        std::str::from_utf8(self.take(len)?).map_err(|_| Fault::NotText)
    }

    /// A value of any type but an array.
    fn scalar(&mut self, kind: ValueType) -> Result<GgufValue, Fault> {
        Ok(match kind {
            ValueType::U8 => GgufValue::Unsigned(u8::from_le_bytes(self.array()?).into()),
            ValueType::U16 => GgufValue::Unsigned(u16::from_le_bytes(self.array()?).into()),
            ValueType::U32 => GgufValue::Unsigned(self.u32()?.into()),
            ValueType::U64 => GgufValue::Unsigned(self.u64()?),
            ValueType::I8 => GgufValue::Signed(i8::from_le_bytes(self.array()?).into()),
            ValueType::I16 => GgufValue::Signed(i16::from_le_bytes(self.array()?).into()),
            ValueType::I32 => GgufValue::Signed(i32::from_le_bytes(self.array()?).into()),
            ValueType::I64 => GgufValue::Signed(i64::from_le_bytes(self.array()?)),
            ValueType::F32 => GgufValue::Float(f32::from_le_bytes(self.array()?).into()),
            ValueType::F64 => GgufValue::Float(f64::from_le_bytes(self.array()?)),
            ValueType::Bool => match self.array()? {
                [0] => GgufValue::Bool(false),
                [1] => GgufValue::Bool(true),
                [other] => return Err(Fault::BadBool(other)),
            },
            ValueType::String => GgufValue::String(self.text()?.to_owned()),
            ValueType::Array => return Err(Fault::TooDeep),
        })
    }

    /// Steps over an array's header and values; the type and number of its values, and where they lie.
    fn skip_array(&mut self, depth: usize) -> Result<(ValueType, usize, Range<usize>), Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::TooDeep);
        }
        let element = ValueType::from_number(self.u32()?)?;
        let len = self.length()?;
        let start = self.at;
        let fixed = match element {
            ValueType::U8 | ValueType::I8 | ValueType::Bool => 1,
            ValueType::U16 | ValueType::I16 => 2,
            ValueType::U32 | ValueType::I32 | ValueType::F32 => 4,
            ValueType::U64 | ValueType::I64 | ValueType::F64 => 8,
            // Each value moves the cursor, so a lying length ends at the end of the file.
            ValueType::String => {
                for _ in 0..len {
                    self.text()?;
                }
                0
            }
            ValueType::Array => {
                for _ in 0..len {
                    self.skip_array(depth + 1)?;
                }
                0
            }
        };
        self.take(len.checked_mul(fixed).ok_or(Fault::Truncated)?)?;
        Ok((element, len, start..self.at))
    }
}

fn read_metadata(
    path: &Path,
    file: &Arc<MappedFile>,
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

/// What the file says of a tensor.
struct TensorInfo {
    name: String,
    storage: Storage,
    /// Outermost first.
    shape: Vec<usize>,
    offset: u64,
    bytes: usize,
}

fn read_tensor_infos(path: &Path, cursor: &mut Cursor<'_>, count: u64) -> Result<Vec<TensorInfo>> {
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
                .with_hint("read are F32, F16, BF16, Q4_0, Q4_1 and Q8_0")
        })?;
        let (block, size) = match storage {
            Storage::Block(block) => (BlockType::LEN, block.size()),
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
fn place_tensors(
    path: &Path,
    file: &Arc<MappedFile>,
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
    Ok(match number {
        0 => Storage::Float(FloatType::F32),
        1 => Storage::Float(FloatType::F16),
        30 => Storage::Float(FloatType::BF16),
        2 => Storage::Block(BlockType::Q4_0),
        3 => Storage::Block(BlockType::Q4_1),
        8 => Storage::Block(BlockType::Q8_0),
        other => return Err(type_name(other).map_or_else(|| format!("number {other}"), str::to_owned)),
    })
}

fn type_name(number: u32) -> Option<&'static str> {
    Some(match number {
        6 => "Q5_0",
        7 => "Q5_1",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        12 => "Q4_K",
        13 => "Q5_K",
        14 => "Q6_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
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
