//! How far the work at hand is, for whoever shows it. Tasks count, and nothing in the engine reads what they count.
//!
//! The counters belong to the process: a caller waits for the one task that it has asked for.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static DONE: AtomicUsize = AtomicUsize::new(0);
static TOTAL: AtomicUsize = AtomicUsize::new(0);
static EVALUATIONS: AtomicUsize = AtomicUsize::new(0);

/// What has been counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Pieces that are done.
    pub done: usize,
    /// All of them; zero where that isn't known, as of a search.
    pub total: usize,
    /// Evaluations of the criterion with derivatives.
    pub evaluations: usize,
}

/// Now.
pub fn progress() -> Progress {
    Progress { done: DONE.load(Relaxed), total: TOTAL.load(Relaxed), evaluations: EVALUATIONS.load(Relaxed) }
}

/// A stage of so many pieces begins; zero where their number isn't known.
pub fn begin(total: usize) {
    DONE.store(0, Relaxed);
    TOTAL.store(total, Relaxed);
    EVALUATIONS.store(0, Relaxed);
}

/// So many more pieces are done.
pub fn advance(pieces: usize) {
    DONE.fetch_add(pieces, Relaxed);
}

/// The criterion was evaluated once more.
pub fn evaluated() {
    EVALUATIONS.fetch_add(1, Relaxed);
}
