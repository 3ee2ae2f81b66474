//! A model folder in the making: weights, configuration, tokenizer, and our own manifest.

use std::path::Path;

use serde_json::json;

use super::forms::Forms;
use super::low_rank::Added;
use super::{config, weights};
use crate::disk::staged::StagedFolder;
use crate::error::Result;
use crate::format::fingerprint::{DOCUMENT_START, MANIFEST, manifest_entry};
use crate::format::model_files::{ModelFiles, ModelLayout};
use crate::text::Tokenizer;

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

/// What a folder is made of.
pub(crate) struct NewFolder<'a> {
    /// The model that it is made from.
    pub files: &'a ModelFiles,
    pub tokenizer: &'a Tokenizer,
    /// How each matrix is stored.
    pub forms: &'a Forms,
    /// What is added to which matrices.
    pub added: &'a Added<'a>,
    /// Whether plain prompts begin with the document-start token.
    pub document_start: bool,
}

/// A folder that is whole, but has not appeared yet.
pub(crate) struct WrittenFolder {
    staged: StagedFolder,
    /// The fingerprint of the model in it.
    pub fingerprint: String,
    /// Bytes of its weights.
    pub bytes: u64,
}

impl NewFolder<'_> {
    /// Writes everything beside `destination`, and opens it again. `progress` is told of weights done and weights in all;
    /// an error of its ends it.
    ///
    /// # Errors
    /// When the weights hold NaN, the configuration cannot be said in a `config.json`, or the disk refuses.
    pub fn stage(&self, destination: &Path, progress: &mut dyn FnMut(u64, u64) -> Result<()>) -> Result<WrittenFolder> {
        let Self { files, tokenizer, forms, .. } = self;
        let config = config::config_json(files, tokenizer, forms)?;
        let staged = StagedFolder::begin(destination)?;
        weights::write(files, forms, self.added, &staged, weights::SHARD_BYTES, progress)?;
        match files.layout() {
            ModelLayout::Folder(folder) => {
                for name in COMPANIONS.into_iter().filter(|name| folder.join(name).is_file()) {
                    staged.copy(&folder.join(name), name)?;
                }
            }
            ModelLayout::Gguf(_) => {
                tokenizer.write_folder(staged.path())?;
                let generation = json!({ "bos_token_id": tokenizer.bos(), "eos_token_id": config["eos_token_id"] });
                staged.write("generation_config.json", format!("{generation:#}\n").as_bytes())?;
            }
        }
        staged.write("config.json", format!("{config:#}\n").as_bytes())?;

        // What was written has to open again, and its fingerprint is that of the new folder.
        let written = ModelFiles::open(staged.path())?;
        let fingerprint = written.fingerprint(&Tokenizer::from_folder(staged.path())?.fingerprint(), None);
        let mut manifest = json!({
            "kind": "model",
            "fingerprint": fingerprint,
            "weights": manifest_entry(written.config(), written.stored()),
            "source": files.path().file_name().map(|name| name.to_string_lossy()),
        });
        if self.document_start {
            manifest[DOCUMENT_START] = json!(true);
        }
        staged.write(MANIFEST, format!("{manifest:#}\n").as_bytes())?;
        let bytes = written.weight_bytes();
        Ok(WrittenFolder { staged, fingerprint, bytes })
    }
}

impl WrittenFolder {
    /// Where it lies meanwhile.
    pub fn path(&self) -> &Path {
        self.staged.path()
    }

    /// Makes it appear. Nothing may have its files open.
    ///
    /// # Errors
    /// When something lies at the destination by now, or the disk refuses.
    pub fn publish(self) -> Result<()> {
        self.staged.publish(None)
    }
}
