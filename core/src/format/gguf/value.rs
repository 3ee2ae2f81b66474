//! Metadata values, read from untrusted bytes and never beyond their end.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use idiolect_kernels::matrix::Bytes;

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
    /// What stands where text belongs and is not UTF-8.
    NotText,
    /// A list, left in the file.
    Array(GgufArray),
}

/// A list of metadata values, decoded from the file as it is read.
#[derive(Debug, Clone)]
pub struct GgufArray {
    pub(super) element: ValueType,
    pub(super) len: usize,
    pub(super) bytes: Bytes,
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

    /// The values as text, each `None` where it is not UTF-8; or `None` for a list of another type.
    pub fn strings(&self) -> Option<impl Iterator<Item = Option<&str>>> {
        let mut cursor = Cursor::new(&self.bytes);
        // Opening the file has walked over the same bytes without an error.
        let next = move |_| cursor.string().ok().map(|string| std::str::from_utf8(string).ok());
        (self.element == ValueType::String).then(|| (0..self.len).map_while(next))
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

    /// The values as floats of single width, or `None` for a list of another type.
    pub fn floats(&self) -> Option<Vec<f32>> {
        let mut cursor = Cursor::new(&self.bytes);
        let float = |value| match value {
            GgufValue::Float(x) => Some(x as f32),
            _ => None,
        };
        (0..self.len).map(|_| cursor.scalar(self.element).ok().and_then(float)).collect()
    }
}

/// What a cursor found wrong.
pub(super) enum Fault {
    Truncated,
    NotText,
    BadBool(u8),
    BadType(u32),
    TooDeep,
}

impl Fault {
    pub(super) fn error(self, path: &Path, field: &str) -> Error {
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
pub(super) enum ValueType {
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
    pub(super) fn from_number(number: u32) -> Result<Self, Fault> {
        use ValueType::*;
        let types = [U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64];
        types.get(number as usize).copied().ok_or(Fault::BadType(number))
    }
}

/// Reads from untrusted bytes; never beyond their end.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let end = self.at.checked_add(len).ok_or(Fault::Truncated)?;
        let taken = self.bytes.get(self.at..end).ok_or(Fault::Truncated)?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.take(N)?.try_into().map_err(|_| Fault::Truncated)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn length(&mut self) -> Result<usize, Fault> {
        usize::try_from(self.u64()?).map_err(|_| Fault::Truncated)
    }

    /// The bytes of a string, whatever their encoding.
    fn string(&mut self) -> Result<&'a [u8], Fault> {
        let len = self.length()?;
        self.take(len)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Fault> {
        std::str::from_utf8(self.string()?).map_err(|_| Fault::NotText)
    }

    /// A value of any type but an array.
    pub(super) fn scalar(&mut self, kind: ValueType) -> Result<GgufValue, Fault> {
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
            // Old converters write descriptions in other encodings: who needs the value is the one to refuse it.
            ValueType::String => match std::str::from_utf8(self.string()?) {
                Ok(text) => GgufValue::String(text.to_owned()),
                Err(_) => GgufValue::NotText,
            },
            ValueType::Array => return Err(Fault::TooDeep),
        })
    }

    /// Steps over an array's header and values; the type and number of its values, and where they lie.
    pub(super) fn skip_array(&mut self, depth: usize) -> Result<(ValueType, usize, Range<usize>), Fault> {
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
                    self.string()?;
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
