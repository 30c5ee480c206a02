//! What the operating system counts for a process.

use std::fs;
use std::io;
use std::time::Duration;

/// Processor time of all its threads so far, as the scheduler counts it: to the nanosecond, where `/proc/PID/stat` knows
/// hundredths of a second only.
///
/// # Errors
/// The process has ended.
pub fn cpu(id: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{id}/task"))? {
        // It may end while we look.
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        nanoseconds += text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or_default();
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Resident memory now, in bytes.
///
/// # Errors
/// The process has ended.
pub fn memory(id: u32) -> io::Result<u64> {
    status(id, "VmRSS:")
}

/// Resident memory at its peak, in bytes.
///
/// # Errors
/// The process has ended.
pub fn peak_memory(id: u32) -> io::Result<u64> {
    status(id, "VmHWM:")
}

fn status(id: u32, field: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.map(|kibibytes| kibibytes << 10).ok_or_else(|| io::Error::other("it has ended"))
}
