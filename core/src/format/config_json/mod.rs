//! `config.json` to the shape of a model: the keys of transformers 4 and 5 alike.

mod layers;
mod quantization;
mod rope;

use std::path::Path;

use crate::disk::json::JsonFields;
use crate::error::{Result, shown};
use crate::shape::{Bias, FAMILIES, Family, Keys, ModelConfig, SizeNames, Sizes};

pub(crate) use quantization::{Quantization, Stated};

use layers::layer_kinds;
pub(crate) use rope::LOCAL_THETA;
use rope::ropes;

/// The root's inverse is attention's factor on scores.
pub(crate) const ATTENTION_SCALAR: &str = "query_pre_attn_scalar";
/// The soft caps of attention's scores and of logits.
pub(crate) const CAPS: [&str; 2] = ["attn_logit_softcapping", "final_logit_softcapping"];

/// The keys that sizes are read from.
fn names(fields: &JsonFields, family: &Family) -> SizeNames {
    let keys = &family.keys;
    SizeNames {
        vocab_size: "vocab_size".into(),
        hidden_size: key(fields, keys.hidden_size).into(),
        intermediate_size: key(fields, keys.intermediate_size).into(),
        layers: key(fields, keys.layers).into(),
        heads: key(fields, keys.heads).into(),
        kv_heads: "num_key_value_heads".into(),
        head_dim: "head_dim".into(),
        max_position_embeddings: key(fields, keys.context).into(),
        norm_epsilon: key(fields, keys.norm_epsilon).into(),
        attention_scalar: ATTENTION_SCALAR.into(),
        attention_cap: CAPS[0].into(),
        logit_cap: CAPS[1].into(),
        rope_theta: "rope_theta".into(),
        rope_scaling: "rope_scaling".into(),
    }
}

/// The first of these keys that has a value, else the first.
fn key(fields: &JsonFields, keys: Keys) -> &'static str {
    keys.iter().copied().find(|key| fields.get(key).is_some()).unwrap_or(keys[0])
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
    refuse_unknown_variants(&fields, family)?;

    let names = names(&fields, family);
    let size = |name: &str| fields.required(name, fields.usize(name)?);
    let hidden_size = size(&names.hidden_size)?;
    let heads = size(&names.heads)?;
    let head_dim = match fields.usize("head_dim")? {
        Some(head_dim) => head_dim,
        None => match family.left_out.head_dim {
            Some(head_dim) => head_dim,
            None if heads > 0 && hidden_size.is_multiple_of(heads) => hidden_size / heads,
            None => return Err(fields.bad(&names.heads, format!("{heads} do not divide {hidden_size}"))),
        },
    };
    let context = fields.usize(&names.max_position_embeddings)?.unwrap_or(family.left_out.max_position_embeddings);
    let tie = match fields.bool("tie_word_embeddings")? {
        None if family.left_out.tie_word_embeddings => Some(true),
        stated => stated,
    };
    let intermediate_size =
        match (fields.usize(&names.intermediate_size)?, family.left_out.intermediate_size_per_hidden) {
            (None, Some(times)) => hidden_size.saturating_mul(times),
            (stated, _) => fields.required(&names.intermediate_size, stated)?,
        };
    let (attention_scalar, [attention_cap, logit_cap]) = match family.caps_and_scale {
        true => (fields.f64(ATTENTION_SCALAR)?.unwrap_or(head_dim as f64), caps(&fields, family)?),
        false => (head_dim as f64, [None; 2]),
    };
    let sizes = Sizes {
        vocab_size: size("vocab_size")?,
        hidden_size,
        intermediate_size,
        layers: size(&names.layers)?,
        heads,
        kv_heads: fields.usize("num_key_value_heads")?.or(family.left_out.kv_heads).unwrap_or(heads),
        head_dim,
        max_position_embeddings: context,
        norm_epsilon: fields.f64(&names.norm_epsilon)?.unwrap_or(family.left_out.norm_epsilon) as f32,
        attention_scalar: attention_scalar as f32,
        attention_cap,
        logit_cap,
        ropes: ropes(&fields, family, head_dim, context)?,
        tie_word_embeddings: tie.unwrap_or(false),
    };
    let biases = family.modules.iter().map(|module| match module.bias {
        Bias::Stated(field) => Ok(fields.bool(field)?.unwrap_or(false)),
        Bias::Always => Ok(true),
        Bias::Never => Ok(false),
    });
    let biases = biases.collect::<Result<Vec<_>>>()?;
    sizes.check(path, &names)?;
    let kinds = layer_kinds(&fields, family, sizes.layers)?;
    Ok(ConfigJson { config: sizes.model(family, &biases, &kinds), fields, tie })
}

/// The soft caps of attention's scores and of logits; null is none.
fn caps(fields: &JsonFields, family: &Family) -> Result<[Option<f32>; 2]> {
    let mut caps = [None; 2];
    for ((cap, field), left_out) in caps.iter_mut().zip(CAPS).zip(family.left_out.caps) {
        let stated = fields.f64(field)?;
        let missing = !fields.object().contains_key(field);
        *cap = if missing { left_out } else { stated }.map(|cap| cap as f32);
    }
    Ok(caps)
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
fn refuse_unknown_variants(fields: &JsonFields, family: &Family) -> Result<()> {
    let stated = family.keys.activation.iter().find(|field| fields.get(field).is_some());
    if let Some(field) = stated
        && let Some(name) = fields.str(field)?
        && !family.activation_names.contains(&name)
    {
        return Err(fields.unsupported(field, shown(name)));
    }
    for field in ["rope_interleaved", "rope_traditional", "use_bidirectional_attention"] {
        if fields.bool(field)?.unwrap_or(false) {
            return Err(fields.unsupported(field, "true"));
        }
    }
    for &(field, unknown) in family.refused {
        if fields.bool(field)? == Some(unknown) {
            return Err(fields.unsupported(field, unknown));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
