//! GGUF metadata to the shape of a model.

use super::{GgufFile, GgufValue};
use crate::error::shown;
use crate::error::{Error, Result};
use crate::shape::{
    Bias, FAMILIES, Family, LayerKind, ModelConfig, Module, ModuleId, NormKind, RopeParameters, RopeScaling, SizeNames,
    Sizes, TensorName, Windows,
};

/// The tensor of explicit frequency factors.
pub(in crate::format) const ROPE_FACTORS: &str = "rope_freqs.weight";

/// Keys, behind the architecture's name, by which files change what is computed.
const VARIANTS: [&str; 6] =
    ["expert_count", "attention.scale", "attention.clamp_kqv", "logit_scale", "residual_scale", "embedding_scale"];

/// The window of layers that have one.
const WINDOW: &str = "attention.sliding_window";
/// How far scores fall with the distance; the slopes that are known go by 8.
const ALIBI: &str = "attention.max_alibi_bias";
/// LongRoPE's factors, within the context of the first training and beyond.
pub(in crate::format) const LONG_ROPE_FACTORS: [&str; 2] = ["rope_factors_short.weight", "rope_factors_long.weight"];

/// The keys that sizes are read from, and the tensor that shows the vocabulary's.
fn names(family: &Family) -> SizeNames {
    let key = |key: &str| key_of(family, key);
    SizeNames {
        vocab_size: "token_embd.weight".into(),
        hidden_size: key("embedding_length"),
        intermediate_size: key("feed_forward_length"),
        layers: key("block_count"),
        heads: key("attention.head_count"),
        kv_heads: key("attention.head_count_kv"),
        head_dim: key("attention.key_length"),
        max_position_embeddings: key("context_length"),
        norm_epsilon: key(match family.norm {
            NormKind::Rms => "attention.layer_norm_rms_epsilon",
            NormKind::Layer => "attention.layer_norm_epsilon",
        }),
        attention_scalar: key("attention.key_length"),
        attention_cap: key("attn_logit_softcapping"),
        logit_cap: key("final_logit_softcapping"),
        rope_theta: key("rope.freq_base"),
        rope_scaling: ROPE_FACTORS.into(),
    }
}

/// A key that begins with the architecture.
fn key_of(family: &Family, key: &str) -> String {
    format!("{}.{key}", family.gguf.unwrap_or_default())
}

