//! Peak memory of this process, as Linux tells it.

use std::fs;

/// From here on the peak is that of what follows.
pub fn reset_peak() {
    // Where it can't be reset, the peak contains the preparation of the data.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Peak resident memory in MB.
pub fn peak_mb() -> Option<f64> {
    status_mb("VmHWM:")
}

/// Resident memory in MB.
pub fn resident_mb() -> Option<f64> {
    status_mb("VmRSS:")
}

fn status_mb(key: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kb| kb / 1024.0)
}
