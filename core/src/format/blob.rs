//! Named f32 arrays with a note in JSON, in memory, laid out as a safetensors file: what is sealed before it is written.

use std::collections::{BTreeMap, HashMap};

use bytemuck::cast_slice;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};

/// The key of the note in the header's metadata.
const NOTE: &str = "note";

/// The bytes of `arrays` with `note`.
pub(crate) fn to_bytes(note: &impl Serialize, arrays: &[(&str, &[f32])]) -> Result<Vec<u8>> {
    let failed = |cause: &dyn std::fmt::Display| Error::new(ErrorKind::BadData, format!("cannot be stored: {cause}"));
    let note = serde_json::to_string(note).map_err(|cause| failed(&cause))?;
    let views = arrays
        .iter()
        .map(|&(name, values)| Ok((name, TensorView::new(Dtype::F32, vec![values.len()], cast_slice(values))?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|cause| failed(&cause))?;
    safetensors::serialize(views, Some(HashMap::from([(NOTE.to_owned(), note)]))).map_err(|cause| failed(&cause))
}

/// The note and the arrays of what [`to_bytes`] made; the error says what is wrong, without the file's name.
pub(crate) fn from_bytes<N: DeserializeOwned>(bytes: &[u8]) -> Result<(N, BTreeMap<String, Vec<f32>>), &'static str> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|_| "no header of arrays")?;
    let note = metadata.metadata().as_ref().and_then(|entries| entries.get(NOTE)).ok_or("no note")?;
    let note = serde_json::from_str(note).map_err(|_| "a note of another kind")?;
    let arrays = SafeTensors::deserialize(bytes).map_err(|_| "no header of arrays")?;
    let mut read = BTreeMap::new();
    for (name, view) in arrays.iter() {
        if view.dtype() != Dtype::F32 {
            return Err("an array that is not of f32");
        }
        read.insert(name.to_owned(), bytemuck::pod_collect_to_vec(view.data()));
    }
    Ok((note, read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_wrote_and_nothing_broken() {
        let bytes = to_bytes(&("a note", 7), &[("b", &[1.0, -2.5]), ("a", &[]), ("c", &[f32::MIN])]).unwrap();
        let (note, arrays) = from_bytes::<(String, u32)>(&bytes).unwrap();
        assert_eq!(note, ("a note".to_owned(), 7));
        let expected = [("a", vec![]), ("b", vec![1.0, -2.5]), ("c", vec![f32::MIN])];
        assert_eq!(arrays, expected.map(|(name, values)| (name.to_owned(), values)).into());
        assert!(from_bytes::<u32>(&bytes).is_err(), "another note");
        for end in 0..bytes.len() {
            assert!(from_bytes::<(String, u32)>(&bytes[..end]).is_err(), "{end} bytes");
        }
    }
}