/// The shape of the model in a GGUF file. Whether head and embedding are one, and which biases there are, the tensors
/// say.
pub(in crate::format) fn config(file: &GgufFile) -> Result<ModelConfig> {
    let architecture = required(file, "general.architecture", file.str("general.architecture")?)?;
    let family = FAMILIES.into_iter().find(|family| family.gguf == Some(architecture)).ok_or_else(|| {
        let what = format!("{} is not known", shown(architecture));
        Error::unsupported(file.path(), "general.architecture", what)
    })?;
    if let Some(other) = file.str("general.type")?.filter(|kind| *kind != "model") {
        return Err(Error::bad_file(file.path(), "general.type", format!("{} where a model belongs", shown(other))));
    }
    let windowed = matches!(family.windows, Windows::AllButEvery(_) | Windows::Everywhere);
    let more = [(!windowed).then_some(WINDOW), (!family.alibi).then_some(ALIBI)];
    let variants = VARIANTS.into_iter().chain(more.into_iter().flatten());
    for key in variants.map(|key| key_of(family, key)) {
        let neutral = match file.get(&key) {
            None => true,
            Some(GgufValue::Unsigned(n)) => *n == 0,
            Some(GgufValue::Float(x)) => *x == 0.0,
            Some(_) => false,
        };
        if !neutral {
            return Err(Error::unsupported(file.path(), &key, "changes the computation in a way that is not known"));
        }
    }

    if family.alibi {
        let key = key_of(family, ALIBI);
        if let Some(other) = file.f64(&key)?.filter(|bias| *bias != 8.0) {
            return Err(Error::unsupported(file.path(), &key, format!("{other}, where only 8 is known")));
        }
    }
    let names = names(family);
    let size = |key: &str| required(file, key, file.usize(key)?);
    let hidden_size = size(&names.hidden_size)?;
    let heads = size(&names.heads)?;
    let head_dim = match file.usize(&names.head_dim)? {
        Some(head_dim) => head_dim,
        None if heads > 0 && hidden_size.is_multiple_of(heads) => hidden_size / heads,
        None => return Err(Error::bad_file(file.path(), &names.heads, format!("{heads} do not divide {hidden_size}"))),
    };
    let turning_key = key_of(family, "rope.dimension_count");
    let turning = file.usize(&turning_key)?.unwrap_or(head_dim);
    let value_key = key_of(family, "attention.value_length");
    let values = file.usize(&value_key)?.unwrap_or(head_dim);
    let may_turn_in_part = family.turns_in_part && turning < head_dim;
    for (key, other) in [(&value_key, values), (&turning_key, if may_turn_in_part { head_dim } else { turning })] {
        if other != head_dim {
            return Err(Error::unsupported(file.path(), key, format!("{other} where a head has {head_dim}")));
        }
    }
    let layers = size(&names.layers)?;
    let cap = |key: &str, left_out: Option<f64>| -> Result<Option<f32>> {
        match family.caps_and_scale {
            true => Ok(file.f64(key)?.filter(|cap| *cap != 0.0).or(left_out).map(|cap| cap as f32)),
            false => Ok(None),
        }
    };
    let [attention_cap, logit_cap] = family.left_out.caps;
    let sizes = Sizes {
        vocab_size: vocab_size(file, family, &names.vocab_size)?,
        hidden_size,
        intermediate_size: size(&names.intermediate_size)?,
        layers,
        heads,
        kv_heads: file.usize(&names.kv_heads)?.unwrap_or(heads),
        head_dim,
        max_position_embeddings: size(&names.max_position_embeddings)?,
        norm_epsilon: required(file, &names.norm_epsilon, file.f64(&names.norm_epsilon)?)? as f32,
        attention_scalar: attention_scalar(family, layers, head_dim, hidden_size, heads),
        attention_cap: cap(&names.attention_cap, attention_cap)?,
        logit_cap: cap(&names.logit_cap, logit_cap)?,
        ropes: ropes(file, family, &names, turning)?,
        tie_word_embeddings: !file.tensors().contains_key(&format!("{}.weight", family.gguf_path(TensorName::Head))),
    };
    sizes.check(file.path(), &names)?;
    let biases: Vec<bool> = family.modules.iter().map(|module| has_bias(file, family, module)).collect();
    let kinds = layer_kinds(file, family, layers)?;
    Ok(sizes.model(family, &biases, &kinds))
}

/// What attention's factor on scores is the root's inverse of, as llama.cpp has it: files do not say.
fn attention_scalar(family: &Family, layers: usize, head_dim: usize, hidden_size: usize, heads: usize) -> f32 {
    let by_hidden = family.scaled_by_hidden == Some(layers);
    if by_hidden { (hidden_size / heads) as f32 } else { head_dim as f32 }
}

/// What each layer is like, by the family's rule.
fn layer_kinds(file: &GgufFile, family: &Family, layers: usize) -> Result<Vec<LayerKind>> {
    let (window, every) = match family.windows {
        Windows::AllButEvery(usual) => {
            let key = key_of(family, "attention.sliding_window_pattern");
            let every = file.usize(&key)?.unwrap_or(usual);
            if every == 0 {
                return Err(Error::bad_file(file.path(), &key, "0 layers apart"));
            }
            let key = key_of(family, WINDOW);
            let window = file.usize(&key)?.or(family.left_out.sliding_window);
            (Some(required(file, &key, window.filter(|window| *window > 0))?), every)
        }
        Windows::Everywhere => (file.usize(&key_of(family, WINDOW))?.filter(|window| *window > 0), usize::MAX),
        _ => (None, 1),
    };
    let kind = |layer: usize| {
        let window = window.filter(|_| !(layer + 1).is_multiple_of(every));
        let rotated = family.rotates && Family::sees_positions(layer, family.unrotated_every);
        LayerKind { rope: rotated.then(|| family.rope_of(window)), window }
    };
    Ok((0..layers).map(kind).collect())
}

