//! `config.json` to the shape of a model: the keys of transformers 4 and 5 alike.

mod layers;
mod quantization;
mod rope;

use std::path::Path;

use crate::disk::json::JsonFields;
use crate::error::{Result, shown};
use crate::shape::{Bias, FAMILIES, Family, ModelConfig, SizeNames, Sizes};

pub(crate) use quantization::{Quantization, Stated};

use layers::layer_kinds;
use rope::rope;

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
        None => match family.left_out.head_dim {
            Some(head_dim) => head_dim,
            None if heads > 0 && hidden_size.is_multiple_of(heads) => hidden_size / heads,
            None => return Err(fields.bad("num_attention_heads", format!("{heads} do not divide {hidden_size}"))),
        },
    };
    let context = fields.usize("max_position_embeddings")?.unwrap_or(family.left_out.max_position_embeddings);
    let tie = fields.bool("tie_word_embeddings")?;
    let sizes = Sizes {
        vocab_size: size("vocab_size")?,
        hidden_size,
        intermediate_size: size("intermediate_size")?,
        layers: size("num_hidden_layers")?,
        heads,
        kv_heads: fields.usize("num_key_value_heads")?.or(family.left_out.kv_heads).unwrap_or(heads),
        head_dim,
        max_position_embeddings: context,
        rms_norm_eps: fields.f64("rms_norm_eps")?.unwrap_or(1e-6) as f32,
        rope: rope(&fields, head_dim, context, family.left_out.rope_theta)?,
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
        (Some(name), by_class) => match (known(&|family| family.name == name), by_class) {
            (None, _) => Err(fields.unsupported("model_type", format!("{} is not known", shown(name)))),
            (Some(family), Some(other)) if family != other => {
                Err(fields.bad("model_type", format!("{name}, where architectures has {}", other.class)))
            }
            (Some(family), _) => Ok(family),
        },
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

#[cfg(test)]
mod tests;
