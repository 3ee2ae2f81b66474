//! `adapter_config.json`: every field honoured or refused.

use std::path::Path;

use serde_json::{Value, json};

use super::modules::Modules;
use crate::disk::json::JsonFields;
use crate::error::shown;
use crate::error::{Error, ErrorKind, Result};
use crate::shape::{ModelConfig, ModuleId, TensorName};

/// The settings of a LoRA adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraConfig {
    /// Rows of A and columns of B.
    pub rank: usize,
    /// The adapter's term is scaled by `alpha / rank`, or `alpha / √rank` with `rslora`.
    pub alpha: f64,
    /// The share of inputs dropped while training.
    pub dropout: f32,
    /// Rank-stabilized scaling.
    pub rslora: bool,
    /// The linear layers that are adapted.
    pub target_modules: Modules,
    /// Those of them that are not.
    pub exclude_modules: Option<Modules>,
    /// The blocks that are adapted, where not all are.
    pub layers_to_transform: Option<Vec<usize>>,
    /// The base model, as the adapter's maker called it.
    pub base_model_name_or_path: Option<String>,
}

impl Default for LoraConfig {
    /// Rank 8, alpha 16, every linear layer of the decoder layers.
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 16.0,
            dropout: 0.0,
            rslora: false,
            target_modules: Modules::AllLinear,
            exclude_modules: None,
            layers_to_transform: None,
            base_model_name_or_path: None,
        }
    }
}

/// Fields that must have the value that changes nothing: absent, null, false, empty or as given. `fan_in_fan_out` is not
/// among them: it tells how the base's weights lie, and PEFT itself goes by what they are.
const NEUTRAL: [(&str, &str); 20] = [
    ("alora_invocation_tokens", ""),
    ("alpha_pattern", ""),
    ("arrow_config", ""),
    ("bias", "none"),
    ("kasa_config", ""),
    ("layer_replication", ""),
    ("lora_bias", ""),
    ("megatron_config", ""),
    ("modules_to_save", ""),
    ("monteclora_config", ""),
    ("peft_type", "LORA"),
    ("rank_pattern", ""),
    ("target_parameters", ""),
    ("task_type", "CAUSAL_LM"),
    ("trainable_token_indices", ""),
    ("use_bdlora", ""),
    ("use_dora", ""),
    ("use_qalora", ""),
    ("velora_config", ""),
    ("loftq_config", ""),
];

/// Ways of starting an adapter that leave the base as it is.
const PLAIN_STARTS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

impl LoraConfig {
    /// The factor on the adapter's term.
    pub fn scale(&self) -> f32 {
        let rank = self.rank as f64;
        (self.alpha / if self.rslora { rank.sqrt() } else { rank }) as f32
    }

    /// The settings that say to every program what these do at `strength`, 0 to 1: scaled by `alpha / rank` alone, for
    /// converters to GGUF know no rsLoRA. Their [`LoraConfig::scale`] has the bits of this one times `strength`, so that
    /// logits are the same to the bit.
    ///
    /// The least alpha is a number that changes no sum, and not 0, which llama.cpp takes for an alpha that was not given.
    pub fn carrying(&self, strength: f32) -> Self {
        if strength == 1.0 && !self.rslora {
            return self.clone();
        }
        // Exact: 24 bits times at most 17.
        let alpha = f64::from(self.scale() * strength) * self.rank as f64;
        Self { alpha: alpha.max(f64::from(f32::MIN_POSITIVE)), rslora: false, ..self.clone() }
    }