/// Whether a module has biases. Those that one field of a configuration would speak of have them together: the first of
/// them shows it.
fn has_bias(file: &GgufFile, family: &Family, module: &Module) -> bool {
    match module.bias {
        Bias::Always => true,
        Bias::Never => false,
        Bias::Stated(_) => {
            let index = family.modules.iter().position(|other| other.bias == module.bias).unwrap_or(0);
            let path = family.gguf_path(ModuleId { layer: 0, index });
            file.tensors().contains_key(&format!("{path}.bias"))
        }
    }
}

fn required<T>(file: &GgufFile, key: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::bad_file(file.path(), key, "missing"))
}

/// Rows of the embedding, which the metadata may not contradict.
fn vocab_size(file: &GgufFile, family: &Family, embedding: &str) -> Result<usize> {
    let key = key_of(family, "vocab_size");
    let embedding = required(file, embedding, file.tensors().get(embedding))?;
    let rows = embedding.shape.first().copied().unwrap_or(0);
    match file.usize(&key)? {
        Some(stated) if stated != rows => {
            Err(Error::bad_file(file.path(), &key, format!("{stated} where the embedding has {rows} rows")))
        }
        _ => Ok(rows),
    }
}

/// The rotations: one, or two where layers with a window have their own, which is never stretched.
fn ropes(file: &GgufFile, family: &Family, names: &SizeNames, dim: usize) -> Result<Vec<RopeParameters>> {
    if !family.rotates {
        return Ok(Vec::new());
    }
    let mut ropes = vec![rope(file, family, names, dim)?];
    if let Some(usual) = family.left_out.local_rope_theta {
        let theta = file.f64(&key_of(family, "rope.freq_base_swa"))?.unwrap_or(usual);
        ropes.push(RopeParameters { dim, theta, scaling: RopeScaling::None });
    }
    Ok(ropes)
}

fn rope(file: &GgufFile, family: &Family, names: &SizeNames, dim: usize) -> Result<RopeParameters> {
    let key = |key: &str| key_of(family, key);
    let theta = file.f64(&names.rope_theta)?.unwrap_or(10_000.0);
    let factor = match file.f64(&key("rope.scaling.factor"))? {
        Some(factor) => Some(factor),
        None => file.f64(&key("rope.scale_linear"))?,
    };
    let kind = key("rope.scaling.type");
    // llama.cpp takes 0 as no factor, and a factor without a type as linear.
    let factor = factor.filter(|factor| *factor != 0.0 && *factor != 1.0);
    let linear = match (file.str(&kind)?.unwrap_or("linear"), factor) {
        ("none", _) | ("linear" | "yarn", None) => RopeScaling::None,
        ("longrope", _) if family.turns_in_part => RopeScaling::None,
        ("linear", Some(factor)) => RopeScaling::Linear { factor },
        ("yarn", Some(factor)) => yarn(file, family, &names.max_position_embeddings, factor)?,
        (other, _) => return Err(Error::unsupported(file.path(), &kind, format!("{} is not known", shown(other)))),
    };
    if let Some(scaling) = long_rope(file, family, names, dim)? {
        return Ok(RopeParameters { dim, theta, scaling });
    }
    let scaling = match (file.tensors().get(ROPE_FACTORS), linear) {
        (None, scaling) => scaling,
        (Some(factors), RopeScaling::None) => {
            let factors = factors.floats(&[dim / 2])?;
            recognise_llama3(&factors, theta, dim).unwrap_or(RopeScaling::Factors(factors))
        }
        (Some(_), _) => return Err(Error::unsupported(file.path(), ROPE_FACTORS, "beside another scaling")),
    };
    Ok(RopeParameters { dim, theta, scaling })
}

