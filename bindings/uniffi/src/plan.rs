//! What a training would take.

use idiolect::personalize;

use crate::mirror::mirror;
use crate::model::DeviceInfo;

mirror! {
    /// What a training on the history would take, from its beginning.
    #[derive(Debug, Clone, PartialEq, uniffi::Record)]
    pub struct TrainingPlan from personalize::TrainingPlan {
        /// Texts that it learns from, repeats counted.
        pub texts: u64,
        /// Texts that are held out, to measure what it comes to.
        pub held_out_texts: u64,
        /// Optimizer steps.
        pub steps: u64,
        /// Tokens that go through the model in these, generic text among them.
        pub tokens: u64,
        /// Parameters that are trained.
        pub parameters: u64,
        /// Bytes that it takes at most: of the process on the CPU, of the device on a GPU.
        pub planned_bytes: u64,
        /// The budget that trainings usually keep to, where none was given and this one cannot.
        pub exceeded_budget: Option<u64>,
        /// About how long it takes, in seconds of work on this device as it is now. In languages that the library has no
        /// generic text of, the base writes some first, which comes on top: half a minute each, as a rule.
        pub seconds: f64,
        /// The device.
        pub device: DeviceInfo,
    }
}
