//! When training may run: the device's signals and the settings in, a decision with its reasons out. The app's side
//! gathers the signals; nothing here asks a device or a clock.

use idiolect::policy;

use crate::error::Result;
use crate::mirror::mirror;

mirror! {
    /// The state of the device at one moment. None is what the platform does not tell.
    #[derive(Debug, Clone, Copy, Default, PartialEq, uniffi::Record)]
    pub struct DeviceSignals into policy::Signals {
        /// Whether the battery is being charged, or there is none.
        #[uniffi(default = None)]
        pub charging: Option<bool>,
        /// The battery's charge, 0 to 1.
        #[uniffi(default = None)]
        pub battery: Option<f32>,
        /// Whether nobody uses the device.
        #[uniffi(default = None)]
        pub idle: Option<bool>,
        /// How near the device is to being slowed down for heat: 0 is cool, 1 is where it is slowed down (as Android's
        /// `getThermalHeadroom`).
        #[uniffi(default = None)]
        pub thermal: Option<f32>,
        /// Whether the user has asked the device to save power.
        #[uniffi(default = None)]
        pub low_power: Option<bool>,
        /// Memory that can be taken, in bytes.
        #[uniffi(default = None)]
        pub free_memory: Option<u64>,
        /// Whether the app is what the user looks at.
        #[uniffi(default = None)]
        pub foreground: Option<bool>,
        /// Minutes since midnight on the user's clock.
        #[uniffi(default = None)]
        pub local_minute: Option<u16>,
        /// Minutes trained since midnight on the user's clock.
        #[uniffi(default = None)]
        pub minutes_today: Option<f32>,
    }
}

/// A daily stretch of the user's clock; it may go on over midnight. From and until the same minute, it is all day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct TimeWindow {
    /// Its first minute, counted from midnight.
    pub from: u16,
    /// The minute after its last, counted from midnight.
    pub until: u16,
}

/// The rules that apply: none or false switches one off. Begin with `default_policy` or `always_policy`, and change what
/// is to be different.
#[derive(Debug, Clone, Copy, PartialEq, uniffi::Record)]
pub struct PolicySettings {
    /// Train only while charging.
    pub require_charging: bool,
    /// The least charge of the battery to start with, 0 to 1.
    pub battery_to_start: Option<f32>,
    /// How far the charge may fall below it before training pauses.
    pub battery_slack: f32,
    /// Train only while nobody uses the device.
    pub require_idle: bool,
    /// The most heat to start with: 1 is where the device is slowed down.
    pub thermal_to_start: Option<f32>,
    /// How far the heat may rise above it before training pauses.
    pub thermal_slack: f32,
    /// Do not train while the device saves power.
    pub respect_low_power: bool,
    /// The memory that training takes, in bytes; asked for only before a start, for a running one holds it.
    pub memory_needed: Option<u64>,
    /// The memory that must stay free while training runs, in bytes.
    pub memory_reserve: Option<u64>,
    /// Train only while the app is in the foreground (true) or in the background (false).
    pub foreground: Option<bool>,
    /// Train only at this time of the day.
    pub window: Option<TimeWindow>,
    /// The most minutes of training a day.
    pub daily_minutes: Option<f32>,
    /// Whether a rule passes whose signal the platform does not tell.
    pub allow_unknown: bool,
}

impl From<policy::PolicySettings> for PolicySettings {
    fn from(settings: policy::PolicySettings) -> Self {
        Self {
            require_charging: settings.require_charging,
            battery_to_start: settings.battery_to_start,
            battery_slack: settings.battery_slack,
            require_idle: settings.require_idle,
            thermal_to_start: settings.thermal_to_start,
            thermal_slack: settings.thermal_slack,
            respect_low_power: settings.respect_low_power,
            memory_needed: settings.memory_needed,
            memory_reserve: settings.memory_reserve,
            foreground: settings.foreground,
            window: settings.window.map(|window| TimeWindow { from: window.from, until: window.until }),
            daily_minutes: settings.daily_minutes,
            allow_unknown: settings.unknown == policy::Unknown::Allow,
        }
    }
}

impl From<PolicySettings> for policy::PolicySettings {
    fn from(settings: PolicySettings) -> Self {
        Self {
            require_charging: settings.require_charging,
            battery_to_start: settings.battery_to_start,
            battery_slack: settings.battery_slack,
            require_idle: settings.require_idle,
            thermal_to_start: settings.thermal_to_start,
            thermal_slack: settings.thermal_slack,
            respect_low_power: settings.respect_low_power,
            memory_needed: settings.memory_needed,
            memory_reserve: settings.memory_reserve,
            foreground: settings.foreground,
            window: settings.window.map(|window| policy::TimeWindow { from: window.from, until: window.until }),
            daily_minutes: settings.daily_minutes,
            unknown: if settings.allow_unknown { policy::Unknown::Allow } else { policy::Unknown::Refuse },
        }
    }
}

