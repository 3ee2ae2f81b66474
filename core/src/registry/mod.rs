//! The adapters of a profile: numbered versions, the one in use, how strongly it is used.
//!
//! Every version is sealed in a file of its own; one sealed index says what they are. The index changes under a lock, so
//! that several processes may use one registry.

mod archive;
mod export;
mod index;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

pub(crate) use index::TrainingId;
pub use index::{Origin, RegistryState, Version};

use crate::adapter::Adapter;
use crate::disk::door::Door;
use crate::disk::lock;
use crate::disk::staged::{remove_if_there, unfinished};
use crate::error::{Error, ErrorKind, Result};
use crate::history::{History, LearnedVersion};
use crate::model::Model;
use crate::seal::{Key, Purpose, read_sealed, write_sealed};
use crate::time::now;

const INDEX: &str = "index";
const LOCK: &str = "lock";

/// The adapters of one profile.
#[derive(Debug, Clone)]
pub struct Registry {
    folder: PathBuf,
    key: Key,
    door: Door,
}

impl Registry {
    /// The registry in `folder`, which is made where it is missing. That of a profile is [`Profile::registry`]: it is
    /// closed when the profile is erased.
    ///
    /// [`Profile::registry`]: crate::profile::Profile::registry
    ///
    /// # Errors
    /// When the folder cannot be made, the key is another one, or the index is damaged.
    pub fn open(folder: &Path, key: &Key) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|cause| Error::io(folder, &cause))?;
        Self::behind(Door::default(), folder, key)
    }

    /// The registry in a folder of a profile that is entered through `door`.
    pub(crate) fn behind(door: Door, folder: &Path, key: &Key) -> Result<Self> {
        let registry = Self { folder: folder.to_owned(), key: key.clone(), door };
        registry.clear_leftovers()?;
        Ok(registry)
    }

    /// Removes what processes that were killed left: files in the making, and versions that the index does not name (not
    /// yet, or not any more). All of it is made under the lock.
    fn clear_leftovers(&self) -> Result<()> {
        if !self.leftovers()?.is_empty() {
            self.locked(|_| self.leftovers()?.iter().try_for_each(|path| remove_if_there(path)))?;
        }
        Ok(())
    }

    fn leftovers(&self) -> Result<Vec<PathBuf>> {
        let mut found = unfinished(&self.folder, |_| true)?;
        let state = self.state()?;
        let io = |cause| Error::io(&self.folder, &cause);
        for entry in fs::read_dir(&self.folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let number = entry.file_name().to_str().and_then(number_of);
            if number.is_some_and(|number| state.version(number).is_err()) {
                found.push(entry.path());
            }
        }
        Ok(found)
    }

    /// Has the history's ledger forget versions that are not there: one whose making was cut short, or whose deletion.
    pub(crate) fn forget_unknown(&self, history: &History) -> Result<()> {
        let unknown = |state: &RegistryState| -> Result<Vec<u32>> {
            let recorded = history.versions()?.into_iter().map(|learned| learned.version);
            Ok(recorded.filter(|&version| state.version(version).is_err()).collect())
        };
        if !unknown(&self.state()?)?.is_empty() {
            // One that is just being made is recorded before it can be seen: under the lock.
            self.locked(|state| unknown(state)?.into_iter().try_for_each(|v| history.forget_version(v).map(drop)))?;
        }
        Ok(())
    }

    /// What it holds now.
    ///
    /// # Errors
    /// When the index cannot be read, or the key is another one.
    pub fn state(&self) -> Result<RegistryState> {
        let _inside = self.door.enter()?;
        let path = self.folder.join(INDEX);
        if !path.exists() {
            return Ok(RegistryState::default());
        }
        let bytes = read_sealed(&path, &self.key, Purpose::Adapter, INDEX)?;
        serde_json::from_slice(&bytes).map_err(|_| Error::bad_file(&path, "index", "of another kind"))
    }

    /// Adds a version; it is not in use yet.
    ///
    /// # Errors
    /// When the disk refuses; the registry is then as it was.
    pub fn add(&self, adapter: &Adapter, model: &Model, origin: Origin, report: Map<String, Value>) -> Result<u32> {
        self.update(|state| self.enter(state, adapter, model, origin, report).map(|version| version.version))
    }

    /// Adds the version that a training made and puts it to use, and notes that the gate was asked for the `asked`-th time:
    /// all of it or nothing, wherever the process ends. Before it can be seen, `record` notes under its number what it
    /// learned from, and says whether some of that was removed since.
    ///
    /// # Errors
    /// When the disk refuses, and what `record` returns; the registry is then as it was.
    pub(crate) fn promote(
        &self,
        adapter: &Adapter,
        model: &Model,
        training: &TrainingId,
        asked: u32,
        report: Map<String, Value>,
        record: impl FnOnce(u32) -> Result<bool>,
    ) -> Result<u32> {
        self.update(|state| {
            let version = self.enter(state, adapter, model, Origin::Trained, report)?;
            version.training = Some(training.clone());
            let number = version.version;
            version.learned_from_removed = record(number)?;
            state.note_asked(asked);
            state.activate(Some(number))?;
            Ok(number)
        })
    }

    /// How often the gate was asked in the life of the profile, where its last training tells `last`; it is noted here, so
    /// that either place may be lost.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn asked(&self, last: u32) -> Result<u32> {
        let state = self.state()?;
        match state.asked(last) {
            asked if state.is_noted(asked) => Ok(asked),
            _ => self.update(|state| Ok(state.note_asked(state.asked(last)))),
        }
    }

    /// Writes a version's file and enters it into `state`.
    fn enter<'s>(
        &self,
        state: &'s mut RegistryState,
        adapter: &Adapter,
        model: &Model,
        origin: Origin,
        report: Map<String, Value>,
    ) -> Result<&'s mut Version> {
        let number = state.next_version();
        let name = file_name(number);
        write_sealed(&self.folder.join(&name), &self.key, Purpose::Adapter, &name, &adapter.to_bytes(model)?)?;
        state.versions.push(Version {
            version: number,
            created: now(),
            base_fingerprint: model.fingerprint().to_owned(),
            sha256: adapter.sha256(),
            parent: state.active,
            origin,
            strength: adapter.strength(),
            learned_from_removed: false,
            training: None,
            report,
        });
        state.version_mut(number)
    }

    /// A version, with its strength.
    ///
    /// # Errors
    /// When there is no such version, it is damaged, or it was made for another base.
    pub fn load(&self, version: u32, model: &Model) -> Result<Adapter> {
        let _inside = self.door.enter()?;
        let strength = self.state()?.version(version)?.strength;
        let name = file_name(version);
        let bytes = read_sealed(&self.folder.join(&name), &self.key, Purpose::Adapter, &name)?;
        Adapter::from_bytes(&bytes, &format!("adapter version {version}"), model)?.with_strength(strength)
    }

    /// The version in use, where there is one and it was made for `model`.
    ///
    /// # Errors
    /// As [`Registry::load`].
    pub fn active(&self, model: &Model) -> Result<Option<(u32, Adapter)>> {
        let state = self.state()?;
        let active = state.active.filter(|_| state.stale(model.fingerprint()).is_none());
        active.map(|version| Ok((version, self.load(version, model)?))).transpose()
    }

    /// Puts a version to use; `None` is the base alone.
    ///
    /// # Errors
    /// When there is no such version, or the disk refuses.
    pub fn activate(&self, version: Option<u32>) -> Result<()> {
        self.update(|state| state.activate(version))
    }

    /// Goes back to what was in use before, and says what that is.
    ///
    /// # Errors
    /// When nothing was, or the disk refuses.
    pub fn rollback(&self) -> Result<Option<u32>> {
        self.update(RegistryState::rollback)
    }

    /// Sets the share of its effect that a version has, 0 to 1.
    ///
    /// # Errors
    /// When there is no such version, `strength` is out of range, or the disk refuses.
    pub fn set_strength(&self, version: u32, strength: f32) -> Result<()> {
        if !(0.0..=1.0).contains(&strength) {
            return Err(Error::new(ErrorKind::BadOption, format!("strength {strength} is outside 0 to 1")));
        }
        self.update(|state| {
            state.version_mut(version)?.strength = strength;
            Ok(())
        })
    }

    /// Marks versions that learned from samples which were removed since, as the history's ledger says.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn mark_learned_from_removed(&self, touched: &[LearnedVersion]) -> Result<()> {
        let unmarked = |version: &Version| {
            !version.learned_from_removed && touched.iter().any(|learned| learned.version == version.version)
        };
        if !self.state()?.versions.iter().any(unmarked) {
            return Ok(());
        }
        self.update(|state| {
            state.versions.iter_mut().filter(|version| unmarked(version)).for_each(|v| v.learned_from_removed = true);
            Ok(())
        })
    }

    /// Deletes a version; where it was in use, the base alone is. What the history's ledger has of it stays: see
    /// [`delete_adapter`](crate::personalize::delete_adapter).
    ///
    /// # Errors
    /// When there is no such version, or the disk refuses.
    pub fn delete(&self, version: u32) -> Result<()> {
        let _inside = self.door.enter()?;
        self.update(|state| state.remove(version))?;
        remove_if_there(&self.folder.join(file_name(version)))
    }

    /// Writes a version unsealed: a folder that PEFT loads, or one `.tar` file of it where `destination` ends so. It does
    /// elsewhere what the version does here, at its strength ([`Adapter::save`]).
    ///
    /// # Errors
    /// When there is no such version, or something else lies at `destination`.
    pub fn export(&self, version: u32, model: &Model, destination: &Path) -> Result<()> {
        let _inside = self.door.enter()?;
        let adapter = self.load(version, model)?;
        self.locked(|state| {
            let report = state.version(version)?.report.clone();
            export::write(&self.folder, &adapter, model, report, destination)
        })
    }

    /// Takes in an adapter's folder, or a `.tar` file of one, as a new version; one that was exported here has its strength
    /// again.
    ///
    /// # Errors
    /// When it is damaged, does not fit the model, or an archive holds anything but an adapter's files.
    pub fn import(&self, source: &Path, model: &Model) -> Result<u32> {
        let _inside = self.door.enter()?;
        let adapter = match archive::is_archive(source) {
            true => archive::read(source, model)?,
            false => Adapter::open(source, model)?,
        };
        self.add(&adapter, model, Origin::Imported, Map::new())
    }

    /// Changes the index under its lock.
    fn update<T>(&self, change: impl FnOnce(&mut RegistryState) -> Result<T>) -> Result<T> {
        self.locked(|state| {
            let changed = change(state)?;
            let bytes = serde_json::to_vec(state)
                .map_err(|_| Error::new(ErrorKind::BadData, "a report that cannot be written as JSON"))?;
            write_sealed(&self.folder.join(INDEX), &self.key, Purpose::Adapter, INDEX, &bytes)?;
            Ok(changed)
        })
    }

    /// Does something while no other part of this or another process changes anything.
    fn locked<T>(&self, work: impl FnOnce(&mut RegistryState) -> Result<T>) -> Result<T> {
        let _inside = self.door.enter()?;
        let _lock = lock::wait(&self.folder.join(LOCK))?;
        work(&mut self.state()?)
    }
}

fn file_name(version: u32) -> String {
    format!("v{version:05}")
}

/// The version whose file has this name.
fn number_of(name: &str) -> Option<u32> {
    let number = name.strip_prefix('v')?.parse().ok()?;
    (file_name(number) == name).then_some(number)
}