/// LongRoPE, where a file of a family that may have it has the factors.
fn long_rope(file: &GgufFile, family: &Family, names: &SizeNames, dim: usize) -> Result<Option<RopeScaling>> {
    let [short, long] = LONG_ROPE_FACTORS.map(|name| file.tensors().get(name));
    let (true, Some(short), Some(long)) = (family.turns_in_part, short, long) else { return Ok(None) };
    let key = key_of(family, "rope.scaling.original_context_length");
    let original = required(file, &key, file.usize(&key)?)?;
    let context = required(file, &names.max_position_embeddings, file.usize(&names.max_position_embeddings)?)?;
    let stretch = context as f64 / original.max(1) as f64;
    let usual = if stretch > 1.0 { (1.0 + stretch.ln() / (original as f64).ln()).sqrt() } else { 1.0 };
    Ok(Some(RopeScaling::LongRope {
        short_factors: short.floats(&[dim / 2])?,
        long_factors: long.floats(&[dim / 2])?,
        original_max_position_embeddings: original,
        attention_factor: file.f64(&key_of(family, "rope.scaling.attn_factor"))?.unwrap_or(usual),
    }))
}

/// YaRN's settings, with llama.cpp's defaults: the context of the first training is the model's, as the key `context` says.
fn yarn(file: &GgufFile, family: &Family, context: &str, factor: f64) -> Result<RopeScaling> {
    let key = |key: &str| key_of(family, &format!("rope.scaling.{key}"));
    for other in ["yarn_attn_factor", "yarn_ext_factor", "yarn_log_multiplier"].map(key) {
        if file.get(&other).is_some() {
            return Err(Error::unsupported(file.path(), &other, "scales in a way that is not known"));
        }
    }
    let original_context = match file.usize(&key("original_context_length"))? {
        Some(original_context) => original_context,
        None => required(file, context, file.usize(context)?)?,
    };
    Ok(RopeScaling::Yarn {
        factor,
        original_max_position_embeddings: original_context,
        beta_fast: file.f64(&key("yarn_beta_fast"))?.unwrap_or(32.0),
        beta_slow: file.f64(&key("yarn_beta_slow"))?.unwrap_or(1.0),
        attention_factor: file.f64(&key("attn_factor"))?.unwrap_or(1.0) * (0.1 * factor.ln() + 1.0),
        truncate: true,
    })
}

/// The settings of Llama 3.1 and its successors that make these factors, if they do: what a `config.json` can say.
fn recognise_llama3(factors: &[f32], theta: f64, dim: usize) -> Option<RopeScaling> {
    let (low, high, context) = (1.0, 4.0, 8192usize);
    let factor = f64::from(factors.iter().copied().fold(1.0, f32::max));
    let expected = (0..dim / 2).map(|pair| {
        let wavelength = std::f64::consts::TAU * theta.powf(2.0 * pair as f64 / dim as f64);
        let turns = context as f64 / wavelength;
        let smooth = ((turns - low) / (high - low)).clamp(0.0, 1.0);
        1.0 / ((1.0 - smooth) / factor + smooth)
    });
    let same = factors.iter().zip(expected).all(|(&stored, exact)| (f64::from(stored) - exact).abs() <= 1e-5 * exact);
    (same && factor > 1.0).then_some(RopeScaling::Llama3 {
        factor,
        low_freq_factor: low,
        high_freq_factor: high,
        original_max_position_embeddings: context,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama3_factors_are_recognised_and_others_are_not() {
        // As the converter of llama.cpp writes them for Llama 3.2: base 500,000, heads of 64, factor 32.
        let factors: Vec<f32> = (0..32)
            .map(|pair| {
                let wavelength = std::f32::consts::TAU * 500_000f32.powf(2.0 * pair as f32 / 64.0);
                match wavelength {
                    short if short < 2048.0 => 1.0,
                    long if long > 8192.0 => 32.0,
                    middle => {
                        let smooth = (8192.0 / middle - 1.0) / 3.0;
                        1.0 / ((1.0 - smooth) / 32.0 + smooth)
                    }
                }
            })
            .collect();
        assert!(factors.iter().any(|f| *f > 1.0 && *f < 32.0), "no factor on the smooth passage");
        let recognised = recognise_llama3(&factors, 500_000.0, 64);
        assert!(matches!(recognised, Some(RopeScaling::Llama3 { factor: 32.0, .. })), "{recognised:?}");
        let mut bent = factors;
        bent[15] *= 1.01;
        assert_eq!(recognise_llama3(&bent, 500_000.0, 64), None);
        assert_eq!(recognise_llama3(&[1.0; 32], 500_000.0, 64), None);
    }
}
