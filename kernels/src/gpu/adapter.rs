//! Finding and choosing a GPU.

use super::instance::enumerate;
use crate::error::{Error, Result};

/// A graphics interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    /// Vulkan 1.1 or newer.
    Vulkan,
    /// Apple's.
    Metal,
    /// OpenGL (ES 3.1 or newer): only where it or any GPU is asked for. Devices that have nothing better have a CPU that
    /// is.
    Gl,
}

impl Backend {
    /// What is looked for where nothing is asked for.
    const USUAL: [Self; 2] = [Self::Vulkan, Self::Metal];

    pub(super) fn bits(self) -> wgpu::Backends {
        match self {
            Self::Vulkan => wgpu::Backends::VULKAN,
            Self::Metal => wgpu::Backends::METAL,
            Self::Gl => wgpu::Backends::GL,
        }
    }
}

/// A device that [`adapters`] found.
#[derive(Debug, Clone)]
pub struct Adapter {
    pub(super) wgpu: wgpu::Adapter,
    backend: Backend,
}

impl Adapter {
    /// Which interface it is reached by.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Whether it is a CPU that draws (Mesa's llvmpipe, Google's SwiftShader).
    pub fn is_software(&self) -> bool {
        self.wgpu.get_info().device_type == wgpu::DeviceType::Cpu
    }

    /// What its driver calls it.
    pub fn name(&self) -> String {
        self.wgpu.get_info().name.trim().to_owned()
    }

    /// Name, backend and driver.
    pub fn description(&self) -> String {
        let info = self.wgpu.get_info();
        let driver = [info.driver.as_str(), info.driver_info.as_str()].map(str::trim);
        let driver = driver.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        let software = if self.is_software() { ", software" } else { "" };
        let driver = if driver.is_empty() { driver } else { format!(", {driver}") };
        format!("{} ({:?}{driver}{software})", self.name(), self.backend)
    }

    /// Why this adapter cannot run the kernels, if it cannot: they stay within WebGPU's baseline limits.
    fn refusal(&self) -> Option<String> {
        let (limits, baseline) = (self.wgpu.limits(), wgpu::Limits::downlevel_defaults());
        let flags = self.wgpu.get_downlevel_capabilities().flags;
        if !flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS) {
            return Some("no compute shaders".to_owned());
        }
        if !flags.contains(wgpu::DownlevelFlags::SHADER_F16_IN_F32) {
            return Some("no conversion from half precision".to_owned());
        }
        let needs = [
            ("storage buffers", limits.max_storage_buffers_per_shader_stage, STORAGE_BUFFERS),
            (
                "bytes of workgroup memory",
                limits.max_compute_workgroup_storage_size,
                baseline.max_compute_workgroup_storage_size,
            ),
            (
                "threads a workgroup",
                limits.max_compute_invocations_per_workgroup,
                baseline.max_compute_invocations_per_workgroup,
            ),
        ];
        needs
            .into_iter()
            .find(|&(_, has, needs)| has < needs)
            .map(|(what, has, needs)| format!("only {has} {what}, and {needs} are needed"))
    }

    /// Everything at WebGPU's baseline but buffer sizes, so that what runs here runs on a phone.
    pub(super) fn limits(&self) -> wgpu::Limits {
        let own = self.wgpu.limits();
        wgpu::Limits {
            max_storage_buffers_per_shader_stage: STORAGE_BUFFERS,
            max_storage_buffer_binding_size: own.max_storage_buffer_binding_size,
            max_buffer_size: own.max_buffer_size,
            ..wgpu::Limits::downlevel_defaults()
        }
        .or_worse_values_from(&own)
    }
}

/// Storage buffers that a dispatch may bind.
const STORAGE_BUFFERS: u32 = 8;

/// All adapters of `backend`, or of Vulkan and Metal; hardware first.
pub fn adapters(backend: Option<Backend>) -> Vec<Adapter> {
    let mut found = Vec::new();
    for backend in backend.map_or(Backend::USUAL.to_vec(), |b| vec![b]) {
        found.extend(enumerate(backend).into_iter().map(|wgpu| Adapter { wgpu, backend }));
    }
    let rank = |adapter: &Adapter| match adapter.wgpu.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    };
    found.sort_by_key(rank);
    found
}

/// The best adapter that can run the kernels; a software one only where `software` allows it. Where that does and no
/// `backend` is asked for, GL is opened too, once Vulkan and Metal turned out to have nothing.
///
/// # Errors
/// Where there is none, saying what was found and why it will not do.
pub fn choose(backend: Option<Backend>, software: bool) -> Result<Adapter> {
    let last = (backend.is_none() && software).then_some(Some(Backend::Gl));
    let mut refusals = Vec::new();
    for backend in [backend].into_iter().chain(last) {
        for adapter in adapters(backend) {
            let refusal = adapter.refusal();
            match refusal.or_else(|| (adapter.is_software() && !software).then(|| "a software adapter".to_owned())) {
                None => return Ok(adapter),
                Some(reason) => refusals.push(format!("{}: {reason}", adapter.name())),
            }
        }
    }
    let kind = if software { "GPU" } else { "hardware GPU" };
    let backend = backend.map_or(String::new(), |b| format!(" for {b:?}"));
    Err(Error::NoDevice(match refusals.is_empty() {
        true => format!("no {kind}{backend} found"),
        false => format!("no usable {kind}{backend} ({})", refusals.join("; ")),
    }))
}
