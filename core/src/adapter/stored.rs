//! An adapter as the registry keeps it: one blob, sealed by its keeper.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Adapter, AdapterShape};
use crate::error::{Error, ErrorKind, Result};
use crate::format::blob;
use crate::format::peft::LoraConfig;
use crate::model::Model;

/// What is noted beside the parameters.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// `adapter_config.json`.
    config: Value,
    base_fingerprint: String,
    document_start: bool,
}

impl Adapter {
    /// The adapter of `model` in one piece.
    pub(crate) fn to_bytes(&self, model: &Model) -> Result<Vec<u8>> {
        let note = Note {
            config: self.config().to_value(),
            base_fingerprint: model.fingerprint().to_owned(),
            document_start: self.document_start,
        };
        blob::to_bytes(&note, &[("params", &self.params)])
    }

    /// What [`Adapter::to_bytes`] made; `name` is what errors call it.
    ///
    /// # Errors
    /// When the bytes are damaged, or the adapter was made for another model.
    pub(crate) fn from_bytes(bytes: &[u8], name: &str, model: &Model) -> Result<Self> {
        let bad = |what: &str| Error::new(ErrorKind::BadFile, format!("{name}: {what}"));
        let (note, mut arrays) = blob::from_bytes::<Note>(bytes).map_err(bad)?;
        if note.base_fingerprint != model.fingerprint() {
            return Err(Error::new(ErrorKind::AdapterMismatch, format!("{name} was trained on another base model"))
                .with_hint("open the model that it was trained on, or train again"));
        }
        let config = LoraConfig::from_value(&note.config, name)?;
        let shape = AdapterShape::new(config, model)?;
        let params = arrays.remove("params").filter(|params| params.len() == shape.layout().len());
        let params = params.ok_or_else(|| bad("parameters of another shape"))?;
        if params.iter().any(|value| !value.is_finite()) {
            return Err(bad("parameters that are not finite"));
        }
        Ok(Self { shape, params, document_start: note.document_start, strength: 1.0 })
    }

    /// SHA-256 of the parameters in their layout, as hexadecimal digits: the same for the same adapter wherever and
    /// whenever it was made.
    pub fn sha256(&self) -> String {
        Sha256::digest(bytemuck::cast_slice(&self.params)).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
