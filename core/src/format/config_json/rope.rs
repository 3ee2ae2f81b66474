//! Rotary settings, in either spelling.

use crate::disk::json::JsonFields;
use crate::error::{Result, shown};
use crate::shape::{RopeParameters, RopeScaling};

/// `rope_parameters` (transformers 5), or `rope_theta` and `rope_scaling` (before), of heads of `dim` values in a model of
/// `context` positions; the base is `usual` where it is not stated.
pub(super) fn rope(fields: &JsonFields, dim: usize, context: usize, usual: f64) -> Result<RopeParameters> {
    let scaling = match fields.fields("rope_scaling")? {
        Some(scaling) => Some(scaling),
        None => fields.fields("rope_parameters")?,
    };
    let inner_theta = scaling.as_ref().map(|scaling| scaling.f64("rope_theta")).transpose()?.flatten();
    let theta = match inner_theta {
        Some(theta) => theta,
        None => fields.f64("rope_theta")?.unwrap_or(usual),
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
    let original_context = scaling.usize("original_max_position_embeddings")?.unwrap_or(context);
    let number = |name: &str| scaling.required(name, scaling.f64(name)?);
    let scaling = match scaling.str(key)?.unwrap_or("default") {
        "default" => RopeScaling::None,
        "linear" => RopeScaling::Linear { factor: number("factor")? },
        "dynamic" => RopeScaling::Dynamic { factor: number("factor")? },
        "yarn" => yarn(&scaling, original_context)?,
        "llama3" => RopeScaling::Llama3 {
            factor: number("factor")?,
            low_freq_factor: number("low_freq_factor")?,
            high_freq_factor: number("high_freq_factor")?,
            original_max_position_embeddings: original_context,
        },
        other => return Err(scaling.unsupported(key, format!("{} is not known", shown(other)))),
    };
    Ok(RopeParameters { dim, theta, scaling })
}

/// YaRN's settings, with the defaults of transformers.
fn yarn(scaling: &JsonFields, original_context: usize) -> Result<RopeScaling> {
    let factor = scaling.required("factor", scaling.f64("factor")?)?;
    let stretch = |strength: f64| if factor > 1.0 { 0.1 * strength * factor.ln() + 1.0 } else { 1.0 };
    let strengths = (scaling.f64("mscale")?, scaling.f64("mscale_all_dim")?);
    Ok(RopeScaling::Yarn {
        factor,
        original_max_position_embeddings: original_context,
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
