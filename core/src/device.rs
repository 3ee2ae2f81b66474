//! Choosing the device that runs the programs, and saying why.

use std::str::FromStr;
use std::sync::Arc;

use idiolect_kernels::Executor;
use idiolect_kernels::cpu::CpuExecutor;
use idiolect_kernels::program::Weights;

use crate::error::{Error, ErrorKind, Result};

/// Which device to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// A hardware GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// A GPU, software adapters included, and GL where Vulkan and Metal have none.
    Gpu,
    /// The CPU.
    Cpu,
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "gpu" => Ok(Self::Gpu),
            "cpu" => Ok(Self::Cpu),
            _ => Err(Error::new(ErrorKind::BadOption, "device: auto, gpu or cpu")),
        }
    }
}

/// What a choice came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// WGSL through wgpu.
    Gpu,
    /// The CPU executor.
    Cpu,
}

impl DeviceKind {
    /// `gpu` or `cpu`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Cpu => "cpu",
        }
    }
}

/// A device in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// GPU or CPU.
    pub kind: DeviceKind,
    /// Its name, backend and driver, or its threads.
    pub name: String,
    /// Why it was chosen.
    pub reason: String,
    /// Threads that compute; 0 on a GPU.
    pub threads: usize,
}

/// Opens a device with the model's weights on it. `threads` is for the CPU; 0 means one a core.
pub(crate) fn open(
    choice: DeviceChoice,
    weights: &Arc<Weights>,
    threads: usize,
) -> Result<(Box<dyn Executor>, DeviceInfo)> {
    let cpu = |reason: String| -> Result<(Box<dyn Executor>, DeviceInfo)> {
        let executor = CpuExecutor::new(Arc::clone(weights), threads)?;
        let threads = executor.threads();
        let info = DeviceInfo { kind: DeviceKind::Cpu, name: executor.device(), reason, threads };
        Ok((Box::new(executor), info))
    };
    match choice {
        DeviceChoice::Cpu => cpu("asked for".into()),
        DeviceChoice::Gpu => gpu(weights, true, "asked for".into()),
        DeviceChoice::Auto => match gpu(weights, false, "a hardware GPU is present".into()) {
            Ok(found) => Ok(found),
            Err(error) => cpu(error.to_string()),
        },
    }
}

#[cfg(feature = "gpu")]
fn gpu(weights: &Arc<Weights>, software: bool, reason: String) -> Result<(Box<dyn Executor>, DeviceInfo)> {
    use idiolect_kernels::gpu::{GpuExecutor, Options};

    let executor = GpuExecutor::new(weights, &Options { software, ..Options::default() })?;
    let info = DeviceInfo { kind: DeviceKind::Gpu, name: executor.device(), reason, threads: 0 };
    Ok((Box::new(executor), info))
}

#[cfg(not(feature = "gpu"))]
fn gpu(_: &Arc<Weights>, _: bool, _: String) -> Result<(Box<dyn Executor>, DeviceInfo)> {
    Err(Error::new(ErrorKind::Device, "this build has no GPU support"))
}

impl From<idiolect_kernels::Error> for Error {
    fn from(error: idiolect_kernels::Error) -> Self {
        use idiolect_kernels::Error as Kernel;
        let kind = match &error {
            Kernel::Shape(_) => ErrorKind::BadData,
            Kernel::OutOfMemory(_) => ErrorKind::OverBudget,
            Kernel::Interrupted => ErrorKind::Cancelled,
            _ => ErrorKind::Device,
        };
        Self::new(kind, error.to_string())
    }
}
