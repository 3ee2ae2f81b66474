//! How much memory the machine has left for this process.

/// Bytes that the process can still take without others being pushed out; `None` where the system does not tell.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn available_memory() -> Option<usize> {
    of_meminfo(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// The kernel's own estimate, page cache that it can give back included.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn of_meminfo(text: &str) -> Option<usize> {
    let value = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    value.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
}

/// Bytes that the process can still take before the system ends it; `None` where it sets no limit.
#[cfg(any(target_os = "ios", target_os = "tvos", target_os = "visionos", target_os = "watchos"))]
pub(crate) fn available_memory() -> Option<usize> {
    // SAFETY: the signature is that of the system's <os/proc.h>.
    unsafe extern "C" {
        fn os_proc_available_memory() -> usize;
    }
    // SAFETY: a function of the system's library that takes nothing and only reads the process's own limit.
    let bytes = unsafe { os_proc_available_memory() };
    (bytes > 0).then_some(bytes)
}

/// Other systems page and compress memory as they see fit: what is free there is no limit.
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "ios",
    target_os = "tvos",
    target_os = "visionos",
    target_os = "watchos"
)))]
pub(crate) fn available_memory() -> Option<usize> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_what_is_available() {
        for (text, expected) in [
            ("MemTotal:  24684232 kB\nMemFree: 9 kB\nMemAvailable:   12345 kB\n", Some(12_345 * 1024)),
            ("MemTotal: 1 kB\n", None),
            ("MemAvailable: many kB\n", None),
            ("MemAvailable: 18446744073709551615 kB\n", None),
            ("", None),
        ] {
            assert_eq!(of_meminfo(text), expected, "{text}");
        }
        assert!(available_memory().is_some_and(|bytes| bytes > 0));
    }
}
