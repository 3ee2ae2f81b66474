//! What a registry holds.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::seal::random_bytes;

/// Where a version came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A training of this profile.
    Trained,
    /// A file from elsewhere.
    Imported,
}

/// Tells one training from every other, however often it is paused or killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct TrainingId(String);

impl TrainingId {
    /// One that no other training has.
    pub fn random() -> Result<Self> {
        Ok(Self(random_bytes::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect()))
    }
}

/// One adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Its number; numbers are never given twice.
    pub version: u32,
    /// Seconds since 1970.
    pub created: i64,
    /// The base that it was made for.
    pub base_fingerprint: String,
    /// SHA-256 of its parameters.
    pub sha256: String,
    /// The version in use when it was made.
    pub parent: Option<u32>,
    /// Where it came from.
    pub origin: Origin,
    /// The share of its effect that it has when it is used, 0 to 1.
    pub strength: f32,
    /// It learned from samples that were removed since: train again.
    pub learned_from_removed: bool,
    /// The training of this profile that made it.
    pub(crate) training: Option<TrainingId>,
    /// What its training reported.
    pub report: Map<String, Value>,
}

impl Version {
    /// Whether it was made for another base than the one of this fingerprint.
    pub fn is_stale(&self, base_fingerprint: &str) -> bool {
        self.base_fingerprint != base_fingerprint
    }
}

/// Every version, and the one in use.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RegistryState {
    /// All versions, oldest first.
    pub versions: Vec<Version>,
    /// The one in use; `None` is the base alone.
    pub active: Option<u32>,
    /// What was in use before, latest last.
    earlier: Vec<Option<u32>>,
    /// The highest number given so far.
    last_version: u32,
    /// How often the gate was asked in the life of the profile, as far as it was noted here; none in an index of an
    /// earlier release, or before the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked: Option<u32>,
}

/// Steps that can be rolled back.
const MOST_EARLIER: usize = 32;

impl RegistryState {
    /// A version by its number.
    ///
    /// # Errors
    /// When there is none of this number.
    pub fn version(&self, number: u32) -> Result<&Version> {
        self.versions.iter().find(|version| version.version == number).ok_or_else(|| missing(number))
    }

    /// The version in use, where it was made for another base than the one of this fingerprint: until one of this base is
    /// in use, the base alone answers.
    pub fn stale(&self, base_fingerprint: &str) -> Option<u32> {
        let active = self.active.and_then(|number| self.version(number).ok())?;
        active.is_stale(base_fingerprint).then_some(active.version)
    }

    /// What a training made, if it was promoted and not deleted since.
    pub(crate) fn made_by(&self, training: &TrainingId) -> Option<&Version> {
        self.versions.iter().find(|version| version.training.as_ref() == Some(training))
    }

    /// How often the gate was asked so far, where the profile's last training tells `last`.
    ///
    /// Earlier releases counted anew after each promotion. Of such an index it is at least the sum of what its versions'
    /// reports tell and of `last`, and one more for every number whose version is gone: rather too many than too few.
    pub(crate) fn asked(&self, last: u32) -> u32 {
        if let Some(asked) = self.asked {
            return asked.max(last);
        }
        let told = |version: &Version| version.report.get("asked").and_then(Value::as_u64).unwrap_or(1).max(1);
        let trained = self.versions.iter().filter(|version| version.origin == Origin::Trained);
        let gone = u64::from(self.last_version).saturating_sub(self.versions.len() as u64);
        let asked = trained.map(told).fold(gone + u64::from(last), u64::saturating_add);
        u32::try_from(asked).unwrap_or(u32::MAX)
    }

    /// Whether so many askings are noted here: none are before the first.
    pub(super) fn is_noted(&self, asked: u32) -> bool {
        self.asked.unwrap_or(0) == asked
    }

    /// Notes how often the gate was asked, and returns what is noted then: it never falls.
    pub(super) fn note_asked(&mut self, asked: u32) -> u32 {
        *self.asked.insert(asked.max(self.asked.unwrap_or(0)))
    }

    pub(super) fn version_mut(&mut self, number: u32) -> Result<&mut Version> {
        self.versions.iter_mut().find(|version| version.version == number).ok_or_else(|| missing(number))
    }

    pub(super) fn next_version(&mut self) -> u32 {
        self.last_version += 1;
        self.last_version
    }

    pub(super) fn activate(&mut self, version: Option<u32>) -> Result<()> {
        version.map(|number| self.version(number)).transpose()?;
        if version != self.active {
            self.earlier.push(self.active);
            let excess = self.earlier.len().saturating_sub(MOST_EARLIER);
            self.earlier.drain(..excess);
            self.active = version;
        }
        Ok(())
    }

    pub(super) fn rollback(&mut self) -> Result<Option<u32>> {
        let nothing = || Error::new(ErrorKind::BadOption, "nothing was in use before");
        self.active = self.earlier.pop().ok_or_else(nothing)?;
        Ok(self.active)
    }

    pub(super) fn remove(&mut self, number: u32) -> Result<()> {
        self.version(number)?;
        self.versions.retain(|version| version.version != number);
        self.earlier.retain(|&earlier| earlier != Some(number));
        if self.active == Some(number) {
            self.active = None;
        }
        Ok(())
    }
}

fn missing(number: u32) -> Error {
    Error::new(ErrorKind::BadOption, format!("there is no adapter version {number}"))
        .with_hint("list the adapters to see which there are")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn askings_are_counted_for_life() {
        let version = |number: u32, origin: &str, report: Value| {
            json!({
                "version": number, "created": 0, "base_fingerprint": "b", "sha256": "s", "parent": null,
                "origin": origin, "strength": 1.0, "learned_from_removed": false, "training": null, "report": report
            })
        };
        // Version 3 was deleted, version 4 came from elsewhere.
        let before = json!({
            "versions": [
                version(1, "trained", json!({"asked": 2})),
                version(2, "trained", json!({})),
                version(4, "imported", json!({})),
            ],
            "active": 2, "earlier": [], "last_version": 4
        });
        let mut state: RegistryState = serde_json::from_value(before).unwrap();
        assert_eq!(state.asked(7), 2 + 1 + 1 + 7);
        state.note_asked(11);
        assert_eq!([0, 7, 12].map(|last| state.asked(last)), [11, 11, 12], "the larger of the two");
        state.note_asked(5);
        assert_eq!(state.asked(0), 11, "it never falls");
        let again: RegistryState = serde_json::from_value(serde_json::to_value(&state).unwrap()).unwrap();
        assert_eq!(again, state);
        assert_eq!([0, 3].map(|last| RegistryState::default().asked(last)), [0, 3]);
    }
}