    /// Refuses settings out of their range.
    ///
    /// # Errors
    /// When rank, alpha or dropout cannot be.
    pub fn validate(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(ErrorKind::BadOption, message));
        if self.rank == 0 || self.rank > 1 << 16 {
            return wrong(format!("rank {} is outside 1 to {}", self.rank, 1 << 16));
        }
        if !self.alpha.is_finite() || self.alpha <= 0.0 {
            return wrong(format!("alpha {} is not positive", self.alpha));
        }
        if !self.scale().is_finite() {
            return wrong(format!("alpha {:e} is too large", self.alpha));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return wrong(format!("dropout {} is outside 0 to 1", self.dropout));
        }
        Ok(())
    }

    /// The linear layers of a model that the adapter has, in order.
    ///
    /// # Errors
    /// When a setting is out of its range, or no module is meant, or one that cannot be adapted.
    pub fn targets(&self, model: &ModelConfig) -> Result<Vec<ModuleId>> {
        self.validate()?;
        let targeted = self.target_modules.matcher()?;
        let excluded = self.exclude_modules.as_ref().map(Modules::matcher).transpose()?;
        let is_excluded = |path: &str| excluded.as_ref().is_some_and(|excluded| excluded(path));
        for path in [TensorName::Embedding, TensorName::Head].map(|name| model.family.path(name)) {
            if self.target_modules != Modules::AllLinear && targeted(&path) && !is_excluded(&path) {
                let message = format!("target_modules: {path} cannot be adapted");
                return Err(Error::new(ErrorKind::Unsupported, message)
                    .with_hint("adapt the linear layers of the decoder blocks"));
            }
        }
        let in_layers = |layer: usize, path: &str| match &self.layers_to_transform {
            // A whole path is meant whatever the layers say.
            Some(layers) => layers.contains(&layer) || self.target_modules.lists(path),
            None => true,
        };
        let is_meant = |module: &ModuleId| {
            let path = model.family.path(*module);
            targeted(&path) && !is_excluded(&path) && in_layers(module.layer, &path)
        };
        let found: Vec<_> = model.modules().filter(is_meant).collect();
        if found.is_empty() {
            let names = model.family.module_names();
            let message = "target_modules: no linear layer of the model is meant";
            return Err(Error::new(ErrorKind::AdapterMismatch, message)
                .with_hint(format!("choose among {}, or all-linear", names.join(", "))));
        }
        Ok(found)
    }

    /// Reads PEFT's file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        Self::from_fields(&JsonFields::read(path)?, path)
    }

    /// Reads the bytes of an `adapter_config.json` that errors call `path`.
    pub(super) fn read_bytes(path: &Path, bytes: &[u8]) -> Result<Self> {
        Self::from_fields(&JsonFields::read_bytes(path, bytes)?, path)
    }

    /// The settings in `value`, which errors call `name`.
    ///
    /// # Errors
    /// As for a file.
    pub(crate) fn from_value(value: &Value, name: &str) -> Result<Self> {
        let path = Path::new(name);
        Self::from_fields(&JsonFields::of(path, value.clone())?, path)
    }

    fn from_fields(fields: &JsonFields, path: &Path) -> Result<Self> {
        fields.required("peft_type", fields.get("peft_type"))?;
        for (field, neutral) in NEUTRAL {
            if let Some(value) = fields.get(field).filter(|value| !is_neutral(value, neutral)) {
                let shown = value.as_str().map_or_else(String::new, |text| format!(": {}", shown(text)));
                return Err(fields.unsupported(field, format!("not supported{shown}")));
            }
        }
        if let Some(start) = fields.get("init_lora_weights").and_then(Value::as_str)
            && !PLAIN_STARTS.contains(&start)
        {
            let error = fields.unsupported("init_lora_weights", format!("{} changes the base model", shown(start)));
            return Err(error.with_hint("convert it to plain LoRA with PEFT first"));
        }
        let modules = |field: &str| -> Result<Option<Modules>> {
            let Some(value) = fields.get(field) else { return Ok(None) };
            let modules = Modules::from_json(value);
            let modules = modules.ok_or_else(|| fields.bad(field, "neither a list of names nor a string"))?;
            let hint = "write all-linear, a regular expression over module paths, or a list of names";
            modules.check().map_err(|error| fields.bad(field, error).with_hint(hint))?;
            Ok(Some(modules))
        };
        let target_modules = modules("target_modules")?;
        let config = Self {
            rank: fields.usize("r")?.unwrap_or(8),
            alpha: fields.f64("lora_alpha")?.unwrap_or(8.0),
            dropout: fields.f64("lora_dropout")?.unwrap_or(0.0) as f32,
            rslora: fields.bool("use_rslora")?.unwrap_or(false),
            target_modules: fields.required("target_modules", target_modules)?,
            exclude_modules: modules("exclude_modules")?.filter(|modules| *modules != Modules::Names(Vec::new())),
            layers_to_transform: layers(fields)?,
            base_model_name_or_path: fields.str("base_model_name_or_path")?.map(str::to_owned),
        };
        config.validate().map_err(|error| Error::bad_file(path, "r, lora_alpha, lora_dropout", error))?;
        Ok(config)
    }

    /// What PEFT 0.21 writes for these settings: keys sorted.
    pub(crate) fn to_value(&self) -> Value {
        let modules = |modules: &Option<Modules>| modules.as_ref().map(Modules::to_json);
        let whole = self.alpha.fract() == 0.0 && self.alpha.abs() < 1e15;
        let alpha = if whole { json!(self.alpha as i64) } else { json!(self.alpha) };
        json!({
            "alora_invocation_tokens": null,
            "alpha_pattern": {},
            "arrow_config": null,
            "auto_mapping": null,
            "base_model_name_or_path": self.base_model_name_or_path,
            "bias": "none",
            "corda_config": null,
            "ensure_weight_tying": false,
            "eva_config": null,
            "exclude_modules": modules(&self.exclude_modules),
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "kasa_config": null,
            "layer_replication": null,
            "layers_pattern": null,
            "layers_to_transform": self.layers_to_transform,
            "loftq_config": {},
            "lora_alpha": alpha,
            "lora_bias": false,
            "lora_dropout": shortest(self.dropout),
            "lora_ga_config": null,
            "megatron_config": null,
            "megatron_core": "megatron.core",
            "modules_to_save": null,
            "monteclora_config": null,
            "peft_type": "LORA",
            "peft_version": "0.21.2",
            "qalora_group_size": 16,
            "r": self.rank,
            "rank_pattern": {},
            "revision": null,
            "target_modules": self.target_modules.to_json(),
            "target_parameters": null,
            "task_type": "CAUSAL_LM",
            "trainable_token_indices": null,
            "use_bdlora": null,
            "use_dora": false,
            "use_qalora": false,
            "use_rslora": self.rslora,
            "velora_config": null,
        })
    }

    /// The text of the file.
    pub(super) fn to_json(&self) -> Vec<u8> {
        format!("{:#}\n", self.to_value()).into_bytes()
    }
}

