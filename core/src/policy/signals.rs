//! What the device says of itself.

use serde::{Deserialize, Serialize};

/// The state of the device at one moment. `None` is what the platform does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signals {
    /// Whether the battery is being charged, or there is none.
    pub charging: Option<bool>,
    /// The battery's charge, 0 to 1.
    pub battery: Option<f32>,
    /// Whether nobody uses the device.
    pub idle: Option<bool>,
    /// How near the device is to being slowed down for heat: 0 is cool, 1 is where it is slowed down (as Android's
    /// `getThermalHeadroom`).
    pub thermal: Option<f32>,
    /// Whether the user has asked the device to save power.
    pub low_power: Option<bool>,
    /// Memory that can be taken, in bytes.
    pub free_memory: Option<u64>,
    /// Whether the app is what the user looks at.
    pub foreground: Option<bool>,
    /// Minutes since midnight on the user's clock. An engine that attends advances it.
    pub local_minute: Option<u16>,
    /// Minutes trained since midnight on the user's clock. An engine that attends counts its own; what is told is taken
    /// where it is more, and what is trained from then on comes to it.
    pub minutes_today: Option<f32>,
}
