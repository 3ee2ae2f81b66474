//! Graphics interfaces, opened without any window system.
//!
//! wgpu's own Vulkan instances name the surfaces of Wayland and X11. Mesa's layer that ranks the devices then asks these
//! window systems which one they use: without a desktop it prints errors, and it connects to whatever machine `DISPLAY`
//! names. Nothing is drawn here, so the instance does not name them.

use super::adapter::Backend;

/// The adapters of `backend`, as its drivers list them.
pub(super) fn enumerate(backend: Backend) -> Vec<wgpu::Adapter> {
    let instance = match backend {
        #[cfg(any(target_os = "linux", target_os = "freebsd"))]
        Backend::Vulkan => windowless_vulkan(),
        _ => Some(wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: backend.bits(),
            flags: wgpu::InstanceFlags::empty(),
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        })),
    };
    instance.map_or_else(Vec::new, |i| pollster::block_on(i.enumerate_adapters(backend.bits())))
}

/// Vulkan without the extensions that name a window system; `None` where there is no Vulkan.
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
fn windowless_vulkan() -> Option<wgpu::Instance> {
    use wgpu::hal;

    let description = hal::InstanceDescriptor {
        name: "idiolect",
        flags: wgpu::InstanceFlags::empty(),
        memory_budget_thresholds: wgpu::MemoryBudgetThresholds::default(),
        backend_options: wgpu::BackendOptions::default(),
        telemetry: None,
        display: None,
    };
    let without_windows = |arguments: hal::vulkan::CreateInstanceCallbackArgs<'_, '_, '_>| {
        // VK_KHR_surface itself names none, and the swapchains that wgpu asks every device for depend on it.
        let windows = [c"VK_KHR_wayland_surface", c"VK_KHR_xcb_surface", c"VK_KHR_xlib_surface"];
        arguments.extensions.retain(|name| !windows.contains(name));
    };
    // SAFETY: wgpu-hal's promise to itself is that what its instance has enabled is in this list. It looks each of the
    // three up there, to make a surface for that window system and for nothing else, and returns an error if it is not.
    // No surface is ever made here.
    let vulkan = unsafe { hal::vulkan::Instance::init_with_callback(&description, Some(Box::new(without_windows))) };
    // SAFETY: the instance is a fresh one, which nothing else holds.
    vulkan.ok().map(|vulkan| unsafe { wgpu::Instance::from_hal::<hal::api::Vulkan>(vulkan) })
}
