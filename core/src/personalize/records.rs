//! What a profile keeps of its trainings beside checkpoints: the last report, which rows the present one reads, and how
//! long was trained today.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::corpus::Selection;
use super::events::DropReason;
use super::report::LearnReport;
use super::settings::LearnSettings;
use super::timesheet::Timesheet;
use crate::disk::staged::remove_if_there;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Model;
use crate::profile::{LAST_TRAINING as LAST, SELECTION, TIMESHEET};
use crate::registry::{RegistryState, TrainingId};
use crate::samples::MAKING;
use crate::seal::{Key, Purpose, read_sealed, write_sealed};

/// What two trainings have to have in common to come to the same on the same rows (on the same device; another one
/// rounds otherwise).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunKey {
    settings: String,
    base_fingerprint: String,
    /// How texts become samples; what was written before it was told has another way.
    #[serde(default)]
    making: u32,
}

impl RunKey {
    pub fn new(model: &Model, settings: &LearnSettings) -> Result<Self> {
        Ok(Self { settings: settings.digest()?, base_fingerprint: model.fingerprint().to_owned(), making: MAKING })
    }
}

/// The last training that came to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LastTraining {
    pub training: TrainingId,
    pub run: RunKey,
    /// The history's revision that it learned from.
    pub revision: u64,
    /// How often the gate was asked so far in the life of the profile. The registry's index has it too, for this may be
    /// lost; earlier releases counted from the last promotion on.
    pub asked: u32,
    /// The number of the newest sample that it chose; none where it chose none, or an earlier release wrote this.
    pub newest: Option<i64>,
    /// The version that the verdict is about: the one that was made, or the one that the candidate did not better.
    pub about: Option<u32>,
    pub report: LearnReport,
}

impl LastTraining {
    /// The end of the training on `selection`; `before` is the version that was in use when it was judged.
    pub fn new(run: RunKey, selection: &Selection, asked: u32, before: Option<u32>, report: LearnReport) -> Self {
        let about = report.version.or(before);
        let (training, revision, newest) = (selection.id.clone(), selection.revision, selection.newest());
        Self { training, run, revision, asked, newest, about, report }
    }

    /// Whether its verdict still stands: the version that it is about is there. Which one is in use is the person's
    /// choice: another choice than the verdict's is no reason to train again, or training would undo it.
    pub fn stands(&self, registry: &RegistryState) -> bool {
        self.about.is_none_or(|version| registry.version(version).is_ok())
    }
}

/// The sealed files.
pub(super) struct Records {
    folder: PathBuf,
    key: Key,
}

impl Records {
    pub fn open(folder: &Path, key: &Key) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|cause| Error::io(folder, &cause))?;
        Ok(Self { folder: folder.to_owned(), key: key.clone() })
    }

    /// `None` where there is none, or it cannot be read: it is made again.
    pub fn last(&self) -> Result<Option<LastTraining>> {
        Ok(self.read(LAST)?.and_then(Result::ok))
    }

    pub fn write_last(&self, last: &LastTraining) -> Result<()> {
        self.write(LAST, last).map(drop)
    }

    /// What the training under way learns from; where that is not known any more, why.
    pub fn selection(&self) -> Result<Result<Selection, DropReason>> {
        // A removal takes it; a training that went on meanwhile may have written a checkpoint after that.
        Ok(self.read(SELECTION)?.unwrap_or(Err(DropReason::HistoryRemoved)))
    }

    /// Gives the bytes of the file.
    pub fn write_selection(&self, selection: &Selection) -> Result<u64> {
        self.write(SELECTION, selection)
    }

    pub fn clear_selection(&self) -> Result<()> {
        remove_if_there(&self.folder.join(SELECTION))
    }

    /// An empty one where there is none, or it cannot be read.
    pub fn timesheet(&self) -> Result<Timesheet> {
        Ok(self.read(TIMESHEET)?.and_then(Result::ok).unwrap_or_default())
    }

    pub fn write_timesheet(&self, sheet: &Timesheet) -> Result<()> {
        self.write(TIMESHEET, sheet).map(drop)
    }

    /// `None` where there is none; [`DropReason::Damaged`] where it is damaged or of another version.
    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<Result<T, DropReason>>> {
        let path = self.folder.join(name);
        if !path.exists() {
            return Ok(None);
        }
        match read_sealed(&path, &self.key, Purpose::Checkpoint, name) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).map_err(|_| DropReason::Damaged))),
            Err(error) if error.kind() == ErrorKind::BadFile => Ok(Some(Err(DropReason::Damaged))),
            Err(error) => Err(error),
        }
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<u64> {
        let bytes = serde_json::to_vec(value)
            .map_err(|_| Error::new(ErrorKind::BadData, "a record that cannot be written as JSON"))?;
        let path = self.folder.join(name);
        write_sealed(&path, &self.key, Purpose::Checkpoint, name, &bytes)?;
        Ok(fs::metadata(&path).map_err(|cause| Error::io(&path, &cause))?.len())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::device::{DeviceInfo, DeviceKind};
    use crate::gate::{Unfit, Verdict};
    use crate::samples::SampleCounts;

    #[test]
    fn records_of_before_are_read_and_their_trainings_are_not_gone_on_with() {
        let run = RunKey { settings: "s".into(), base_fingerprint: "b".into(), making: MAKING };
        let before: RunKey = serde_json::from_value(json!({"settings": "s", "base_fingerprint": "b"})).unwrap();
        assert_ne!(before, run);

        let name = String::new();
        let device = DeviceInfo { kind: DeviceKind::Cpu, name: name.clone(), reason: name, threads: 1 };
        let mut written =
            serde_json::to_value(LearnReport::without_candidate(Verdict::unfit(Unfit::Repetitive, 0.5), &device))
                .unwrap();
        let fields = written.as_object_mut().unwrap();
        for field in ["counts", "setbacks", "bytes_written", "own_sampled_languages", "unmeasured_languages"] {
            fields.remove(field).unwrap();
        }
        let summary = fields["summary"].as_object_mut().unwrap();
        for field in ["planned_bytes", "exceeded_budget"] {
            summary.remove(field).unwrap();
        }
        let read: LearnReport = serde_json::from_value(written).unwrap();
        assert_eq!((read.counts, read.summary.planned_bytes), (SampleCounts::default(), 0));
    }
}
