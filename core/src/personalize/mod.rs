//! Learning from the history: from what the person wrote to an adapter in use, or the reason why not.
//!
//! A training reads its split of the history, masked by the privacy filter, trains a fresh adapter beside replayed generic
//! text, measures it on held-out samples and on generic text, asks the gate, and enters what was promoted into the
//! registry. It can be ended at every moment, by a caller, the system or a power loss, and goes on from a checkpoint to
//! the same bits.

mod checkpoint;
mod corpus;
mod course;
mod ending;
mod events;
mod judging;
mod own_samples;
mod pace;
mod plan;
mod records;
mod report;
mod save_call;
mod settings;
mod stage;
mod status;
mod timesheet;
mod training;
mod upkeep;

pub(crate) use course::{Place, learn};
pub use events::{DropReason, LearnEvent};
pub(crate) use plan::plan;
pub use plan::TrainingPlan;
pub use report::{DeviceStretch, LearnReport, Setback};
pub(crate) use save_call::SaveCall;
pub use settings::LearnSettings;
pub use status::{InUse, NextTraining, Status, status};
pub(crate) use timesheet::{TimeKeeper, Timesheet, timesheet};
pub use upkeep::{clear_history, delete_adapter, is_paused, last_report, remove_from_history};
