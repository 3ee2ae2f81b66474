//! Options that several commands share.

mod budget;
mod data;
mod device;
mod lora;
mod profile;
mod texts;

pub use budget::{AnswerBudgetArgs, BudgetArgs};
pub use data::DataArgs;
pub use device::{DeviceArgs, in_words};
pub use lora::LoraArgs;
pub use profile::{EngineArgs, ProfileArgs};
pub use texts::FormatArgs;
