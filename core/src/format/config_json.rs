//! `config.json` to the shape of a model: the keys of transformers 4 and 5 alike.

use std::path::Path;

use serde_json::Value;

use crate::disk::json::JsonFields;
use crate::error::Result;
use crate::error::shown;
use crate::shape::{
    Bias, FAMILIES, Family, LayerKind, ModelConfig, RopeParameters, RopeScaling, SizeNames, Sizes, Windows,
};

/// The keys that sizes are read from.
fn names() -> SizeNames {
    SizeNames {
        vocab_size: "vocab_size".into(),
        hidden_size: "hidden_size".into(),
        intermediate_size: "intermediate_size".into(),
        layers: "num_hidden_layers".into(),
        heads: "num_attention_heads".into(),
        kv_heads: "num_key_value_heads".into(),
        head_dim: "head_dim".into(),
        max_position_embeddings: "max_position_embeddings".into(),
        rms_norm_eps: "rms_norm_eps".into(),
        rope_theta: "rope_theta".into(),
        rope_scaling: "rope_scaling".into(),
    }
}

/// What `config.json` says.
pub(crate) struct ConfigJson {
    pub fields: JsonFields,
    /// The shape; `tie_word_embeddings` is false where the file does not say.
    pub config: ModelConfig,
    /// What the file says of tied embeddings.
    pub tie: Option<bool>,
}

/// Reads and checks a `config.json`.
pub(crate) fn read(path: &Path) -> Result<ConfigJson> {
    let fields = JsonFields::read(path)?;
    let family = family(&fields)?;
    refuse_unknown_variants(&fields)?;

    let size = |name: &str| fields.required(name, fields.usize(name)?);
    let hidden_size = size("hidden_size")?;
    let heads = size("num_attention_heads")?;
    let head_dim = match fields.usize("head_dim")? {
        Some(head_dim) => head_dim,
        None => match family.head_dim {
            Some(head_dim) => head_dim,
            None if heads > 0 && hidden_size.is_multiple_of(heads) => hidden_size / heads,
            None => return Err(fields.bad("num_attention_heads", format!("{heads} do not divide {hidden_size}"))),
        },
    };
    let tie = fields.bool("tie_word_embeddings")?;
    let sizes = Sizes {
        vocab_size: size("vocab_size")?,
        hidden_size,
        intermediate_size: size("intermediate_size")?,
        layers: size("num_hidden_layers")?,
        heads,
        kv_heads: fields.usize("num_key_value_heads")?.unwrap_or(heads),
        head_dim,
        max_position_embeddings: fields.usize("max_position_embeddings")?.unwrap_or(2048),
        rms_norm_eps: fields.f64("rms_norm_eps")?.unwrap_or(1e-6) as f32,
        rope: rope(&fields, head_dim)?,
        tie_word_embeddings: tie.unwrap_or(false),
    };
    let biases = family.modules.iter().map(|module| match module.bias {
        Bias::Stated(field) => Ok(fields.bool(field)?.unwrap_or(false)),
        Bias::Always => Ok(true),
        Bias::Never => Ok(false),
    });
    let biases = biases.collect::<Result<Vec<_>>>()?;
    sizes.check(path, &names())?;
    let kinds = layer_kinds(&fields, family, sizes.layers)?;
    Ok(ConfigJson { config: sizes.model(family, &biases, &kinds), fields, tie })
}

fn family(fields: &JsonFields) -> Result<&'static Family> {
    let known = |is: &dyn Fn(&Family) -> bool| FAMILIES.into_iter().find(|&family| is(family));
    let by_class = match fields.strings("architectures")? {
        None => None,
        Some(classes) => {
            let found = known(&|family| classes.contains(&family.class));
            Some(found.ok_or_else(|| {
                let names: Vec<String> = classes.iter().map(|class| shown(class)).collect();
                fields.unsupported("architectures", format!("{} is not known", names.join(", ")))
            })?)
        }
    };
    match (fields.str("model_type")?, by_class) {
        (None, None) => Err(fields.bad("model_type", "missing")),
        (None, Some(family)) => Ok(family),
        (Some(name), by_class) => known(&|family| family.name == name && by_class.is_none_or(|other| other == family))
            .ok_or_else(|| fields.unsupported("model_type", format!("{} is not known", shown(name)))),
    }
}

/// Settings that would change what is computed.
fn refuse_unknown_variants(fields: &JsonFields) -> Result<()> {
    let activation = fields.str("hidden_act")?.unwrap_or("silu");
    if !matches!(activation, "silu" | "swish") {
        return Err(fields.unsupported("hidden_act", shown(activation)));
    }
    for field in ["rope_interleaved", "rope_traditional"] {
        if fields.bool(field)?.unwrap_or(false) {
            return Err(fields.unsupported(field, "true"));
        }
    }
    if let Some(quantization) = fields.fields("quantization_config")?
        && let Some(method) = quantization.str("quant_method")?
    {
        return Err(quantization.unsupported("quant_method", shown(method)));
    }
    Ok(())
}

/// What each layer is like: as `layer_types` says, else by the family's rule.
fn layer_kinds(fields: &JsonFields, family: &Family, layers: usize) -> Result<Vec<LayerKind>> {
    let windows = windows(fields, family, layers)?;
    let rotated = rotated(fields, family, layers)?;
    Ok(windows.into_iter().zip(rotated).map(|(window, rotated)| LayerKind { rotated, window }).collect())
}

