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
    if !family.rotates {
        return Ok(Vec::new());
    }
    let Some(local) = family.left_out.local_rope_theta else {
        let share = share(fields, settings.as_ref(), family)?;
        let turning = (dim as f64 * share) as usize;
        return Ok(vec![rope(fields, settings.as_ref(), family, turning, context, usual)?]);
    };
    share(fields, settings.as_ref(), family)?;
    let nested = settings.as_ref().filter(|settings| BY_TYPE.iter().any(|kind| settings.get(kind).is_some()));
    if let Some(nested) = nested {
        let of = |kind: &str, usual: f64| -> Result<RopeParameters> {
            let settings = nested.required(kind, nested.fields(kind)?)?;
            rope(fields, Some(&settings), family, dim, context, usual)
        };
        return Ok(vec![of(BY_TYPE[0], usual)?, of(BY_TYPE[1], local)?]);
    }
    let theta = fields.f64(LOCAL_THETA)?.unwrap_or(local);
    let local = RopeParameters { dim, theta, scaling: RopeScaling::None };
    Ok(vec![rope(fields, settings.as_ref(), family, dim, context, usual)?, local])
}

/// The share of each head that turns.
fn share(fields: &JsonFields, settings: Option<&JsonFields>, family: &Family) -> Result<f64> {
    const SHARE: &str = "partial_rotary_factor";
    for holder in [settings, Some(fields)].into_iter().flatten() {
        match holder.f64(SHARE)? {
            None => {}
            Some(1.0) => return Ok(1.0),
            Some(_) if !family.turns_in_part => return Err(holder.unsupported(SHARE, "other than 1")),
            Some(share) if share > 0.0 && share < 1.0 => return Ok(share),
            Some(share) => return Err(holder.bad(SHARE, format!("{share} is no share of a head"))),
        }
    }
    Ok(1.0)
}

/// A rotation by its settings, where it has some (transformers 5 and 4); the base is `usual` where none is stated.
fn rope(
    fields: &JsonFields,
    settings: Option<&JsonFields>,
    family: &Family,
    dim: usize,
    context: usize,
    usual: f64,
) -> Result<RopeParameters> {
    let inner_theta = settings.map(|settings| settings.f64("rope_theta")).transpose()?.flatten();
    let theta = match inner_theta {
        Some(theta) => theta,
        None => fields.f64("rope_theta")?.unwrap_or(usual),
    };
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
        // Phi-3's first releases called LongRoPE `su` or `yarn`.
        "longrope" | "su" | "yarn" if family.turns_in_part => long_rope(fields, scaling, dim, context)?,
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

/// LongRoPE's settings: which of the two lists of factors holds is told by the context that a model is opened for.
fn long_rope(fields: &JsonFields, scaling: &JsonFields, dim: usize, context: usize) -> Result<RopeScaling> {
    const ORIGINAL: &str = "original_max_position_embeddings";
    let original = match fields.usize(ORIGINAL)? {
        Some(original) => original,
        None => scaling.required(ORIGINAL, scaling.usize(ORIGINAL)?)?,
    };
    let factors = |name: &str| -> Result<Vec<f32>> {
        let list = scaling.required(name, scaling.get(name))?.as_array();
        let numbers =
            list.and_then(|list| list.iter().map(|n| n.as_f64().map(|n| n as f32)).collect::<Option<Vec<_>>>());
        let numbers = numbers.filter(|numbers| numbers.len() == dim / 2);
        numbers.ok_or_else(|| scaling.bad(name, format!("not {} numbers, one for each pair that turns", dim / 2)))
    };
    let stretch = scaling.f64("factor")?.unwrap_or(context as f64 / original.max(1) as f64);
    let usual = if stretch > 1.0 { (1.0 + stretch.ln() / (original as f64).ln()).sqrt() } else { 1.0 };
    Ok(RopeScaling::LongRope {
        short_factors: factors("short_factor")?,
        long_factors: factors("long_factor")?,
        original_max_position_embeddings: original,
        attention_factor: scaling.f64("attention_factor")?.unwrap_or(usual),
    })
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
