//! MLX's LoRA adapters: `adapters.safetensors` with A `[inputs, rank]` and B `[rank, outputs]`, and their settings.

use std::path::Path;

use super::peft::{Factor, LoraConfig, Modules};
use crate::disk::json::JsonFields;
use crate::error::Result;
use crate::error::shown;

/// MLX's tensors.
pub(super) const TENSORS: &str = "adapters.safetensors";

/// `model.layers.0.self_attn.q_proj.lora_a`
pub(super) fn place(name: &str) -> Option<(&str, Factor)> {
    match name.strip_suffix(".lora_a") {
        Some(path) => Some((path, Factor::A)),
        None => Some((name.strip_suffix(".lora_b")?, Factor::B)),
    }
}

/// The same settings in PEFT's terms: MLX multiplies by `scale` itself, so alpha is `scale·rank`; the modules are those
/// that have tensors.
pub(super) fn read_config(path: &Path, adapted: impl Iterator<Item = String>) -> Result<LoraConfig> {
    let fields = JsonFields::read(path)?;
    let kind = fields.str("fine_tune_type")?.unwrap_or("lora");
    if kind != "lora" {
        return Err(fields.unsupported("fine_tune_type", format!("{} is not known", shown(kind))));
    }
    let parameters = fields.fields("lora_parameters")?;
    let parameters = fields.required("lora_parameters", parameters)?;
    let rank = parameters.required("rank", parameters.usize("rank")?)?;
    let scale = parameters.required("scale", parameters.f64("scale")?)?;
    let config = LoraConfig {
        rank,
        alpha: scale * rank as f64,
        dropout: parameters.f64("dropout")?.unwrap_or(0.0) as f32,
        target_modules: Modules::Names(adapted.collect()),
        ..LoraConfig::default()
    };
    config.validate().map_err(|error| parameters.bad("rank, scale, dropout", error))?;
    Ok(config)
}