/// `layers_to_transform`, with a `layers_pattern` that says where layers usually are.
fn layers(fields: &JsonFields) -> Result<Option<Vec<usize>>> {
    const LAYERS: &str = "layers_to_transform";
    const PATTERN: &str = "layers_pattern";
    let layers = match fields.get(LAYERS) {
        None => return Ok(None),
        Some(Value::Array(layers)) => {
            let wrong = || fields.bad(LAYERS, "not a list of layers");
            layers
                .iter()
                .map(|layer| layer.as_u64().map(|n| n as usize).ok_or_else(wrong))
                .collect::<Result<Vec<_>>>()?
        }
        Some(_) => vec![fields.required(LAYERS, fields.usize(LAYERS)?)?],
    };
    let pattern = match fields.get(PATTERN) {
        Some(Value::Array(_)) => fields.strings(PATTERN)?.unwrap_or_default(),
        _ => fields.str(PATTERN)?.into_iter().collect(),
    };
    if let Some(other) = pattern.iter().find(|pattern| !matches!(**pattern, "layers" | "model.layers" | "")) {
        return Err(fields.unsupported(PATTERN, shown(other)));
    }
    Ok(Some(layers).filter(|layers| !layers.is_empty()))
}

/// The shortest decimal that reads back as the same f32.
pub(super) fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_default()
}

fn is_neutral(value: &Value, neutral: &str) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::String(text) => text == neutral,
        _ => false,
    }
}
