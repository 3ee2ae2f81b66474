//! All rules together.

use serde::{Deserialize, Serialize};

use super::{Phase, PolicySettings, Reason, RuleName, RuleState, Signals, Standing};

/// What training does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It starts, or goes on.
    Run,
    /// It runs, and has to stop until the reasons are gone.
    Pause,
    /// It may not start until the reasons are gone.
    Wait,
}

/// What training does now, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What it does.
    pub verdict: Verdict,
    /// Every rule that fails; none where it runs.
    pub reasons: Vec<Reason>,
}

/// Decides by the rules that the settings have on: all must pass. A running training is allowed somewhat less battery
/// and more heat than a starting one, so that it does not stop and start at the threshold.
pub fn decide(signals: &Signals, settings: &PolicySettings, phase: Phase) -> Decision {
    let failing = explain(signals, settings, phase).into_iter().filter(|state| state.standing == Standing::Fail);
    let reasons: Vec<Reason> = failing.map(|state| Reason { rule: state.rule, words: state.words }).collect();
    let verdict = match phase {
        _ if reasons.is_empty() => Verdict::Run,
        Phase::Running => Verdict::Pause,
        Phase::Starting => Verdict::Wait,
    };
    Decision { verdict, reasons }
}

/// Every rule, in order, with how it stands.
pub fn explain(signals: &Signals, settings: &PolicySettings, phase: Phase) -> Vec<RuleState> {
    RuleName::ALL.into_iter().map(|rule| rule.judge(signals, settings, phase)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::policy::{TimeWindow, Unknown};

    /// A phone at night: every rule passes.
    const CALM: Signals = Signals {
        charging: Some(true),
        battery: Some(0.8),
        idle: Some(true),
        thermal: Some(0.2),
        low_power: Some(false),
        free_memory: Some(2 << 30),
        foreground: Some(false),
        local_minute: Some(2 * 60),
        minutes_today: Some(3.0),
    };

    /// Every rule on.
    fn strict() -> PolicySettings {
        PolicySettings {
            memory_needed: Some(300 << 20),
            foreground: Some(false),
            window: Some(TimeWindow { from: 22 * 60, until: 6 * 60 }),
            ..PolicySettings::default()
        }
    }

    #[test]
    fn each_signal_decides() {
        use Phase::{Running, Starting};
        use RuleName as R;
        type Case<'a> = (fn(&mut Signals), Phase, &'a [(R, &'a str)]);
        let cases: &[Case<'_>] = &[
            (|_| {}, Starting, &[]),
            (|_| {}, Running, &[]),
            (|s| s.charging = Some(false), Starting, &[(R::Charging, "the device is not charging")]),
            (|s| s.charging = Some(false), Running, &[(R::Charging, "the device is not charging")]),
            (|s| s.battery = Some(0.3), Starting, &[]),
            (|s| s.battery = Some(0.25), Starting, &[(R::Battery, "the battery is at 25 %, below 30 % to start")]),
            (|s| s.battery = Some(0.25), Running, &[]),
            (|s| s.battery = Some(0.19), Running, &[(R::Battery, "the battery is at 19 %, below 20 % to go on")]),
            (|s| s.battery = Some(f32::NAN), Running, &[(R::Battery, "the battery is at NaN %, below 20 % to go on")]),
            (|s| s.idle = Some(false), Running, &[(R::Idle, "the device is in use")]),
            (
                |s| s.thermal = Some(0.75),
                Starting,
                &[(R::Thermal, "heat is at 75 % of the limit, above 70 % to start")],
            ),
            (|s| s.thermal = Some(0.75), Running, &[]),
            (|s| s.thermal = Some(0.9), Running, &[(R::Thermal, "heat is at 90 % of the limit, above 85 % to go on")]),
            (|s| s.low_power = Some(true), Starting, &[(R::LowPower, "the device saves power")]),
            (
                |s| s.free_memory = Some(400 << 20),
                Starting,
                &[(R::Memory, "400 MiB of memory are free, less than the 428 MiB needed")],
            ),
            (|s| s.free_memory = Some(428 << 20), Starting, &[]),
            (|s| s.free_memory = Some(400 << 20), Running, &[]),
            (
                |s| s.free_memory = Some(100 << 20),
                Running,
                &[(R::Memory, "100 MiB of memory are free, less than the 128 MiB needed")],
            ),
            (
                |s| s.foreground = Some(true),
                Starting,
                &[(R::Foreground, "the app is in the foreground, not in the background")],
            ),
            (|s| s.local_minute = Some(22 * 60), Starting, &[]),
            (|s| s.local_minute = Some(0), Starting, &[]),
            (|s| s.local_minute = Some(5 * 60 + 59), Running, &[]),
            (|s| s.local_minute = Some(6 * 60), Running, &[(R::TimeWindow, "it is 06:00, outside 22:00 to 06:00")]),
            (
                |s| s.local_minute = Some(21 * 60 + 59),
                Starting,
                &[(R::TimeWindow, "it is 21:59, outside 22:00 to 06:00")],
            ),
            (|s| s.minutes_today = Some(29.9), Running, &[]),
            (|s| s.minutes_today = Some(30.0), Running, &[(R::DailyMinutes, "30 of 30 minutes of today are used")]),
            (
                |s| (s.charging, s.idle) = (Some(false), Some(false)),
                Starting,
                &[(R::Charging, "the device is not charging"), (R::Idle, "the device is in use")],
            ),
        ];
        for (change, phase, expected) in cases {
            let mut signals = CALM;
            change(&mut signals);
            let decision = decide(&signals, &strict(), *phase);
            let verdict = match phase {
                _ if expected.is_empty() => Verdict::Run,
                Running => Verdict::Pause,
                Starting => Verdict::Wait,
            };
            let reasons: Vec<_> = decision.reasons.iter().map(|reason| (reason.rule, reason.words.as_str())).collect();
            assert_eq!((decision.verdict, reasons), (verdict, expected.to_vec()), "{signals:?} {phase:?}");
        }
    }

    #[test]
    fn every_rule_is_explained() {
        let states = |signals: &Signals, settings: &PolicySettings| {
            let states = explain(signals, settings, Phase::Starting);
            assert_eq!(states.iter().map(|state| state.rule).collect::<Vec<_>>(), RuleName::ALL);
            assert!(states.iter().all(|state| !state.words.is_empty()));
            states.iter().map(|state| state.standing).collect::<Vec<_>>()
        };
        assert_eq!(states(&CALM, &strict()), [Standing::Pass; 9]);
        assert_eq!(states(&CALM, &PolicySettings::always()), [Standing::Off; 9]);
        assert_eq!(states(&Signals::default(), &strict()), [Standing::Unknown; 9]);
        let refusing = PolicySettings { unknown: Unknown::Refuse, ..strict() };
        assert_eq!(states(&Signals::default(), &refusing), [Standing::Fail; 9]);
        let busy = Signals {
            charging: Some(false),
            battery: Some(0.1),
            idle: Some(false),
            thermal: Some(1.1),
            low_power: Some(true),
            free_memory: Some(0),
            foreground: Some(true),
            local_minute: Some(720),
            minutes_today: Some(31.0),
        };
        assert_eq!(states(&busy, &strict()), [Standing::Fail; 9]);
        assert_eq!(decide(&busy, &PolicySettings::always(), Phase::Running).verdict, Verdict::Run);
    }

    #[test]
    fn names_are_lasting() {
        let decision = decide(&Signals { low_power: Some(true), ..CALM }, &strict(), Phase::Running);
        let json = serde_json::json!({
            "verdict": "pause",
            "reasons": [{ "rule": "low_power", "words": "the device saves power" }],
        });
        assert_eq!(serde_json::to_value(decision).unwrap(), json);
        let names: Vec<_> = RuleName::ALL.iter().map(|rule| serde_json::to_value(rule).unwrap()).collect();
        let expected = "charging battery idle thermal low_power memory foreground time_window daily_minutes";
        assert_eq!(names, expected.split(' ').collect::<Vec<_>>());
        assert_eq!(serde_json::from_str::<PolicySettings>("{}").unwrap(), PolicySettings::default());
        let settings = strict();
        let json = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<PolicySettings>(&json).unwrap(), settings);
        assert!(serde_json::from_str::<Signals>(r#"{"batery":1}"#).is_err());
    }

    #[test]
    fn windows() {
        for (from, until, inside, outside) in [
            (60, 120, &[60, 119][..], &[59, 120, 0, 1439][..]),
            (1320, 360, &[1320, 1439, 0, 359], &[360, 1319]),
            (0, 1440, &[0, 720, 1439], &[]),
            (600, 600, &[0, 599, 600, 1439], &[]),
        ] {
            let window = TimeWindow { from, until };
            assert!(inside.iter().all(|minute| window.contains(*minute)), "{window:?}");
            assert!(!outside.iter().any(|minute| window.contains(*minute)), "{window:?}");
        }
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let good = PolicySettings::default;
        for (settings, name) in [
            (PolicySettings { battery_to_start: Some(30.0), ..good() }, "battery_to_start"),
            (PolicySettings { battery_slack: -0.1, ..good() }, "battery_slack"),
            (PolicySettings { thermal_to_start: Some(f32::NAN), ..good() }, "thermal_to_start"),
            (PolicySettings { thermal_slack: 2.0, ..good() }, "thermal_slack"),
            (PolicySettings { window: Some(TimeWindow { from: 1440, until: 0 }), ..good() }, "window"),
            (PolicySettings { daily_minutes: Some(-1.0), ..good() }, "daily_minutes"),
        ] {
            let error = settings.check().unwrap_err();
            assert!(error.kind() == ErrorKind::BadOption && error.message().starts_with(name), "{error}");
        }
        assert_eq!(strict().check(), Ok(()));
        assert_eq!(PolicySettings::always().check(), Ok(()));
    }
}
