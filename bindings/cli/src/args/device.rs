//! Where to compute.

use std::sync::Arc;

use clap::Args;
use idiolect::{DeviceChoice, DeviceInfo, Model, Result, Session};

use crate::output::Output;

/// The device of a command.
#[derive(Debug, Args)]
pub struct DeviceArgs {
    /// Where to compute; auto takes a hardware GPU if there is one, else the CPU
    #[arg(long, default_value = "auto", value_name = "auto|gpu|cpu")]
    pub device: DeviceChoice,
}

impl DeviceArgs {
    /// Puts the model on the device, and says which it is and why.
    pub fn open(&self, output: &Output, model: Arc<Model>) -> Result<Session> {
        let session = Session::new(model, self.device)?;
        output.note(&format!("device: {}", in_words(session.device())));
        Ok(session)
    }
}

/// The device and why it was chosen.
pub fn in_words(device: &DeviceInfo) -> String {
    format!("{} ({})", device.name, device.reason)
}
