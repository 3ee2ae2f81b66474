//! What an MLX folder says of its matrices' forms.

use serde_json::Value;

use crate::disk::json::JsonFields;
use crate::error::{Result, shown};

/// MLX's `quantization`: what it says of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stated {
    /// Nothing: the tensors decide.
    Nothing,
    /// Not quantized.
    Plain,
    /// These bits and this group.
    Affine { bits: usize, group: usize },
}

/// MLX's `quantization` object, if the file has one.
pub(crate) struct Quantization(Option<JsonFields>);

impl Quantization {
    pub fn of(fields: &JsonFields) -> Result<Self> {
        let quantization = match fields.fields("quantization")? {
            Some(quantization) => Some(quantization),
            None => fields.fields("quantization_config")?,
        };
        if let Some(quantization) = &quantization {
            refuse_other_modes(quantization)?;
        }
        Ok(Self(quantization))
    }

    /// Of a format that says nothing of it.
    pub fn none() -> Self {
        Self(None)
    }

    /// What is said of the module at `path` in particular.
    pub fn of_module(&self, path: &str) -> Result<Stated> {
        let Some(quantization) = &self.0 else { return Ok(Stated::Nothing) };
        match quantization.get(path) {
            None | Some(Value::Bool(true)) => Ok(Stated::Nothing),
            Some(Value::Bool(false)) => Ok(Stated::Plain),
            Some(_) => {
                let module = quantization.fields(path)?;
                let module = quantization.required(path, module)?;
                refuse_other_modes(&module)?;
                let bits = module.required("bits", module.usize("bits")?)?;
                Ok(Stated::Affine { bits, group: module.required("group_size", module.usize("group_size")?)? })
            }
        }
    }
}

fn refuse_other_modes(fields: &JsonFields) -> Result<()> {
    match fields.str("mode")? {
        None | Some("affine") => Ok(()),
        Some(other) => Err(fields.unsupported("mode", format!("{} is not known", shown(other)))),
    }
}
