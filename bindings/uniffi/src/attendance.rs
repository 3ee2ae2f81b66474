//! An engine that attends to trainings by itself: how it is told to, and what it tells.

use std::time::Duration;

use idiolect::{engine, policy};

use crate::error::Result;
use crate::events::LearnEvent;
use crate::learning::LearnSettings;
use crate::mirror::mirror;
use crate::policy::{PolicyReason, PolicySettings};
use crate::report::LearnOutcome;

/// How trainings are attended to.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct AttendSettings {
    /// When one may run. The memory that it needs is asked of the model where it is left open, and the minutes of the day
    /// are counted, trainings by hand among them.
    pub policy: PolicySettings,
    /// How it learns.
    #[uniffi(default)]
    pub learn: LearnSettings,
    /// Minutes for which new texts alone begin no training after one that came to its end; 20 hours by default. Each one
    /// asks the gate, which asks more of a gain with every time.
    #[uniffi(default = None)]
    pub rest_minutes: Option<u32>,
}

impl From<AttendSettings> for engine::AttendSettings {
    fn from(settings: AttendSettings) -> Self {
        let rest = settings.rest_minutes.map(|minutes| Duration::from_secs(u64::from(minutes) * 60));
        Self {
            policy: settings.policy.into(),
            learn: settings.learn.into(),
            rest: rest.unwrap_or(Self::default().rest),
        }
    }
}

mirror! {
    /// How the attendance stands.
    #[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
    pub enum Attendance from policy::Attendance {
        /// Nobody attends.
        Off,
        /// A training would come to nothing yet.
        NothingToLearn {
            /// Why.
            words: String,
        },
        /// A training may not start, or go on, until the reasons are gone.
        Waiting {
            /// Every rule that fails.
            reasons: Vec<PolicyReason>,
        },
        /// Every rule passes; the model is asked what a training takes.
        Preparing,
        /// Somebody else trains on the profile: the app by hand, or another process.
        Busy,
        /// It rests after something went wrong, and then tries again.
        Resting {
            /// What went wrong.
            words: String,
        },
        /// A training is under way.
        Training,
        /// The training is being paused.
        Pausing {
            /// Every rule that failed.
            reasons: Vec<PolicyReason>,
        },
    } else {
        /// One that this surface does not know yet.
        Other,
    }
}

/// Hears how trainings are attended to, on the attending thread: while it takes its time, nothing is begun or paused. It may
/// call the engine. An error that it throws is nobody's to hear, and changes nothing.
#[uniffi::export(foreign)]
pub trait AttendListener: Send + Sync {
    /// It stands otherwise than before; each change comes once.
    fn on_state(&self, state: Attendance) -> Result<()>;

    /// Something happened in a training.
    fn on_event(&self, event: LearnEvent) -> Result<()>;

    /// A training ended. What it failed for without an outcome, the state tells.
    fn on_ended(&self, outcome: LearnOutcome) -> Result<()>;
}

/// The listener as the engine calls it.
pub(crate) fn told(listener: std::sync::Arc<dyn AttendListener>) -> engine::AttendListener {
    Box::new(move |event| {
        let heard = match event {
            engine::AttendEvent::State(state) => listener.on_state(state.into()),
            engine::AttendEvent::Learn(event) => match LearnEvent::of(event) {
                Some(event) => listener.on_event(event),
                None => Ok(()),
            },
            engine::AttendEvent::Ended(outcome) => listener.on_ended(outcome.into()),
            _ => Ok(()),
        };
        // Nobody waits for it.
        let _ = heard;
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::default_policy;

    #[test]
    fn what_is_left_open_is_the_engines_default() {
        let settings = AttendSettings { policy: default_policy(), learn: LearnSettings::default(), rest_minutes: None };
        assert_eq!(engine::AttendSettings::from(settings.clone()), engine::AttendSettings::default());
        let hour = AttendSettings { rest_minutes: Some(60), ..settings };
        assert_eq!(engine::AttendSettings::from(hour).rest, Duration::from_secs(3600));
    }

    #[test]
    fn every_state_has_its_name() {
        let reasons = vec![policy::Reason { rule: policy::RuleName::Idle, words: "in use".into() }];
        let words = || "why".to_owned();
        let over: Vec<PolicyReason> = reasons.clone().into_iter().map(Into::into).collect();
        for (state, expected) in [
            (policy::Attendance::Off, Attendance::Off),
            (policy::Attendance::NothingToLearn { words: words() }, Attendance::NothingToLearn { words: words() }),
            (policy::Attendance::Waiting { reasons: reasons.clone() }, Attendance::Waiting { reasons: over.clone() }),
            (policy::Attendance::Preparing, Attendance::Preparing),
            (policy::Attendance::Busy, Attendance::Busy),
            (policy::Attendance::Resting { words: words() }, Attendance::Resting { words: words() }),
            (policy::Attendance::Training, Attendance::Training),
            (policy::Attendance::Pausing { reasons }, Attendance::Pausing { reasons: over }),
        ] {
            assert_eq!(Attendance::from(state), expected);
        }
    }
}
