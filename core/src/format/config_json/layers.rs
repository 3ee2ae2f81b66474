//! What distinguishes one layer from another: windows, and layers that see no positions.

use crate::disk::json::JsonFields;
use crate::error::{Result, shown};
use crate::shape::{Family, LayerKind, Windows};

/// What each layer is like: as `layer_types` says, else by the family's rule.
pub(super) fn layer_kinds(fields: &JsonFields, family: &Family, layers: usize) -> Result<Vec<LayerKind>> {
    let rotated = rotated(fields, family, layers)?;
    let windows = windows(fields, family, &rotated)?;
    Ok(windows.into_iter().zip(rotated).map(|(window, rotated)| LayerKind { rotated, window }).collect())
}

/// The window of each layer that has one.
fn windows(fields: &JsonFields, family: &Family, rotated: &[bool]) -> Result<Vec<Option<usize>>> {
    const WINDOW: &str = "sliding_window";
    let window = match fields.usize(WINDOW)? {
        Some(0) => return Err(fields.bad(WINDOW, "0 keys to see")),
        window => window,
    };
    if let Some(kinds) = fields.strings("layer_types")? {
        if kinds.len() != rotated.len() {
            return Err(fields.bad("layer_types", format!("{} of them for {} layers", kinds.len(), rotated.len())));
        }
        let of = |kind: &&str| match *kind {
            "full_attention" => Ok(None),
            "sliding_attention" => Ok(Some(fields.required(WINDOW, window)?)),
            other => Err(fields.unsupported("layer_types", shown(other))),
        };
        return kinds.iter().map(of).collect();
    }
    let used = fields.bool("use_sliding_window")?.unwrap_or(false);
    let first = fields.usize("max_window_layers")?.unwrap_or(rotated.len());
    let has_one = |(layer, rotated): (usize, &bool)| match family.windows {
        Windows::None => false,
        Windows::Everywhere => true,
        Windows::FromLayer => used && layer >= first,
        Windows::Unrotated => used && !rotated,
    };
    Ok(rotated.iter().enumerate().map(|layer| window.filter(|_| has_one(layer))).collect())
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
