//! How much memory is used.

/// The most bytes of memory that were in use at once, as the kernel sees them.
pub fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|text| text.trim().strip_suffix(" kB"));
    kib.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Bytes of memory in use, as the kernel sees them.
pub fn in_use() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status
        .split_whitespace()
        .nth(1)
        .and_then(|text| text.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}
