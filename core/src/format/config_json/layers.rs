//! What distinguishes one layer from another: windows, and layers that see no positions.

use crate::disk::json::JsonFields;
use crate::error::{Result, shown};
use crate::shape::{Family, LayerKind, Windows};

/// What each layer is like: as `layer_types` says, else by the family's rule.
pub(super) fn layer_kinds(fields: &JsonFields, family: &Family, layers: usize) -> Result<Vec<LayerKind>> {
    let rotated = rotated(fields, family, layers)?;
    let windows = windows(fields, family, &rotated)?;
    let kind =
        |(window, rotated): (Option<usize>, bool)| LayerKind { rope: rotated.then(|| family.rope_of(window)), window };
    Ok(windows.into_iter().zip(rotated).map(kind).collect())
}

/// The window of each layer that has one.
fn windows(fields: &JsonFields, family: &Family, rotated: &[bool]) -> Result<Vec<Option<usize>>> {
    const WINDOW: &str = "sliding_window";
    let window = match fields.usize(WINDOW)? {
        Some(0) => return Err(fields.bad(WINDOW, "0 keys to see")),
        // Null says that there is none.
        None if !fields.object().contains_key(WINDOW) => family.left_out.sliding_window,
        window => window,
    };
    let used = fields.bool("use_sliding_window")?.unwrap_or(false);
    let first = fields.usize("max_window_layers")?.unwrap_or(family.left_out.max_window_layers);
    let listed = sliding_layers(fields, rotated.len())?;
    let mut has_one: Vec<bool> = match family.windows {
        Windows::None => vec![false; rotated.len()],
        Windows::Everywhere => vec![window.is_some(); rotated.len()],
        Windows::AllButEvery(usual) => {
            let every = fields.usize(PATTERN)?.unwrap_or(usual);
            if every == 0 {
                return Err(fields.bad(PATTERN, "0 layers apart"));
            }
            (1..=rotated.len()).map(|layer| !layer.is_multiple_of(every)).collect()
        }
        Windows::FromLayer => (0..rotated.len()).map(|layer| used && layer >= first).collect(),
        Windows::Unrotated => rotated.iter().map(|rotated| used && !rotated).collect(),
    };
    if let Some(listed) = listed {
        let goes_by_list = match family.windows {
            Windows::None | Windows::Everywhere => false,
            Windows::FromLayer | Windows::Unrotated => used,
            Windows::AllButEvery(_) => true,
        };
        if !goes_by_list && listed != has_one {
            let what = format!("other layers with a window than a {} model has with these settings", family.name);
            return Err(fields.unsupported(TYPES, what));
        }
        has_one = listed;
    }
    let of = |sliding: bool| if sliding { fields.required(WINDOW, window).map(Some) } else { Ok(None) };
    has_one.into_iter().map(of).collect()
}

const TYPES: &str = "layer_types";
const PATTERN: &str = "sliding_window_pattern";

/// Which layers `layer_types` gives a window, where it is there.
fn sliding_layers(fields: &JsonFields, layers: usize) -> Result<Option<Vec<bool>>> {
    let Some(kinds) = fields.strings(TYPES)? else { return Ok(None) };
    if kinds.len() != layers {
        return Err(fields.bad(TYPES, format!("{} of them for {layers} layers", kinds.len())));
    }
    let of = |kind: &&str| match *kind {
        "full_attention" => Ok(false),
        "sliding_attention" => Ok(true),
        other => Err(fields.unsupported(TYPES, shown(other))),
    };
    kinds.iter().map(of).collect::<Result<_>>().map(Some)
}

/// Which layers see positions.
fn rotated(fields: &JsonFields, family: &Family, layers: usize) -> Result<Vec<bool>> {
    const LIST: &str = "no_rope_layers";
    const INTERVAL: &str = "no_rope_layer_interval";
    let Some(usual) = family.unrotated_every else { return Ok(vec![family.rotates; layers]) };
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
        every => Ok((0..layers).map(|layer| Family::sees_positions(layer, Some(every))).collect()),
    }
}
