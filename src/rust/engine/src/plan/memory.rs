//! What a factorisation will need, compared with what the machine has, before it is allocated.

use crate::error::Error;
use crate::linalg::blocked::LARGE;
use crate::linalg::symmetric::RestLayout;

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

/// What is needed and what is there in words, where that isn't enough.
fn available_for(needed: u64) -> Result<(), String> {
    match available() {
        Some(available) if needed > available => {
            Err(format!("{:.1} GB of memory, and {:.1} GB are available", needed as f64 / 1e9, available as f64 / 1e9))
        }
        _ => Ok(()),
    }
}

/// The factor, its inverse and, where it is dense and not so large that it goes by blocks, the memory in which that is formed.
fn bytes(layout: &RestLayout) -> u64 {
    let copies = if layout.is_dense() && layout.order <= LARGE { 3 } else { 2 };
    layout.len() as u64 * 8 * copies
}

/// Memory that the system can still give, in bytes; unknown where there is no /proc.
fn available() -> Option<u64> {
    let table = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = table.lines().find(|line| line.starts_with("MemAvailable:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
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
}
