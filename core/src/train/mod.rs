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
mod training_data;
mod windows;

pub use batches::Batches;
pub use dataset::{TextRow, Texts, read_ids, read_texts, sample_of_ids};
pub use options::TrainOptions;
pub use packing::{PackedRow, Sample, pack};
pub(crate) use plan::Planned;
pub use plan::TrainPlan;
pub use replay::Replay;
pub use run::{Start, Training, TrainingSummary};
pub use schedule::{Decay, Schedule};
pub use trainer::{StepReport, Trainer, TrainerState};
pub use training_data::TrainingData;
pub use windows::{LeftOut, SampleCounts, TextSamples, samples_of_text};
pub(crate) use windows::{MAKING, SampleSet, samples_for};
