//! Conversion of any model that opens to a folder that opens here, in mlx-lm and (unquantized) in transformers.

mod config;
mod dither;
mod folder;
mod forms;
mod low_rank;
mod weights;

use std::path::Path;

use idiolect_kernels::matrix::{AFFINE_BITS, AFFINE_GROUPS};

pub(crate) use self::config::half_type;
pub(crate) use self::folder::NewFolder;
pub(crate) use self::forms::{Form, Forms, narrow};
pub(crate) use self::low_rank::{Added, LowRank};
pub(crate) use self::weights::{NOT_FINITE, PANEL, convert};
use super::destination::{check_folder, nearest_folder};
use super::model_files::{Mapping, ModelFiles};
use crate::disk::staged::refuse_occupied;
use crate::error::{Error, ErrorKind, Result};

/// What a model is converted to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Bits a weight: 2, 3, 4, 5, 6 or 8 quantize, 16 keeps bf16 or f16 and narrows f32, 32 widens exactly. Without it a
    /// quantized model keeps its own bits and groups (what no folder can hold, groups of 16, becomes f32), and another one
    /// gets 4 bits.
    pub bits: Option<u8>,
    /// Weights that share a scale, 32, 64 or 128; 64 unless given.
    pub group_size: Option<usize>,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportReport {
    /// The fingerprint of the model in the new folder.
    pub fingerprint: String,
    /// Parameters of the model.
    pub parameters: u64,
    /// Bytes of its weights.
    pub bytes: u64,
    /// Matrices that were quantized, or were and stayed so.
    pub quantized: usize,
    /// Modules whose matrices stay floats, although others are quantized.
    pub unquantized: Vec<String>,
}

/// Converts the model at `source` to a folder at `destination`: quantized bit for bit as MLX does, GGUF blocks repacked
/// exactly, GPTQ's and AWQ's codes as well. `progress` is told of weights done and weights in all. The folder appears whole or not at all.
///
/// This is the way of a model out of shared storage: weights that somebody else may write are copied before they are
/// mapped ([`Model::open`](crate::Model::open) says why), which takes their room beside the destination meanwhile.
///
/// # Errors
/// When the source does not open, holds NaN, or has no tokenizer; when an option is out of its range; when something
/// lies at the destination or the disk refuses.
pub fn import(
    source: &Path,
    destination: &Path,
    options: ImportOptions,
    mut progress: impl FnMut(u64, u64),
) -> Result<ImportReport> {
    options.validate()?;
    check_folder(destination)?;
    refuse_occupied(destination)?;
    let near = nearest_folder(destination)?;
    let files = ModelFiles::open_by(source, Mapping::By(near))?;
    let tokenizer = files.tokenizer()?;
    let forms = Forms::choose(&files, options, half_type(&files)?)?;
    let folder = NewFolder {
        files: &files,
        tokenizer: &tokenizer,
        forms: &forms,
        added: &Added::new(),
        document_start: files.document_start(),
    };
    let written = folder.stage(destination, &mut |done, all| {
        progress(done, all);
        Ok(())
    })?;
    let (fingerprint, bytes) = (written.fingerprint.clone(), written.bytes);
    written.publish()?;
    let (quantized, others) = forms.quantized();
    let unquantized = others.into_iter().map(|name| files.path_of(name)).collect();
    let parameters = weights::parameters(files.config());
    Ok(ImportReport { fingerprint, parameters, bytes, quantized, unquantized })
}

impl ImportOptions {
    fn validate(self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(ErrorKind::BadOption, message));
        match (self.bits, self.group_size) {
            (Some(bits), _) if !AFFINE_BITS.contains(&bits) && !matches!(bits, 16 | 32) => {
                wrong(format!("{bits} bits, where {AFFINE_BITS:?}, 16 and 32 are known"))
            }
            (_, Some(group)) if !AFFINE_GROUPS.contains(&group) => {
                wrong(format!("groups of {group}, where {AFFINE_GROUPS:?} are known"))
            }
            _ => Ok(()),
        }
    }
}
