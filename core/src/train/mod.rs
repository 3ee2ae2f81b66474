//! Training a LoRA adapter on a frozen base.

mod batches;
mod dataset;
mod options;
mod packing;
mod plan;
mod replay;
mod run;
mod schedule;
mod steps;
mod trainer;

pub use batches::Batches;
pub use dataset::{TextRow, Texts, read_ids, read_texts, sample_of_ids, sample_of_text};
pub use options::TrainOptions;
pub use packing::{PackedRow, Sample, pack};
pub(crate) use plan::Planned;
pub use plan::TrainPlan;
pub use replay::Replay;
pub use run::{Start, Training, TrainingData, TrainingSummary};
pub use schedule::{Decay, Schedule};
pub use trainer::{StepReport, Trainer, TrainerState};
