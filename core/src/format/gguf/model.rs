//! GGUF metadata of the `llama` architecture to the shape of a model.

use super::{GgufFile, GgufValue};
use crate::error::shown;
use crate::error::{Error, Result};
use crate::shape::{ConfigFields, Family, ModelConfig, RopeParameters, RopeScaling};

const NAMES: ConfigFields = ConfigFields {
    vocab_size: "token_embd.weight",
    hidden_size: "llama.embedding_length",
    intermediate_size: "llama.feed_forward_length",
    layers: "llama.block_count",
    heads: "llama.attention.head_count",
    kv_heads: "llama.attention.head_count_kv",
    head_dim: "llama.attention.key_length",
    max_position_embeddings: "llama.context_length",
    rms_norm_eps: "llama.attention.layer_norm_rms_epsilon",
    rope_theta: "llama.rope.freq_base",
    rope_scaling: ROPE_FACTORS,
};

/// The tensor of explicit frequency factors.
pub(in crate::format) const ROPE_FACTORS: &str = "rope_freqs.weight";

/// Keys that other models of this architecture use to change what is computed.
const VARIANTS: [&str; 8] = [
    "llama.expert_count",
    "llama.attention.scale",
    "llama.attention.sliding_window",
    "llama.attention.clamp_kqv",
    "llama.attention.max_alibi_bias",
    "llama.logit_scale",
    "llama.residual_scale",
    "llama.embedding_scale",
];

/// The shape of the model in a GGUF file. Whether head and embedding are one, and which biases there are, the tensors
/// say.
pub(in crate::format) fn config(file: &GgufFile) -> Result<ModelConfig> {
    let architecture = required(file, "general.architecture", file.str("general.architecture")?)?;
    if architecture != "llama" {
        let what = format!("{} is not known", shown(architecture));
        return Err(Error::unsupported(file.path(), "general.architecture", what));
    }
    if let Some(other) = file.str("general.type")?.filter(|kind| *kind != "model") {
        return Err(Error::bad_file(file.path(), "general.type", format!("{} where a model belongs", shown(other))));
    }
    if file.usize("split.count")?.is_some_and(|parts| parts > 1) {
        let error = Error::unsupported(file.path(), "split.count", "a model in several files");
        return Err(error.with_hint("merge the parts with llama-gguf-split --merge"));
    }
    for key in VARIANTS {
        let neutral = match file.get(key) {
            None => true,
            Some(GgufValue::Unsigned(n)) => *n == 0,
            Some(GgufValue::Float(x)) => *x == 0.0,
            Some(_) => false,
        };
        if !neutral {
            return Err(Error::unsupported(file.path(), key, "changes the computation in a way that is not known"));
        }
    }

    let size = |key: &str| required(file, key, file.usize(key)?);
    let hidden_size = size(NAMES.hidden_size)?;
    let heads = size(NAMES.heads)?;
    let head_dim = match file.usize(NAMES.head_dim)? {
        Some(head_dim) => head_dim,
        None if heads > 0 && hidden_size.is_multiple_of(heads) => hidden_size / heads,
        None => return Err(Error::bad_file(file.path(), NAMES.heads, format!("{heads} do not divide {hidden_size}"))),
    };
    for key in ["llama.attention.value_length", "llama.rope.dimension_count"] {
        if let Some(other) = file.usize(key)?.filter(|other| *other != head_dim) {
            return Err(Error::unsupported(file.path(), key, format!("{other} where a head has {head_dim}")));
        }
    }
    let config = ModelConfig {
        family: Family::Llama,
        vocab_size: vocab_size(file)?,
        hidden_size,
        intermediate_size: size(NAMES.intermediate_size)?,
        layers: size(NAMES.layers)?,
        heads,
        kv_heads: file.usize(NAMES.kv_heads)?.unwrap_or(heads),
        head_dim,
        max_position_embeddings: size(NAMES.max_position_embeddings)?,
        rms_norm_eps: required(file, NAMES.rms_norm_eps, file.f64(NAMES.rms_norm_eps)?)? as f32,
        rope: rope(file, head_dim)?,
        tie_word_embeddings: !file.tensors().contains_key("output.weight"),
        attention_bias: file.tensors().contains_key("blk.0.attn_q.bias"),
        mlp_bias: file.tensors().contains_key("blk.0.ffn_gate.bias"),
    };
    config.validate(file.path(), &NAMES)?;
    Ok(config)
}

fn required<T>(file: &GgufFile, key: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::bad_file(file.path(), key, "missing"))
}

/// Rows of the embedding, which the metadata may not contradict.
fn vocab_size(file: &GgufFile) -> Result<usize> {
    const KEY: &str = "llama.vocab_size";
    let embedding = required(file, NAMES.vocab_size, file.tensors().get(NAMES.vocab_size))?;
    let rows = embedding.shape.first().copied().unwrap_or(0);
    match file.usize(KEY)? {
        Some(stated) if stated != rows => {
            Err(Error::bad_file(file.path(), KEY, format!("{stated} where the embedding has {rows} rows")))
        }
        _ => Ok(rows),
    }
}

fn rope(file: &GgufFile, head_dim: usize) -> Result<RopeParameters> {
    const TYPE: &str = "llama.rope.scaling.type";
    const FACTOR: &str = "llama.rope.scaling.factor";
    const OLD_FACTOR: &str = "llama.rope.scale_linear";
    let theta = file.f64(NAMES.rope_theta)?.unwrap_or(10_000.0);
    let factor = match file.f64(FACTOR)? {
        Some(factor) => Some(factor),
        None => file.f64(OLD_FACTOR)?,
    };
    // llama.cpp takes 0 as no factor, and a factor without a type as linear.
    let factor = factor.filter(|factor| *factor != 0.0 && *factor != 1.0);
    let linear = match (file.str(TYPE)?.unwrap_or("linear"), factor) {
        ("none", _) | ("linear", None) => RopeScaling::None,
        ("linear", Some(factor)) => RopeScaling::Linear { factor },
        (other, _) => return Err(Error::unsupported(file.path(), TYPE, format!("{} is not known", shown(other)))),
    };
    let scaling = match (file.tensors().get(ROPE_FACTORS), linear) {
        (None, scaling) => scaling,
        (Some(factors), RopeScaling::None) => {
            let factors = factors.floats(&[head_dim / 2])?;
            recognise_llama3(&factors, theta, head_dim).unwrap_or(RopeScaling::Factors(factors))
        }
        (Some(_), _) => return Err(Error::unsupported(file.path(), ROPE_FACTORS, "beside a linear scaling")),
    };
    Ok(RopeParameters { theta, scaling })
}

/// The settings of Llama 3.1 and its successors that make these factors, if they do: what a `config.json` can say.
fn recognise_llama3(factors: &[f32], theta: f64, head_dim: usize) -> Option<RopeScaling> {
    let (low, high, context) = (1.0, 4.0, 8192usize);
    let factor = f64::from(factors.iter().copied().fold(1.0, f32::max));
    let expected = (0..head_dim / 2).map(|pair| {
        let wavelength = std::f64::consts::TAU * theta.powf(2.0 * pair as f64 / head_dim as f64);
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
