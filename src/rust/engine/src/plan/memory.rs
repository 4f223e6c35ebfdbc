//! The memory that a factorisation will need, compared with what the machine has before any of it is allocated.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

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

/// Refuses the derivatives of the covariance of so many fixed effects in so many covariance parameters, with `effects` random effects.
pub fn check_derivatives(columns: usize, effects: usize, parameters: usize) -> Result<(), Error> {
    let (p, q, r) = (columns as u64, effects as u64, parameters as u64);
    available_for(8 * p * (3 * q + (r + 4) * p)).map_err(|sizes| {
        Error::TooLarge(format!(
            "degrees of freedom with {columns} fixed and {effects} random effects take {sizes}; \
             fewer fixed effects need less, and so large a sample has no use for them"
        ))
    })
}

/// The same for Kenward and Roger's adjustment: products of each pair of parameters, and for each thread two panels of so many columns.
pub fn check_traces(columns: usize, effects: usize, parameters: usize, panel: usize, threads: usize) -> Result<(), Error> {
    let (p, q, m) = (columns as u64, effects as u64, parameters as u64 + 1);
    let needed = 8 * (p * (3 * q + m * (m + 3) / 2 * p) + 3 * q * panel as u64 * threads as u64 + 4 * m * m);
    available_for(needed).map_err(|sizes| {
        Error::TooLarge(format!(
            "Kenward and Roger's degrees of freedom with {columns} fixed effects, {effects} random effects and {m} variances and \
             covariances take {sizes}; Satterthwaite's need less"
        ))
    })
}

/// How many of `threads` there is memory for, one at least, where each has a factorisation of `one` bytes and `own` bytes besides; and
/// whether there is memory for a further factorisation that all of them read.
pub fn workers_that_fit(one: u64, own: u64, threads: usize) -> (usize, bool) {
    if (one + own) * threads as u64 + one <= SMALL {
        return (threads, true);
    }
    match available() {
        None => (threads, true),
        Some(available) => fitting(one, own, available, threads),
    }
}

