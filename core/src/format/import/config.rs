//! `config.json` of the new folder: read alike by mlx-lm, transformers and this library.

use idiolect_kernels::matrix::FloatType;
use serde_json::{Map, Value, json};

use super::forms::{Form, Forms};
use crate::disk::json::JsonFields;
use crate::error::{Error, Result};
use crate::format::config_json::{ATTENTION_SCALAR, CAPS, LOCAL_THETA};
use crate::format::model_files::{ModelFiles, ModelLayout};
use crate::shape::{AttentionSpec, Bias, Keys, ModelConfig, RopeParameters, RopeScaling, Windows};
use crate::text::Tokenizer;

/// Keys of a source that are written anew or mean nothing any more.
const REPLACED: [&str; 7] =
    ["_name_or_path", "dtype", "quantization", "quantization_config", "rope_parameters", "rope_scaling", "rope_theta"];

/// What f32 becomes where 16 bits are asked for: the type that the model's own configuration names, as in mlx-lm; f16
/// where it names none, which keeps more of a value than bf16.
pub(crate) fn half_type(files: &ModelFiles) -> Result<FloatType> {
    let ModelLayout::Folder(folder) = files.layout() else { return Ok(FloatType::F16) };
    let fields = JsonFields::read(&folder.join("config.json"))?;
    let named = match fields.str("torch_dtype")? {
        Some(named) => Some(named),
        None => fields.str("dtype")?,
    };
    Ok(if named == Some("bfloat16") { FloatType::BF16 } else { FloatType::F16 })
}

/// The source's own configuration with its shape stated in full, or a new one for a GGUF file.
///
/// # Errors
/// When the model has rotary factors that `config.json` cannot say.
pub(super) fn config_json(files: &ModelFiles, tokenizer: &Tokenizer, forms: &Forms) -> Result<Value> {
    let config = files.config();
    let mut values = match files.layout() {
        ModelLayout::Folder(folder) => JsonFields::read(&folder.join("config.json"))?.object().clone(),
        ModelLayout::Gguf(_) => Map::new(),
    };
    values.retain(|key, _| !REPLACED.contains(&key.as_str()));
    let family = config.family;
    values.insert("architectures".into(), json!([family.class]));
    values.insert("model_type".into(), json!(family.name));
    values.insert("tie_word_embeddings".into(), json!(config.tie_word_embeddings));
    for key in family.keys.activation {
        values.insert((*key).into(), json!(family.activation_names[0]));
    }
    for keys in sizes(config).map(|(keys, _)| keys) {
        // Another name of the same setting.
        keys.iter().skip(1).for_each(|key| drop(values.remove(*key)));
    }
    for (keys, value) in sizes(config) {
        values.insert(keys[0].into(), value);
    }
    let layer = &config.layers[0];
    for (module, linear) in config.family.modules.iter().zip(&layer.linears) {
        if let Bias::Stated(field) = module.bias {
            values.insert(field.into(), json!(linear.bias));
        }
    }
    if let ModelLayout::Gguf(_) = files.layout() {
        values.insert("bos_token_id".into(), json!(tokenizer.bos()));
        let eos = match tokenizer.eos_ids() {
            [only] => json!(only),
            several => json!(several),
        };
        values.insert("eos_token_id".into(), eos);
    }
    if let Some(rope) = config.ropes.first() {
        values.insert("rope_theta".into(), json!(rope.theta));
        values.insert("rope_scaling".into(), rope_scaling(files, rope)?);
        if let RopeScaling::LongRope { original_max_position_embeddings, .. } = rope.scaling {
            values.insert("original_max_position_embeddings".into(), json!(original_max_position_embeddings));
        }
        if family.turns_in_part {
            let share = rope.dim as f64 / layer.attention.head_dim as f64;
            values.insert("partial_rotary_factor".into(), json!(share));
        }
    }
    if let Some(local) = config.ropes.get(1) {
        if local.scaling != RopeScaling::None {
            let what = "a stretched rotation of layers with a window cannot be said beside another one";
            return Err(Error::unsupported(files.path(), "rope_parameters", what));
        }
        values.insert(LOCAL_THETA.into(), json!(local.theta));
    }
    if config.family.caps_and_scale {
        let attention = &layer.attention;
        let scalar = (f64::from(attention.scale).powi(-2) * 1e4).round() / 1e4;
        values.insert(ATTENTION_SCALAR.into(), json!(scalar));
        for (field, cap) in CAPS.into_iter().zip([attention.cap, config.logit_cap]) {
            values.insert(field.into(), cap.map_or(Value::Null, decimal));
        }
    }
    if family.windows == Windows::Everywhere {
        values.insert("sliding_window".into(), json!(layer.attention.window));
    }
    if let Windows::AllButEvery(_) = family.windows {
        let attentions = config.layers.iter().map(|layer| layer.attention);
        // A window that holds the whole context is none, but its layers' rotation is still their own.
        let sliding = |of: AttentionSpec| of.window.is_some() || of.rope.is_some_and(|rope| rope > 0);
        let kinds = attentions.clone().map(|of| if sliding(of) { "sliding_attention" } else { "full_attention" });
        values.insert("layer_types".into(), kinds.collect());
        let window = attentions.filter_map(|of| of.window).next();
        values.insert("sliding_window".into(), json!(window.unwrap_or(config.max_position_embeddings)));
    }
    if let Some(name) = forms.float_type().map(type_name) {
        values.insert("torch_dtype".into(), json!(name));
    }
    if let Some(quantization) = quantization(files, forms) {
        values.insert("quantization".into(), quantization.clone());
        values.insert("quantization_config".into(), quantization);
    }
    values.sort_keys();
    Ok(Value::Object(values))
}

