//! Changes to the metadata of a GGUF file; tensors stay as they are.

use std::path::Path;

/// A string's type number.
pub const TEXT: u32 = 8;
const U32: u32 = 4;
const ARRAY: u32 = 9;

/// The metadata of a GGUF file beside the rest of it.
pub struct Gguf {
    version: [u8; 4],
    tensors: u64,
    /// Each key with the number of its value's type and the value's bytes.
    metadata: Vec<(String, u32, Vec<u8>)>,
    /// What follows the metadata: where the tensors lie, as it stands there.
    places: Vec<u8>,
    data: Vec<u8>,
}

/// A place in a file's bytes.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        self.at += len;
        &self.bytes[self.at - len..self.at]
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().unwrap())
    }

    fn string(&mut self) -> &'a [u8] {
        let len = self.u64() as usize;
        self.take(len)
    }

    fn value(&mut self, kind: u32) {
        match kind {
            TEXT => drop(self.string()),
            ARRAY => {
                let (element, len) = (self.u32(), self.u64());
                (0..len).for_each(|_| self.value(element));
            }
            0 | 1 | 7 => drop(self.take(1)),
            2 | 3 => drop(self.take(2)),
            10..=12 => drop(self.take(8)),
            _ => drop(self.take(4)),
        }
    }
}

impl Gguf {
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let mut cursor = Cursor { bytes: &bytes, at: 4 };
        let version = cursor.take(4).try_into().unwrap();
        let (tensors, keys) = (cursor.u64(), cursor.u64());
        let metadata = (0..keys).map(|_| {
            let key = String::from_utf8(cursor.string().to_vec()).unwrap();
            let (kind, start) = (cursor.u32(), cursor.at);
            cursor.value(kind);
            (key, kind, bytes[start..cursor.at].to_vec())
        });
        let metadata = metadata.collect();
        let start = cursor.at;
        for _ in 0..tensors {
            cursor.string();
            let axes = cursor.u32() as usize;
            cursor.take(8 * axes + 4 + 8);
        }
        let places = bytes[start..cursor.at].to_vec();
        let data = bytes[cursor.at.next_multiple_of(32)..].to_vec();
        Self { version, tensors, metadata, places, data }
    }

    pub fn remove(mut self, key: &str) -> Self {
        self.metadata.retain(|(other, ..)| other != key);
        self
    }

    pub fn set(self, key: &str, kind: u32, value: Vec<u8>) -> Self {
        let mut changed = self.remove(key);
        changed.metadata.push((key.to_owned(), kind, value));
        changed
    }

    pub fn set_id(self, key: &str, id: u32) -> Self {
        self.set(key, U32, id.to_le_bytes().to_vec())
    }

    pub fn set_text(self, key: &str, text: &[u8]) -> Self {
        let value = [&(text.len() as u64).to_le_bytes()[..], text].concat();
        self.set(key, TEXT, value)
    }

    /// The text of a key that has one.
    pub fn text(&self, key: &str) -> String {
        let (_, kind, value) = self.metadata.iter().find(|(other, ..)| other == key).unwrap();
        assert_eq!(*kind, TEXT);
        String::from_utf8(value[8..].to_vec()).unwrap()
    }

    pub fn write(&self, path: &Path) {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version);
        bytes.extend(self.tensors.to_le_bytes());
        bytes.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, kind, value) in &self.metadata {
            bytes.extend((key.len() as u64).to_le_bytes());
            bytes.extend(key.as_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(value);
        }
        bytes.extend(&self.places);
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes.extend(&self.data);
        std::fs::write(path, bytes).unwrap();
    }
}
