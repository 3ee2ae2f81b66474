//! Rotary settings, in either spelling.

use crate::disk::json::JsonFields;
use crate::error::{Result, shown};
use crate::shape::{Family, RopeParameters, RopeScaling};

/// Base of the second rotation, of layers with a window, in the spelling of transformers 4.
pub(crate) const LOCAL_THETA: &str = "rope_local_base_freq";

/// In `rope_parameters`, rotations by the type of layer: of those without a window and of those with one.
const BY_TYPE: [&str; 2] = ["full_attention", "sliding_attention"];

/// The rotations of a family's model of `context` positions and heads of `dim` values: one, or two where layers with a
/// window have their own.
pub(super) fn ropes(fields: &JsonFields, family: &Family, dim: usize, context: usize) -> Result<Vec<RopeParameters>> {
    let usual = family.left_out.rope_theta;
    let settings = match fields.fields("rope_scaling")? {
        Some(settings) => Some(settings),
        None => fields.fields("rope_parameters")?,
    };
    let Some(local) = family.left_out.local_rope_theta else {
        return Ok(vec![rope(fields, settings.as_ref(), dim, context, usual)?]);
    };
    let nested = settings.as_ref().filter(|settings| BY_TYPE.iter().any(|kind| settings.get(kind).is_some()));
    if let Some(nested) = nested {
        let of = |kind: &str, usual: f64| -> Result<RopeParameters> {
            let settings = nested.required(kind, nested.fields(kind)?)?;
            rope(fields, Some(&settings), dim, context, usual)
        };
        return Ok(vec![of(BY_TYPE[0], usual)?, of(BY_TYPE[1], local)?]);
    }
    let theta = fields.f64(LOCAL_THETA)?.unwrap_or(local);
    let local = RopeParameters { dim, theta, scaling: RopeScaling::None };
    Ok(vec![rope(fields, settings.as_ref(), dim, context, usual)?, local])
}

/// A rotation by its settings, where it has some (transformers 5 and 4); the base is `usual` where none is stated.
fn rope(
    fields: &JsonFields,
    settings: Option<&JsonFields>,
    dim: usize,
    context: usize,
    usual: f64,
) -> Result<RopeParameters> {
    let inner_theta = settings.map(|settings| settings.f64("rope_theta")).transpose()?.flatten();
    let theta = match inner_theta {
        Some(theta) => theta,
        None => fields.f64("rope_theta")?.unwrap_or(usual),
    };
    for holder in [Some(fields), settings].into_iter().flatten() {
        let factor = "partial_rotary_factor";
        if holder.f64(factor)?.is_some_and(|factor| factor != 1.0) {
            return Err(holder.unsupported(factor, "other than 1"));
        }
    }
    let Some(scaling) = settings else {
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
        "yarn" => yarn(scaling, original_context)?,
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
