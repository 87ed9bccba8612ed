//! Memory of processes.

/// The most memory that a process (`self` or a number) held at a time, in MiB, mapped files included; 0 where the system does not say.
pub(crate) fn peak_mib(process: &str) -> u64 {
    let status = fs_err::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
