//! Memory of processes, mapped files included, in MiB; 0 where the system does not say.

/// What a process (`self` or a number) holds.
pub(crate) fn resident_mib(process: &str) -> u64 {
    status_mib(process, "VmRSS:")
}

/// The most that it held at a time.
pub(crate) fn peak_mib(process: &str) -> u64 {
    status_mib(process, "VmHWM:")
}

fn status_mib(process: &str, field: &str) -> u64 {
    let status = fs_err::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
