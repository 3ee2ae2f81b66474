//! Which rules apply, and their thresholds.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// How a rule stands whose signal the platform does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// It passes: a desktop without a thermometer may train.
    #[default]
    Allow,
    /// It fails.
    Refuse,
}

/// A daily stretch of the user's clock; it may go on over midnight. From and until the same minute, it is all day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeWindow {
    /// Its first minute, counted from midnight.
    pub from: u16,
    /// The minute after its last, counted from midnight.
    pub until: u16,
}

impl TimeWindow {
    /// Whether it holds a minute of the day.
    pub fn contains(self, minute: u16) -> bool {
        if self.from < self.until {
            (self.from..self.until).contains(&minute)
        } else {
            minute >= self.from || minute < self.until
        }
    }
}

/// The rules that apply: `None` or `false` switches one off. The default is a phone's: charging, idle, cool, not saving
/// power, half an hour a day.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
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
    /// Train only while the app is in the foreground (`true`) or in the background (`false`).
    pub foreground: Option<bool>,
    /// Train only at this time of the day.
    pub window: Option<TimeWindow>,
    /// The most minutes of training a day.
    pub daily_minutes: Option<f32>,
    /// What becomes of a rule whose signal is not known.
    pub unknown: Unknown,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self {
            require_charging: true,
            battery_to_start: Some(0.3),
            battery_slack: 0.1,
            require_idle: true,
            thermal_to_start: Some(0.7),
            thermal_slack: 0.15,
            respect_low_power: true,
            memory_needed: None,
            memory_reserve: Some(128 << 20),
            foreground: None,
            window: None,
            daily_minutes: Some(30.0),
            unknown: Unknown::Allow,
        }
    }
}

impl PolicySettings {
    /// No rule at all: training runs when it is asked for, as from a terminal.
    pub fn always() -> Self {
        Self {
            require_charging: false,
            battery_to_start: None,
            require_idle: false,
            thermal_to_start: None,
            respect_low_power: false,
            memory_reserve: None,
            daily_minutes: None,
            ..Self::default()
        }
    }

    /// Checks every threshold.
    ///
    /// # Errors
    /// `BadOption`, naming the setting that is out of its range.
    pub fn check(&self) -> Result<()> {
        let share = |value: f32| (0.0..=1.0).contains(&value);
        let minute = |window: TimeWindow| window.from < MINUTES && window.until <= MINUTES;
        for (good, setting) in [
            (self.battery_to_start.is_none_or(share), "battery_to_start: from 0 to 1"),
            (share(self.battery_slack), "battery_slack: from 0 to 1"),
            (self.thermal_to_start.is_none_or(|heat| (0.0..=2.0).contains(&heat)), "thermal_to_start: from 0 to 2"),
            (share(self.thermal_slack), "thermal_slack: from 0 to 1"),
            (self.window.is_none_or(minute), "window: minutes of a day, from 0 to 1440"),
            (self.daily_minutes.is_none_or(|most| most >= 0.0), "daily_minutes: 0 or more"),
        ] {
            if !good {
                return Err(Error::new(ErrorKind::BadOption, setting));
            }
        }
        Ok(())
    }
}

/// Minutes of a day.
pub(super) const MINUTES: u16 = 24 * 60;