/// The same for what is available. Keeping a further one saves less than another worker does.
fn fitting(one: u64, own: u64, available: u64, threads: usize) -> (usize, bool) {
    let fit = ((available / (one + own).max(1)) as usize).clamp(1, threads);
    (fit, (one + own) * fit as u64 + one <= available)
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

/// Memory that the system can still give this process, in bytes; unknown where there is no /proc.
pub fn available() -> Option<u64> {
    available_under(Path::new("/"))
}

/// The same, of the system whose files are under `root`: the least of what the machine has, what the process's control groups have left
/// of their limits (Linux's Documentation/admin-guide: cgroup-v2, cgroup-v1/memory), and its own limit of address space.
fn available_under(root: &Path) -> Option<u64> {
    let machine = field(&root.join("proc/meminfo"), "MemAvailable:").map(|kilobytes| kilobytes * 1024);
    let groups = read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let groups = groups.lines().filter_map(|line| left_of_group(root, line)).min();
    [machine, groups, left_of_address_space(root)].into_iter().flatten().min()
}

/// What a line of /proc/self/cgroup leaves: the least of the group's and its ancestors'. In a container the path may be that of the host,
/// whose files aren't there; then the groups that are there count.
fn left_of_group(root: &Path, line: &str) -> Option<u64> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let (mount, files) = match controllers {
        "" => ("sys/fs/cgroup", ["memory.max", "memory.current", "inactive_file"]),
        _ if controllers.split(',').any(|name| name == "memory") => {
            ("sys/fs/cgroup/memory", ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"])
        }
        _ => return None,
    };
    let mount = root.join(mount);
    let own = mount.join(path.trim_start_matches('/'));
    own.ancestors().take_while(|group| group.starts_with(&mount)).filter_map(|group| left_of(group, files)).min()
}

/// Limit less use, but for what is a mere copy of files.
fn left_of(group: &Path, [limit, usage, inactive]: [&str; 3]) -> Option<u64> {
    let number = |path: PathBuf| read_to_string(path).ok()?.trim().parse::<u64>().ok(); // no limit is "max"
    let used = number(group.join(usage))?;
    let files = field(&group.join("memory.stat"), inactive).unwrap_or(0);
    Some(number(group.join(limit))?.saturating_sub(used.saturating_sub(files)))
}

/// `ulimit -v` less what the process has.
fn left_of_address_space(root: &Path) -> Option<u64> {
    let limits = read_to_string(root.join("proc/self/limits")).ok()?;
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?.split_whitespace().next()?.parse::<u64>().ok()?;
    let used = field(&root.join("proc/self/status"), "VmSize:")? * 1024;
    Some(limit.saturating_sub(used))
}

/// The number after a name at the beginning of a line.
fn field(table: &Path, name: &str) -> Option<u64> {
    let table = read_to_string(table).ok()?;
    let mut words = table.lines().map(str::split_whitespace);
    words.find_map(|mut words| (words.next()? == name).then(|| words.next()?.parse().ok())?)
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
        assert_eq!(fitting(gigabyte, 0, 100 * gigabyte, 8), (8, true));
        assert_eq!(fitting(gigabyte, 0, 9 * gigabyte, 8), (8, true));
        assert_eq!(fitting(gigabyte, 0, 9 * gigabyte - 1, 8), (8, false));
        assert_eq!(fitting(gigabyte, 0, 3 * gigabyte, 8), (3, false));
        assert_eq!(fitting(gigabyte, 0, gigabyte / 2, 8), (1, false));
        assert_eq!(fitting(gigabyte, 0, 5 * gigabyte, 2), (2, true));
        assert_eq!(fitting(gigabyte, 2 * gigabyte, 10 * gigabyte, 8), (3, true));
        assert_eq!(fitting(gigabyte, 2 * gigabyte, 9 * gigabyte, 8), (3, false));
        assert_eq!(fitting(0, gigabyte, 3 * gigabyte, 8), (3, true));
    }

    /// A machine's files, in a folder of their own.
    fn machine(name: &str, files: &[(&str, &str)]) -> Option<u64> {
        let root = std::env::temp_dir().join(format!("fastlmer-memory-{}-{name}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let found = available_under(&root);
        std::fs::remove_dir_all(&root).unwrap();
        found
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:  64 kB\nMemFree: 8 kB\nMemAvailable:   32 kB\n");

    #[test]
    fn a_machine_without_limits_has_what_it_says() {
        assert_eq!(machine("plain", &[MEMINFO]), Some(32 << 10));
        let unlimited = ("proc/self/limits", "Max address space         unlimited            unlimited            bytes     \n");
        assert_eq!(machine("unlimited", &[MEMINFO, unlimited, ("proc/self/cgroup", "0::/\n")]), Some(32 << 10));
        assert_eq!(machine("none", &[("proc/other", "")]), None);
    }

    #[test]
    fn limits_of_control_groups_and_of_address_space_count() {
        let here = ("proc/self/cgroup", "0::/job/step\n");
        let v2 = [
            MEMINFO,
            here,
            ("sys/fs/cgroup/job/step/memory.max", "max\n"),
            ("sys/fs/cgroup/job/step/memory.current", "9000\n"),
            ("sys/fs/cgroup/job/memory.max", "20000\n"),
            ("sys/fs/cgroup/job/memory.current", "12000\n"),
            ("sys/fs/cgroup/job/memory.stat", "anon 9000\ninactive_file 2000\nactive_file 1000\n"),
        ];
        assert_eq!(machine("v2", &v2), Some(10_000));
        let v1 = [
            MEMINFO,
            ("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/docker/abc\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "30000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "29000\n"),
            ("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 500\n"),
        ];
        assert_eq!(machine("v1", &v1), Some(1_500));
        let limits = [
            MEMINFO,
            (
                "proc/self/limits",
                "Limit  Soft Limit  Hard Limit\nMax address space         40960                unlimited            bytes     \n",
            ),
            ("proc/self/status", "Name: R\nVmPeak:  90 kB\nVmSize:   30 kB\n"),
        ];
        assert_eq!(machine("ulimit", &limits), Some(10 << 10));
    }
}
