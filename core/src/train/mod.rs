//! Training a LoRA adapter on a frozen base.

mod batches;
mod options;
mod plan;
mod replay;
mod run;
mod schedule;
mod steps;
mod trainer;
mod training_data;

pub use batches::Batches;
pub use options::TrainOptions;
pub use plan::TrainPlan;
pub use replay::Replay;
pub use run::{Start, Training, TrainingSummary};
pub use schedule::{Decay, Schedule};
pub use trainer::{StepReport, Trainer, TrainerState};
pub use training_data::TrainingData;
