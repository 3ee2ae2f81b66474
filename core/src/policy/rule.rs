//! The rules one by one: each looks at one signal.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{PolicySettings, Signals, Unknown};

/// Whether training runs at the moment: some rules ask more of a start than of going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It would start.
    Starting,
    /// It runs.
    Running,
}

/// A rule by name; the names do not change between releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RuleName {
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
}

impl RuleName {
    /// Every rule, in the order in which they are shown.
    pub const ALL: [Self; 9] = [
        Self::Charging,
        Self::Battery,
        Self::Idle,
        Self::Thermal,
        Self::LowPower,
        Self::Memory,
        Self::Foreground,
        Self::TimeWindow,
        Self::DailyMinutes,
    ];
}

/// How a rule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It lets training run.
    Pass,
    /// It does not.
    Fail,
    /// The platform does not tell its signal; the settings let it pass.
    Unknown,
    /// The settings switch it off.
    Off,
}

/// A rule, how it stands, and why in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleState {
    /// Which rule.
    pub rule: RuleName,
    /// How it stands.
    pub standing: Standing,
    /// What it goes by, for people.
    pub words: String,
}

/// Why training may not run: a rule that fails, and what it goes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Which rule.
    pub rule: RuleName,
    /// For people.
    pub words: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl RuleName {
    /// How the rule stands.
    pub(super) fn judge(self, signals: &Signals, settings: &PolicySettings, phase: Phase) -> RuleState {
        let (standing, words) = match self.look(signals, settings, phase) {
            Look::Off => (Standing::Off, self.off().to_owned()),
            Look::Seen(true, words) => (Standing::Pass, words),
            Look::Seen(false, words) => (Standing::Fail, words),
            Look::Unseen(what) => match settings.unknown {
                Unknown::Allow => (Standing::Unknown, format!("{what} is not known here, which is allowed")),
                Unknown::Refuse => (Standing::Fail, format!("{what} is not known here")),
            },
        };
        RuleState { rule: self, standing, words }
    }

    fn look(self, signals: &Signals, settings: &PolicySettings, phase: Phase) -> Look {
        let running = phase == Phase::Running;
        match self {
            Self::Charging => {
                Look::when(settings.require_charging, signals.charging, "whether the device charges", |charging| {
                    (charging, if charging { "the device is charging" } else { "the device is not charging" }.into())
                })
            }
            Self::Battery => {
                Look::at(settings.battery_to_start, signals.battery, "the battery's charge", |start, charge| {
                    let least = if running { (start - settings.battery_slack).max(0.0) } else { start };
                    let sign = if charge >= least { "not below" } else { "below" };
                    let phase = if running { "to go on" } else { "to start" };
                    (
                        charge >= least,
                        format!("the battery is at {}, {sign} {} {phase}", percent(charge), percent(least)),
                    )
                })
            }
            Self::Idle => Look::when(settings.require_idle, signals.idle, "whether the device is in use", |idle| {
                (idle, if idle { "the device is idle" } else { "the device is in use" }.into())
            }),
            Self::Thermal => {
                Look::at(settings.thermal_to_start, signals.thermal, "the device's heat", |start, heat| {
                    let most = if running { start + settings.thermal_slack } else { start };
                    let sign = if heat <= most { "not above" } else { "above" };
                    let phase = if running { "to go on" } else { "to start" };
                    (
                        heat <= most,
                        format!("heat is at {} of the limit, {sign} {} {phase}", percent(heat), percent(most)),
                    )
                })
            }
            Self::LowPower => {
                Look::when(settings.respect_low_power, signals.low_power, "whether the device saves power", |saving| {
                    (!saving, if saving { "the device saves power" } else { "the device does not save power" }.into())
                })
            }
            Self::Memory => {
                // A running training holds what it needs: only the reserve must stay free.
                let needed = settings.memory_needed.filter(|_| !running);
                let reserve = settings.memory_reserve;
                let least = needed.or(reserve).map(|_| needed.unwrap_or(0).saturating_add(reserve.unwrap_or(0)));
                Look::at(least, signals.free_memory, "the free memory", |least, free| {
                    let sign = if free >= least { "of" } else { "less than the" };
                    (free >= least, format!("{} MiB of memory are free, {sign} {} MiB needed", free >> 20, least >> 20))
                })
            }
            Self::Foreground => Look::at(settings.foreground, signals.foreground, "where the app is", |wanted, is| {
                let place = |foreground| if foreground { "foreground" } else { "background" };
                let words = if wanted == is {
                    format!("the app is in the {}", place(is))
                } else {
                    format!("the app is in the {}, not in the {}", place(is), place(wanted))
                };
                (wanted == is, words)
            }),
            Self::TimeWindow => {
                let known = signals.local_minute.map(|minute| minute % super::settings::MINUTES);
                Look::at(settings.window, known, "the time of the day", |window, minute| {
                    let inside = window.contains(minute);
                    let sign = if inside { "within" } else { "outside" };
                    let (from, until) = (clock(window.from), clock(window.until));
                    (inside, format!("it is {}, {sign} {from} to {until}", clock(minute)))
                })
            }
            Self::DailyMinutes => {
                Look::at(settings.daily_minutes, signals.minutes_today, "the minutes trained today", |most, used| {
                    let words = format!("{} of {} minutes of today are used", used.floor(), most.floor());
                    (used < most, words)
                })
            }
        }
    }

    /// What it means that the rule is switched off.
    fn off(self) -> &'static str {
        match self {
            Self::Charging => "charging is not asked for",
            Self::Battery => "the battery's charge is not asked for",
            Self::Idle => "the device may be in use",
            Self::Thermal => "heat is not asked for",
            Self::LowPower => "saving power is not asked for",
            Self::Memory => "free memory is not asked for",
            Self::Foreground => "the app may be in the foreground or in the background",
            Self::TimeWindow => "any time of the day will do",
            Self::DailyMinutes => "there is no limit of minutes a day",
        }
    }
}

/// What a rule sees.
enum Look {
    Off,
    /// The signal, by its name, is not told.
    Unseen(&'static str),
    Seen(bool, String),
}

impl Look {
    fn when<S>(on: bool, signal: Option<S>, what: &'static str, see: impl FnOnce(S) -> (bool, String)) -> Self {
        Self::at(on.then_some(()), signal, what, |(), signal| see(signal))
    }

    fn at<T, S>(
        setting: Option<T>,
        signal: Option<S>,
        what: &'static str,
        see: impl FnOnce(T, S) -> (bool, String),
    ) -> Self {
        match (setting, signal) {
            (None, _) => Self::Off,
            (Some(_), None) => Self::Unseen(what),
            (Some(setting), Some(signal)) => {
                let (passes, words) = see(setting, signal);
                Self::Seen(passes, words)
            }
        }
    }
}

fn percent(share: f32) -> String {
    format!("{:.0} %", share * 100.0)
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}
