//! Which adapters an answer is given with.

use super::answer_cache::Using;
use crate::adapter::Adapter;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Model;
use crate::registry::Registry;

/// The greatest weight of an adapter in an answer, as an absolute value.
const MOST_WEIGHT: f32 = 2.0;

/// Versions that one answer may be given with.
const MOST_VERSIONS: usize = 8;

/// An adapter version and how strongly it is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdapterWeight {
    /// Its number.
    pub version: u32,
    /// What takes the place of its strength, from −2 to 2: 1 is what it was trained to do, below 0 its opposite.
    pub weight: f32,
}

/// Which adapters an answer is given with.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum AdapterChoice {
    /// The version in use, at its strength; where it was made for another base, the base alone.
    #[default]
    InUse,
    /// These versions together; none is the base alone.
    These(Vec<AdapterWeight>),
}

impl AdapterChoice {
    /// The base alone.
    pub fn base() -> Self {
        Self::These(Vec::new())
    }
}

/// What was chosen as a key. What is in use, the registry says now: another process may have switched. Of another base's
/// version in use, nothing is used.
///
/// # Errors
/// When the registry cannot be read, and for weights as `key_of` says.
pub(super) fn chosen(choice: &AdapterChoice, registry: &Registry, model: &Model) -> Result<Using> {
    if let AdapterChoice::These(weights) = choice {
        return key_of(weights);
    }
    let state = registry.state()?;
    let Some(number) = state.active else { return Ok(Vec::new()) };
    let version = state.version(number)?;
    let unused = version.strength == 0.0 || version.is_stale(model.fingerprint());
    Ok(if unused { Vec::new() } else { vec![(number, version.strength.to_bits())] })
}

/// The adapter of a key: a version, or several as one; none for the base alone.
///
/// # Errors
/// When a version is not there, is damaged, or was made for another base; when several cannot go together.
pub(super) fn load(using: &Using, registry: &Registry, model: &Model) -> Result<Option<Adapter>> {
    let adapters = using.iter().map(|&(version, _)| registry.load(version, model)).collect::<Result<Vec<_>>>()?;
    let weights = using.iter().map(|&(_, bits)| f32::from_bits(bits));
    let parts: Vec<(&Adapter, f32)> = adapters.iter().zip(weights).collect();
    match &parts[..] {
        [] => Ok(None),
        // As it is where a strength can say it: the same bits as when it is in use.
        [(adapter, weight)] if (0.0..=1.0).contains(weight) => Ok(Some((*adapter).clone().with_strength(*weight)?)),
        parts => Ok(Some(Adapter::blend(parts, model)?)),
    }
}

/// The versions as a key, in the order of the versions; those of no weight are left out.
///
/// # Errors
/// [`ErrorKind::BadOption`] for a version that is named twice, too many of them, and a weight out of its range.
fn key_of(weights: &[AdapterWeight]) -> Result<Using> {
    let wrong = |message: String| Error::new(ErrorKind::BadOption, message);
    let mut key = Vec::with_capacity(weights.len());
    for AdapterWeight { version, weight } in weights {
        // Written so that what is no number is refused as well.
        if !(weight.abs() <= MOST_WEIGHT) {
            return Err(wrong(format!("weight {weight} of version {version} is outside -{MOST_WEIGHT} to {MOST_WEIGHT}")));
        }
        key.push((*version, weight.to_bits(), *weight == 0.0));
    }
    key.sort_unstable();
    if let Some(twice) = key.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(wrong(format!("version {} is named twice", twice[0].0)).with_hint("give each version one weight"));
    }
    if key.len() > MOST_VERSIONS {
        return Err(wrong(format!("{} versions at once; at most {MOST_VERSIONS} go together", key.len())));
    }
    Ok(key.into_iter().filter(|(.., none)| !none).map(|(version, bits, _)| (version, bits)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_says_what_the_answer_depends_on() {
        let weight = |version, weight| AdapterWeight { version, weight };
        let key = |weights: &[AdapterWeight]| key_of(weights).unwrap();
        assert_eq!(key(&[]), vec![]);
        assert_eq!(key(&[weight(3, 0.0), weight(2, -0.0)]), vec![]);
        assert_eq!(key(&[weight(3, 0.5), weight(1, -1.0)]), key(&[weight(1, -1.0), weight(3, 0.5), weight(2, 0.0)]));
        assert_ne!(key(&[weight(3, 0.5)]), key(&[weight(3, 0.25)]));
        for (weights, part) in [
            (vec![weight(1, 0.5), weight(2, 0.5), weight(1, 0.5)], "version 1 is named twice"),
            (vec![weight(1, 2.1)], "weight 2.1 of version 1"),
            (vec![weight(1, f32::NAN)], "weight NaN"),
            ((0..9).map(|version| weight(version, 1.0)).collect(), "9 versions"),
        ] {
            let error = key_of(&weights).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadOption);
            assert!(error.message().contains(part), "{error}");
        }
    }
}
