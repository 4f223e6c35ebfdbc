//! What a factorisation will need, compared with what the machine has, before it is allocated.

use crate::error::Error;
use crate::linalg::blocked::LARGE;
use crate::linalg::symmetric::RestLayout;

/// So many bytes are always there: nobody is asked.
const SMALL: u64 = 1 << 26;

/// Refuses a model whose factor would not fit: the system would end the process, and with it the user's session.
pub fn check(layout: &RestLayout) -> Result<(), Error> {
    available_for(bytes(layout)).map_err(|sizes| {
        Error::TooLarge(format!(
            "the model's crossed grouping factors need a factor of order {} that takes {sizes}; nested factors, or fewer levels, need less",
            layout.order
        ))
    })
}

/// Refuses the covariance of so many fixed effects: it, its factor, and a row of it for each of `effects` random effects.
pub fn check_covariance(columns: usize, effects: usize) -> Result<(), Error> {
    let needed = 8 * columns as u64 * (4 * columns as u64 + effects as u64);
    available_for(needed).map_err(|sizes| Error::TooLarge(format!("the covariance matrix of {columns} fixed effects takes {sizes}")))
}

/// How many of `threads` can hold a factorisation that takes `one` bytes, and whether each may keep a second one, at a common start: as
/// many as there is memory for, but one at least.
pub fn workers_that_fit(one: u64, threads: usize) -> (usize, bool) {
    if 2 * one * threads as u64 <= SMALL {
        return (threads, true);
    }
    match available() {
        None => (threads, true),
        Some(available) => fitting(one, available, threads),
    }
}

/// The same for what one factorisation takes. Keeping a second one saves a worker less than another worker does.
fn fitting(one: u64, available: u64, threads: usize) -> (usize, bool) {
    let one = one.max(1);
    let fit = ((available / one) as usize).clamp(1, threads);
    (fit, 2 * one * fit as u64 <= available)
}

/// What is needed and what is there in words, where that isn't enough.
fn available_for(needed: u64) -> Result<(), String> {
    if needed <= SMALL {
        return Ok(());
    }
    match available() {
        Some(available) if needed > available => {
            Err(format!("{:.1} GB of memory, and {:.1} GB are available", needed as f64 / 1e9, available as f64 / 1e9))
        }
        _ => Ok(()),
    }
}

/// The factor of S, its inverse and, where it is dense and not so large that it goes by blocks, the memory in which that is formed.
pub fn bytes(layout: &RestLayout) -> u64 {
    let copies = if layout.is_dense() && layout.order <= LARGE { 3 } else { 2 };
    layout.len() as u64 * 8 * copies
}

/// Memory that the system, or the container in which this runs, can still give, in bytes; unknown where neither says so.
fn available() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let system = read("/proc/meminfo").and_then(|table| entry(&table, "MemAvailable:")).map(|kilobytes| kilobytes * 1024);
    let container = |folder: &str, limit: &str, usage: &str, cache: &str| {
        let stat = read(&format!("{folder}/memory.stat")).and_then(|table| entry(&table, cache)).unwrap_or(0);
        left(&read(&format!("{folder}/{limit}"))?, &read(&format!("{folder}/{usage}"))?, stat)
    };
    let second = container("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file");
    let first = || container("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file");
    [system, second.or_else(first)].into_iter().flatten().min()
}

/// The number that follows a name at the beginning of a line.
fn entry(table: &str, name: &str) -> Option<u64> {
    let line = table.lines().find(|line| line.split_whitespace().next() == Some(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// What a container's limit leaves, where it has one; the cache of files counts as used, but gives way.
fn left(limit: &str, usage: &str, cache: u64) -> Option<u64> {
    let (limit, usage): (u64, u64) = (limit.trim().parse().ok()?, usage.trim().parse().ok()?);
    Some(limit.saturating_sub(usage.saturating_sub(cache)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_larger_than_the_machine_is_refused() {
        let layout = |order| RestLayout { order, ..RestLayout::default() };
        assert!(check(&layout(100)).is_ok());
        if available().is_some() {
            let Err(Error::TooLarge(text)) = check(&layout(10_000_000)) else { panic!("not refused") };
            assert!(text.contains("order 10000000") && text.contains("GB are available"), "{text}");
            let Err(Error::TooLarge(text)) = check_covariance(1_000_000, 10) else { panic!("not refused") };
            assert!(text.contains("1000000 fixed effects takes 32000.1 GB"), "{text}");
        }
    }

    #[test]
    fn fewer_threads_where_memory_is_short() {
        let gigabyte = 1 << 30;
        assert_eq!(fitting(gigabyte, 100 * gigabyte, 8), (8, true));
        assert_eq!(fitting(gigabyte, 10 * gigabyte, 8), (8, false));
        assert_eq!(fitting(gigabyte, 3 * gigabyte, 8), (3, false));
        assert_eq!(fitting(gigabyte, gigabyte / 2, 8), (1, false));
        assert_eq!(fitting(gigabyte, 5 * gigabyte, 2), (2, true));
    }

    #[test]
    fn a_containers_limit_is_known() {
        assert_eq!(left("1000\n", "700\n", 100), Some(400));
        assert_eq!(left("max\n", "700\n", 100), None);
        assert_eq!(left("1000", "2000", 0), Some(0));
        assert_eq!(entry("anon 5\ninactive_file 42\n", "inactive_file"), Some(42));
        assert_eq!(entry("MemFree: 1 kB\nMemAvailable:   77 kB\n", "MemAvailable:"), Some(77));
    }
}
