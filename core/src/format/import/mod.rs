//! Conversion of any model that opens to a folder that opens here, in mlx-lm and (unquantized) in transformers.

mod config;
mod forms;
mod weights;

use std::path::Path;

use serde_json::json;

use self::forms::Forms;
use super::fingerprint::{MANIFEST, manifest_entry};
use super::gguf::vocabulary;
use super::model_files::{ModelFiles, ModelSource};
use super::staged::{StagedFolder, refuse_occupied};
use crate::error::{Error, ErrorKind, Result};
use crate::text::Tokenizer;

/// What a model is converted to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Bits a weight: 4 or 8 quantize, 16 keeps bf16 or f16 and narrows f32, 32 widens exactly. Without it a quantized
    /// model keeps its own bits and groups, and another one gets 4 bits.
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

/// Files beside the weights that go along with them.
const COMPANIONS: [&str; 14] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "README.md",
    "LICENSE",
    "LICENSE.txt",
    "NOTICE",
];

/// Converts the model at `source` to a folder at `destination`: quantized bit for bit as MLX does, GGUF blocks repacked
/// exactly. `progress` is told of weights done and weights in all. The folder appears whole or not at all.
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
    refuse_occupied(destination)?;
    let files = ModelFiles::open(source)?;
    let tokenizer = match files.source() {
        ModelSource::Folder(folder) => Tokenizer::from_folder(folder)?,
        ModelSource::Gguf(file) => Tokenizer::from_gguf(&vocabulary(file)?, file.path())?,
    };
    let half = config::half_type(&files)?;
    let forms = Forms::choose(&files, options, half)?;
    let config = config::config_json(&files, &tokenizer, &forms)?;

    let staged = StagedFolder::begin(destination)?;
    weights::write(&files, &forms, &staged, weights::SHARD_BYTES, &mut progress)?;
    match files.source() {
        ModelSource::Folder(folder) => {
            for name in COMPANIONS.into_iter().filter(|name| folder.join(name).is_file()) {
                staged.copy(&folder.join(name), name)?;
            }
        }
        ModelSource::Gguf(_) => {
            tokenizer.write_folder(staged.path())?;
            let generation = json!({ "bos_token_id": tokenizer.bos(), "eos_token_id": config["eos_token_id"] });
            staged.write("generation_config.json", format!("{generation:#}\n").as_bytes())?;
        }
    }
    staged.write("config.json", format!("{config:#}\n").as_bytes())?;

    // What was written has to open again, and its fingerprint is that of the new folder.
    let written = ModelFiles::open(staged.path())?;
    let fingerprint = written.fingerprint(&Tokenizer::from_folder(staged.path())?.fingerprint());
    let manifest = json!({
        "kind": "model",
        "fingerprint": fingerprint,
        "weights": manifest_entry(written.config(), written.stored()),
        "source": files.path().file_name().map(|name| name.to_string_lossy()),
    });
    staged.write(MANIFEST, format!("{manifest:#}\n").as_bytes())?;
    let bytes = written.stored().iter().map(|tensor| tensor.bytes.len() as u64).sum();
    drop(written);
    staged.publish(None)?;
    let (quantized, unquantized) = forms.quantized();
    let parameters = weights::parameters(files.config());
    Ok(ImportReport { fingerprint, parameters, bytes, quantized, unquantized })
}

impl ImportOptions {
    fn validate(self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(ErrorKind::BadOption, message));
        match (self.bits, self.group_size) {
            (Some(bits), _) if !matches!(bits, 4 | 8 | 16 | 32) => {
                wrong(format!("{bits} bits, where 4, 8, 16 or 32 are known"))
            }
            (_, Some(group)) if !matches!(group, 32 | 64 | 128) => {
                wrong(format!("groups of {group}, where 32, 64 or 128 are known"))
            }
            _ => Ok(()),
        }
    }
}
