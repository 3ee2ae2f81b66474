//! `idiolect policy`.

use std::fmt::{self, Display};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use idiolect::policy::{Decision, Phase, PolicySettings, RuleState, Signals, Standing, Verdict, decide, explain};
use idiolect::{Error, Result};
use serde::Serialize;

use crate::output::Output;

#[derive(Debug, Args)]
pub struct Policy {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Say whether a device in a given state may train, and why: every rule in words
    Explain(Explain),
}

/// A device's state; what is left out counts as not known.
#[derive(Debug, Args)]
struct Explain {
    /// Whether the battery is being charged
    #[arg(long)]
    charging: Option<bool>,

    /// The battery's charge, 0 to 1
    #[arg(long, value_name = "SHARE")]
    battery: Option<f32>,

    /// Whether nobody uses the device
    #[arg(long)]
    idle: Option<bool>,

    /// Heat: 0 is cool, 1 is where the device is slowed down
    #[arg(long, value_name = "SHARE")]
    thermal: Option<f32>,

    /// Whether the user has asked the device to save power
    #[arg(long)]
    low_power: Option<bool>,

    /// Memory that can be taken, in millions of bytes
    #[arg(long, value_name = "MB")]
    free_memory_mb: Option<u64>,

    /// Whether the app is in the foreground
    #[arg(long)]
    foreground: Option<bool>,

    /// Minutes since midnight
    #[arg(long, value_name = "MINUTE")]
    local_minute: Option<u16>,

    /// Minutes trained today
    #[arg(long, value_name = "MINUTES")]
    minutes_today: Option<f32>,

    /// Whether training runs already, so that pausing is the question
    #[arg(long)]
    running: bool,

    /// A JSON file of rules and thresholds [default: a phone's]
    #[arg(long, value_name = "FILE.json")]
    settings: Option<PathBuf>,
}

/// One rule, as it is printed.
#[derive(Serialize)]
#[serde(transparent)]
struct Line<'a>(&'a RuleState);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.0.standing {
            Standing::Pass => "pass",
            Standing::Fail => "FAIL",
            Standing::Unknown => "?",
            Standing::Off => "off",
        };
        write!(f, "{mark:4}  {}", self.0.words)
    }
}

/// The decision, as it is printed.
#[derive(Serialize)]
#[serde(transparent)]
struct Outcome<'a>(&'a Decision);

impl Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.verdict {
            Verdict::Run => "run",
            Verdict::Pause => "pause",
            Verdict::Wait => "wait",
        })
    }
}

impl Policy {
    pub fn run(&self, output: &Output) -> Result<()> {
        let PolicyCommand::Explain(state) = &self.command;
        let settings = state.settings()?;
        let signals = state.signals();
        let phase = if state.running { Phase::Running } else { Phase::Starting };
        explain(&signals, &settings, phase).iter().try_for_each(|rule| output.result(&Line(rule)))?;
        output.result(&Outcome(&decide(&signals, &settings, phase)))
    }
}

impl Explain {
    fn settings(&self) -> Result<PolicySettings> {
        let Some(path) = &self.settings else { return Ok(PolicySettings::default()) };
        let text = std::fs::read_to_string(path).map_err(|cause| Error::io(path, &cause))?;
        let settings: PolicySettings =
            serde_json::from_str(&text).map_err(|cause| Error::bad_file(path, "settings", cause))?;
        settings.check().map(|()| settings)
    }

    fn signals(&self) -> Signals {
        Signals {
            charging: self.charging,
            battery: self.battery,
            idle: self.idle,
            thermal: self.thermal,
            low_power: self.low_power,
            free_memory: self.free_memory_mb.map(|megabytes| megabytes.saturating_mul(1_000_000)),
            foreground: self.foreground,
            local_minute: self.local_minute,
            minutes_today: self.minutes_today,
        }
    }
}
