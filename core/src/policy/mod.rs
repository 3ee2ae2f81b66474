//! When training may run: the device's signals and the settings in, a decision with its reasons out.
//!
//! Nothing here asks a device or a clock: the platform's side gathers [`Signals`], [`decide`] judges them, and
//! [`explain`] shows every rule, passed or not, in words. An [`Attendant`] goes by them through days and nights: it starts,
//! pauses and resumes. A [`DutyCycle`] keeps training on the CPU below a share of one core, as operating systems ask of
//! work in the background.

mod attendant;
mod day;
mod decision;
mod duty;
mod rule;
mod settings;
mod signals;

pub use attendant::{Act, Attendance, Attendant, End, Happening, Moment, Order, Prospect};
pub use day::{TrainedToday, clock_ahead};
pub use decision::{Decision, Verdict, decide, explain};
pub use duty::{DutyCycle, WINDOW};
pub use rule::{Phase, Reason, RuleName, RuleState, Standing};
pub use settings::{PolicySettings, TimeWindow, Unknown};
pub use signals::Signals;
