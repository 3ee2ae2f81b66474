//! The memory that this process has taken.

/// The most bytes that were ever resident, or `None` where the system does not tell (it is `VmHWM` of Linux).
pub fn peak_process_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn the_peak_grows_with_what_is_touched() {
        let before = super::peak_process_bytes().unwrap();
        let block = vec![1u8; before + (32 << 20)];
        assert!(super::peak_process_bytes().unwrap() >= block.len());
    }
}