/// The sizes, by the names of `config.json`, of which the first is written.
fn sizes(config: &ModelConfig) -> [(Keys, Value); 9] {
    let (layer, keys) = (&config.layers[0], &config.family.keys);
    [
        (&["head_dim"], json!(layer.attention.head_dim)),
        (keys.hidden_size, json!(config.hidden_size)),
        (keys.intermediate_size, json!(layer.intermediate_size)),
        (keys.context, json!(config.max_position_embeddings)),
        (keys.heads, json!(layer.attention.heads)),
        (keys.layers, json!(config.layers.len())),
        (&["num_key_value_heads"], json!(layer.attention.kv_heads)),
        (keys.norm_epsilon, decimal(layer.norm.epsilon)),
        (&["vocab_size"], json!(config.vocab_size)),
    ]
}

/// The shortest decimal that reads back as this f32: 1e-5, not 9.999999747378752e-6.
fn decimal(value: f32) -> Value {
    json!(value.to_string().parse::<f64>().unwrap_or(value.into()))
}

/// The keys of transformers 4, which 5 and mlx-lm read as well; mlx-lm looks for `type` first.
fn rope_scaling(files: &ModelFiles, rope: &RopeParameters) -> Result<Value> {
    Ok(match &rope.scaling {
        RopeScaling::None => Value::Null,
        RopeScaling::Linear { factor } => json!({ "factor": factor, "rope_type": "linear", "type": "linear" }),
        RopeScaling::Dynamic { factor } => json!({ "factor": factor, "rope_type": "dynamic", "type": "dynamic" }),
        RopeScaling::Yarn {
            factor,
            original_max_position_embeddings,
            beta_fast,
            beta_slow,
            attention_factor,
            truncate,
        } => json!({
            "attention_factor": attention_factor,
            "beta_fast": beta_fast,
            "beta_slow": beta_slow,
            "factor": factor,
            "original_max_position_embeddings": original_max_position_embeddings,
            "rope_type": "yarn",
            "truncate": truncate,
            "type": "yarn",
        }),
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => json!({
            "factor": factor,
            "high_freq_factor": high_freq_factor,
            "low_freq_factor": low_freq_factor,
            "original_max_position_embeddings": original_max_position_embeddings,
            "rope_type": "llama3",
        }),
        RopeScaling::LongRope { short_factors, long_factors, original_max_position_embeddings, attention_factor } => {
            json!({
                "attention_factor": attention_factor,
                "long_factor": long_factors,
                "original_max_position_embeddings": original_max_position_embeddings,
                "rope_type": "longrope",
                "short_factor": short_factors,
                "type": "longrope",
            })
        }
        RopeScaling::Factors(_) => {
            let what = "frequency factors that are not Llama 3's cannot be said in a config.json";
            return Err(
                Error::unsupported(files.path(), "rope_freqs.weight", what).with_hint("use the GGUF file as it is")
            );
        }
    })
}

/// MLX's `quantization`: what holds where nothing else is said, and each matrix that differs by its path; `false` is one
/// of plain floats.
fn quantization(files: &ModelFiles, forms: &Forms) -> Option<Value> {
    let (bits, group) = forms.usual?;
    let entry = |bits: u8, group: usize| json!({ "group_size": group, "bits": bits, "mode": "affine" });
    let mut quantization = entry(bits, group);
    for (name, form) in &forms.matrices {
        match *form {
            Form::Affine { bits: b, group: g, .. } if (b, g) == (bits, group) => (),
            Form::Affine { bits: b, group: g, .. } => quantization[files.path_of(*name)] = entry(b, g),
            Form::Float(_) => quantization[files.path_of(*name)] = json!(false),
        }
    }
    Some(quantization)
}

const fn type_name(float: FloatType) -> &'static str {
    match float {
        FloatType::F16 => "float16",
        FloatType::BF16 => "bfloat16",
        FloatType::F32 => "float32",
    }
}