/// The window of each layer that has one.
fn windows(fields: &JsonFields, family: &Family, layers: usize) -> Result<Vec<Option<usize>>> {
    const WINDOW: &str = "sliding_window";
    let window = match fields.usize(WINDOW)? {
        Some(0) => return Err(fields.bad(WINDOW, "0 keys to see")),
        window => window,
    };
    if let Some(kinds) = fields.strings("layer_types")? {
        if kinds.len() != layers {
            return Err(fields.bad("layer_types", format!("{} of them for {layers} layers", kinds.len())));
        }
        let of = |kind: &&str| match *kind {
            "full_attention" => Ok(None),
            "sliding_attention" => Ok(Some(fields.required(WINDOW, window)?)),
            other => Err(fields.unsupported("layer_types", shown(other))),
        };
        return kinds.iter().map(of).collect();
    }
    let first = match family.windows {
        Windows::None => layers,
        Windows::Everywhere => 0,
        Windows::FromLayer if fields.bool("use_sliding_window")?.unwrap_or(false) => {
            fields.usize("max_window_layers")?.unwrap_or(layers)
        }
        Windows::FromLayer => layers,
    };
    Ok((0..layers).map(|layer| window.filter(|_| layer >= first)).collect())
}

/// Which layers see positions.
fn rotated(fields: &JsonFields, family: &Family, layers: usize) -> Result<Vec<bool>> {
    const LIST: &str = "no_rope_layers";
    const INTERVAL: &str = "no_rope_layer_interval";
    let Some(usual) = family.unrotated_every else { return Ok(vec![true; layers]) };
    if let Some(value) = fields.get(LIST) {
        let listed = value.as_array().filter(|list| list.len() == layers).and_then(|list| {
            list.iter()
                .map(|rotated| rotated.as_u64().filter(|n| *n < 2).map(|n| n == 1))
                .collect::<Option<Vec<bool>>>()
        });
        return listed.ok_or_else(|| fields.bad(LIST, format!("not 0 or 1 for each of {layers} layers")));
    }
    match fields.usize(INTERVAL)?.unwrap_or(usual) {
        0 => Err(fields.bad(INTERVAL, "0 layers apart")),
        every => Ok((1..=layers).map(|number| !number.is_multiple_of(every)).collect()),
    }
}

/// `rope_parameters` (transformers 5), or `rope_theta` and `rope_scaling` (before).
fn rope(fields: &JsonFields, dim: usize) -> Result<RopeParameters> {
    let scaling = match fields.fields("rope_scaling")? {
        Some(scaling) => Some(scaling),
        None => fields.fields("rope_parameters")?,
    };
    let inner_theta = scaling.as_ref().map(|scaling| scaling.f64("rope_theta")).transpose()?.flatten();
    let theta = match inner_theta {
        Some(theta) => theta,
        None => fields.f64("rope_theta")?.unwrap_or(10_000.0),
    };
    for holder in [Some(fields), scaling.as_ref()].into_iter().flatten() {
        let factor = "partial_rotary_factor";
        if holder.f64(factor)?.is_some_and(|factor| factor != 1.0) {
            return Err(holder.unsupported(factor, "other than 1"));
        }
    }
    let Some(scaling) = scaling else {
        return Ok(RopeParameters { dim, theta, scaling: RopeScaling::None });
    };
    if let Some(nested) = scaling.object().iter().find(|(_, value)| value.is_object()) {
        return Err(scaling.unsupported(nested.0, "rotary settings for each type of layer"));
    }
    let key = if scaling.get("rope_type").is_some() { "rope_type" } else { "type" };
    let number = |name: &str| scaling.required(name, scaling.f64(name)?);
    let scaling = match scaling.str(key)?.unwrap_or("default") {
        "default" => RopeScaling::None,
        "linear" => RopeScaling::Linear { factor: number("factor")? },
        "dynamic" => RopeScaling::Dynamic { factor: number("factor")? },
        "yarn" => yarn(fields, &scaling)?,
        "llama3" => RopeScaling::Llama3 {
            factor: number("factor")?,
            low_freq_factor: number("low_freq_factor")?,
            high_freq_factor: number("high_freq_factor")?,
            original_max_position_embeddings: original_context(fields, &scaling)?,
        },
        other => return Err(scaling.unsupported(key, format!("{} is not known", shown(other)))),
    };
    Ok(RopeParameters { dim, theta, scaling })
}

/// YaRN's settings, with the defaults of transformers.
fn yarn(fields: &JsonFields, scaling: &JsonFields) -> Result<RopeScaling> {
    let factor = scaling.required("factor", scaling.f64("factor")?)?;
    let stretch = |strength: f64| if factor > 1.0 { 0.1 * strength * factor.ln() + 1.0 } else { 1.0 };
    let strengths = (scaling.f64("mscale")?, scaling.f64("mscale_all_dim")?);
    Ok(RopeScaling::Yarn {
        factor,
        original_max_position_embeddings: original_context(fields, scaling)?,
        beta_fast: scaling.f64("beta_fast")?.unwrap_or(32.0),
        beta_slow: scaling.f64("beta_slow")?.unwrap_or(1.0),
        attention_factor: match (scaling.f64("attention_factor")?, strengths) {
            (Some(stated), _) => stated,
            (None, (Some(scores), Some(all))) if scores != 0.0 && all != 0.0 => stretch(scores) / stretch(all),
            (None, _) => stretch(1.0),
        },
        truncate: scaling.bool("truncate")?.unwrap_or(true),
    })
}

/// The context of the first training.
fn original_context(fields: &JsonFields, scaling: &JsonFields) -> Result<usize> {
    Ok(match scaling.usize("original_max_position_embeddings")? {
        Some(context) => context,
        None => fields.usize("max_position_embeddings")?.unwrap_or(2048),
    })
}

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