mirror! {
    /// Whether training runs at the moment: some rules ask more of a start than of going on.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
    pub enum TrainingPhase into policy::Phase {
        /// It would start.
        Starting,
        /// It runs.
        Running,
    }
}

mirror! {
    /// A rule by name.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
    pub enum PolicyRule from policy::RuleName {
        /// The battery is being charged.
        Charging,
        /// The battery is full enough.
        Battery,
        /// Nobody uses the device.
        Idle,
        /// The device is cool enough.
        Thermal,
        /// The device does not save power.
        LowPower,
        /// There is memory.
        Memory,
        /// The app is where training is allowed: in the foreground, or in the background.
        Foreground,
        /// It is the time of the day.
        TimeWindow,
        /// The day's minutes are not used up.
        DailyMinutes,
    } else {
        /// One that this surface does not know yet: the words say what it is.
        Other,
    }
}

mirror! {
    /// What training does now.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
    pub enum PolicyVerdict from policy::Verdict {
        /// It starts, or goes on.
        Run,
        /// It runs, and has to stop until the reasons are gone: cancel it.
        Pause,
        /// It may not start until the reasons are gone.
        Wait,
    }
}

mirror! {
    /// Why training may not run: a rule that fails, and what it goes by.
    #[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
    pub struct PolicyReason from policy::Reason {
        /// Which rule.
        pub rule: PolicyRule,
        /// For people.
        pub words: String,
    }
}

mirror! {
    /// What training does now, and why.
    #[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
    pub struct PolicyDecision from policy::Decision {
        /// What it does.
        pub verdict: PolicyVerdict,
        /// Every rule that fails; none where it runs.
        pub reasons: Vec<PolicyReason>,
    }
}

mirror! {
    /// How a rule stands.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
    pub enum Standing from policy::Standing {
        /// It lets training run.
        Pass,
        /// It does not.
        Fail,
        /// The platform does not tell its signal; the settings let it pass.
        Unknown,
        /// The settings switch it off.
        Off,
    }
}

mirror! {
    /// A rule, how it stands, and why in words.
    #[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
    pub struct RuleState from policy::RuleState {
        /// Which rule.
        pub rule: PolicyRule,
        /// How it stands.
        pub standing: Standing,
        /// What it goes by, for people.
        pub words: String,
    }
}

/// A phone's rules: charging, idle, cool, not saving power, half an hour a day.
#[uniffi::export]
pub fn default_policy() -> PolicySettings {
    policy::PolicySettings::default().into()
}

/// No rule at all: training runs when it is asked for.
#[uniffi::export]
pub fn always_policy() -> PolicySettings {
    policy::PolicySettings::always().into()
}

/// Decides by the rules that are on: all must pass. A running training is allowed somewhat less battery and more heat
/// than a starting one, so that it does not stop and start at the threshold.
///
/// # Errors
/// `BadOption`, naming the setting that is out of its range.
#[uniffi::export]
pub fn decide_training(
    signals: DeviceSignals,
    settings: PolicySettings,
    phase: TrainingPhase,
) -> Result<PolicyDecision> {
    let settings = policy::PolicySettings::from(settings);
    settings.check()?;
    Ok(policy::decide(&signals.into(), &settings, phase.into()).into())
}

/// Every rule, in order, with how it stands.
///
/// # Errors
/// As for `decide_training`.
#[uniffi::export]
pub fn explain_training(
    signals: DeviceSignals,
    settings: PolicySettings,
    phase: TrainingPhase,
) -> Result<Vec<RuleState>> {
    let settings = policy::PolicySettings::from(settings);
    settings.check()?;
    Ok(policy::explain(&signals.into(), &settings, phase.into()).into_iter().map(Into::into).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_go_over_and_back_unchanged() {
        let all_other = policy::PolicySettings {
            memory_needed: Some(1),
            foreground: Some(false),
            window: Some(policy::TimeWindow { from: 1320, until: 360 }),
            unknown: policy::Unknown::Refuse,
            ..policy::PolicySettings::default()
        };
        for (settings, from) in [
            (default_policy(), policy::PolicySettings::default()),
            (always_policy(), policy::PolicySettings::always()),
            (all_other.into(), all_other),
        ] {
            assert_eq!(policy::PolicySettings::from(settings), from);
        }
    }

    #[test]
    fn signals_left_open_are_not_told() {
        assert_eq!(policy::Signals::from(DeviceSignals::default()), policy::Signals::default());
    }
}
