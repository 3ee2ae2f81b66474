//! A model in several GGUF files, as llama.cpp splits it: `PREFIX-00001-of-00003.gguf` and so on, side by side. Each holds
//! tensors of its own and says which part of how many it is; the first one holds the metadata.

use std::path::{Path, PathBuf};

use super::GgufFile;
use crate::disk::file_bytes::OpenBytes;
use crate::error::{Error, Result};

const COUNT: &str = "split.count";
/// From 0 on; in names from 1 on.
const INDEX: &str = "split.no";
/// Tensors of all parts.
const TENSORS: &str = "split.tensors.count";

const SIDE_BY_SIDE: &str =
    "a model in several files needs all of them, side by side, under the names that they came with";

/// What a file says of the model that it is a part of.
struct Part {
    index: usize,
    count: usize,
    tensors: usize,
}

impl Part {
    /// `None` where the file is a model by itself.
    fn of(file: &GgufFile) -> Result<Option<Self>> {
        let Some(count) = file.usize(COUNT)?.filter(|count| *count > 1) else { return Ok(None) };
        let required = |key: &str| {
            file.usize(key)?.ok_or_else(|| Error::bad_file(file.path(), key, "missing in a part of a model"))
        };
        let part = Self { index: required(INDEX)?, count, tensors: required(TENSORS)? };
        match part.index < count {
            true => Ok(Some(part)),
            false => Err(Error::bad_file(file.path(), INDEX, format!("{} where {COUNT} is {count}", part.index))),
        }
    }

    /// Checks that this is what the file at `path` says that is part `index` of the same model as `of`.
    fn check(&self, path: &Path, index: usize, of: &Self) -> Result<()> {
        for (key, found, expected) in
            [(COUNT, self.count, of.count), (INDEX, self.index, index), (TENSORS, self.tensors, of.tensors)]
        {
            if found != expected {
                return Err(Error::bad_file(path, key, format!("{found} where the other parts need {expected}")));
            }
        }
        Ok(())
    }
}

/// Opens the model at `path`: the file, and where it is a part of a model all the others.
pub(super) fn open(path: &Path, open: OpenBytes<'_>) -> Result<GgufFile> {
    let given = GgufFile::of(open(path)?)?;
    let Some(of) = Part::of(&given)? else { return Ok(given) };
    let prefix = prefix(path, of.index, of.count).ok_or_else(|| {
        let what = format!("not PREFIX{}, as part {} of a model", suffix(of.index, of.count), of.index + 1);
        Error::bad_file(path, "name", what).with_hint(SIDE_BY_SIDE)
    })?;
    let part = |index: usize| {
        let path = path.with_file_name(format!("{prefix}{}", suffix(index, of.count)));
        if !path.exists() {
            return Err(Error::io(&path, &std::io::ErrorKind::NotFound.into()).with_hint(SIDE_BY_SIDE));
        }
        let file = GgufFile::of(open(&path)?)?;
        match Part::of(&file)? {
            Some(part) => part.check(&path, index, &of).map(|()| file),
            None => Err(Error::bad_file(&path, COUNT, format!("missing, where the other parts say {}", of.count))),
        }
    };
    let (mut given, mut whole) = (Some(given), None::<GgufFile>);
    for index in 0..of.count {
        let file = given.take_if(|_| index == of.index).map_or_else(|| part(index), Ok)?;
        match &mut whole {
            Some(whole) => whole.append(file)?,
            None => whole = Some(file),
        }
    }
    match whole {
        Some(whole) if whole.tensors.len() == of.tensors => Ok(whole),
        whole => {
            let found = whole.map_or(0, |whole| whole.tensors.len());
            Err(Error::bad_file(path, TENSORS, format!("{} where the parts have {found}", of.tensors)))
        }
    }
}

/// Refuses a part of a model: there is nothing beside it.
pub(super) fn refuse(file: &GgufFile) -> Result<()> {
    let Some(Part { count, .. }) = Part::of(file)? else { return Ok(()) };
    let error = Error::unsupported(file.path(), COUNT, format!("a model in {count} files, where one is given"));
    Err(error.with_hint("merge the parts with llama-gguf-split --merge"))
}

/// The first of `files`, which are sorted, where they are all the parts of a model by their names.
pub(in crate::format) fn first_of(files: &[PathBuf]) -> Option<&Path> {
    let (first, count) = (files.first()?, files.len());
    let common = prefix(first, 0, count)?;
    files.iter().enumerate().all(|(index, path)| prefix(path, index, count) == Some(common)).then_some(first)
}

/// What all parts' names begin with, where `path` is named as this part.
fn prefix(path: &Path, index: usize, count: usize) -> Option<&str> {
    path.file_name()?.to_str()?.strip_suffix(&suffix(index, count))
}

fn suffix(index: usize, count: usize) -> String {
    format!("-{:05}-of-{count:05}.gguf", index + 1)
}
