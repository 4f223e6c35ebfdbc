//! Threads for one large model. Work is cut by the size of the model alone, never by the number of threads, and partial sums
//! are added in a fixed order: any number of threads gives the same bits.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{mpsc, Arc, LazyLock};
use std::time::Duration;

use faer::Par;
use rayon::prelude::*;

use crate::error::Error;

/// A pool of threads, or the caller's own thread. Pools are made per call: a global one would not survive a fork, and R forks.
pub struct Workers {
    pool: Option<rayon::ThreadPool>,
    ask: Option<fn() -> bool>,
    interrupted: Arc<AtomicBool>,
}

impl Workers {
    /// Up to `threads` threads; with one, or where the system refuses more, the caller's own.
    pub fn new(threads: usize) -> Self {
        let pool = if threads > 1 { rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok() } else { None };
        Workers { pool, ask: None, interrupted: Arc::default() }
    }

    /// One thread that is not the caller's own, and stops when `interrupted` says so.
    pub fn one_of(interrupted: &Arc<AtomicBool>) -> Self {
        Workers { pool: None, ask: None, interrupted: interrupted.clone() }
    }

    /// With no more than so many threads, for work of which each thread takes much memory.
    pub fn limited(&self, threads: usize) -> Self {
        Workers { ask: self.ask, interrupted: self.interrupted.clone(), ..Self::new(threads.min(self.threads())) }
    }

    /// What an item of [`Workers::map`] computes on: its own thread, which hears what this one's caller hears.
    pub fn alone(&self) -> Self {
        Workers { pool: None, ask: if self.pool.is_some() { None } else { self.ask }, interrupted: self.interrupted.clone() }
    }

    /// The threads that a model with so many rows is worth: a small one is done before they would have started.
    pub fn for_rows(threads: usize, n: usize) -> Self {
        const WORTH_IT: usize = 20_000;
        Self::new(if n < WORTH_IT { 1 } else { threads })
    }

    /// The caller's own thread alone.
    pub fn none() -> &'static Workers {
        static NONE: LazyLock<Workers> = LazyLock::new(|| Workers::new(1));
        &NONE
    }

    /// With the question whether the user wants to stop: asked on the caller's own thread, within evaluations that take long.
    pub fn stopped_by(mut self, ask: fn() -> bool) -> Self {
        self.ask = Some(ask);
        self
    }

    /// Asks the user, who need say it only once.
    pub fn interrupted(&self) -> bool {
        if self.ask.is_some_and(|ask| ask()) {
            self.interrupted.store(true, Ordering::Relaxed);
        }
        self.was_interrupted()
    }

    /// What was heard when [`Workers::interrupted`] last asked.
    pub fn was_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Fails where the user wants to stop.
    pub fn check(&self) -> Result<(), Error> {
        if self.interrupted() {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }

    /// To be asked within an item of [`Workers::for_each`] or [`Workers::map`]: is its result of no more use? Without a pool that is the
    /// caller's own thread, and the user is asked; with one the caller asks while the items are at work.
    pub fn gives_up(&self) -> bool {
        match &self.pool {
            Some(_) => self.was_interrupted(),
            None => self.interrupted(),
        }
    }

    /// Runs a body in the pool, while the caller's own thread asks the user.
    fn wait_for<R: Send>(&self, pool: &rayon::ThreadPool, body: impl FnOnce() -> R + Send) -> R {
        if self.ask.is_none() {
            return pool.install(body);
        }
        let (done, waiting) = mpsc::sync_channel(1);
        pool.in_place_scope(|scope| {
            scope.spawn(move |_| drop(done.send(body())));
            loop {
                match waiting.recv_timeout(Duration::from_millis(100)) {
                    Ok(value) => break Some(value),
                    Err(mpsc::RecvTimeoutError::Timeout) => drop(self.interrupted()),
                    Err(mpsc::RecvTimeoutError::Disconnected) => break None, // it panicked, and the scope passes that on
                }
            }
        })
        .expect("a body that returns has a value")
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.as_ref().map_or(1, |p| p.current_num_threads())
    }

    /// Runs a body whose calls of faer may use threads.
    pub fn install<R: Send>(&self, body: impl FnOnce(Par) -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(|| body(Par::rayon(pool.current_num_threads()))),
            None => body(Par::Seq),
        }
    }

    /// Calls `visit` for each item; the items must not depend on each other.
    pub fn for_each<T: Send>(&self, items: impl Iterator<Item = T>, visit: impl Fn(T) + Sync + Send) {
        match &self.pool {
            Some(pool) => {
                let items: Vec<T> = items.collect();
                self.wait_for(pool, || items.into_par_iter().for_each(visit));
            }
            None => items.for_each(visit),
        }
    }

    /// What `visit` makes of each item, in the order of the items.
    pub fn map<T: Send, R: Send>(&self, items: impl Iterator<Item = T>, visit: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
        match &self.pool {
            Some(pool) => {
                let items: Vec<T> = items.collect();
                self.wait_for(pool, || items.into_par_iter().map(visit).collect())
            }
            None => items.map(visit).collect(),
        }
    }

    /// Sum of `part(range)` over ranges that make up 0..n.
    pub fn sum(&self, n: usize, part: impl Fn(Range<usize>) -> f64 + Sync + Send) -> f64 {
        self.map(ranges(n, 1 << 14, 64), part).into_iter().sum()
    }

    /// Whether `holds(0)`, ..., `holds(n - 1)` all do.
    pub fn all(&self, n: usize, holds: impl Fn(usize) -> bool + Sync + Send) -> bool {
        self.map(ranges(n, 1 << 14, 64), |mut range| range.all(&holds)).into_iter().all(|all| all)
    }

    /// The largest `part(range)` over ranges that make up 0..n, or zero.
    pub fn max(&self, n: usize, part: impl Fn(Range<usize>) -> f64 + Sync + Send) -> f64 {
        self.map(ranges(n, 1 << 14, 64), part).into_iter().fold(0.0, f64::max)
    }
}

/// Ranges of about equal length that cover 0..n: as many as `most`, but none shorter than `least`.
pub fn ranges(n: usize, least: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let count = (n / least.max(1)).clamp(1, most.max(1));
    (0..count).map(move |i| n * i / count..n * (i + 1) / count)
}

/// Cuts a slice into consecutive pieces of the given sizes.
pub fn pieces<T>(mut slice: &mut [T], sizes: impl Iterator<Item = usize>) -> Vec<&mut [T]> {
    let mut out = Vec::new();
    for size in sizes {
        let (piece, rest) = slice.split_at_mut(size);
        out.push(piece);
        slice = rest;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_everything_once() {
        for (n, least, most) in [(0, 10, 4), (5, 10, 4), (100, 10, 4), (103, 1, 7)] {
            let all: Vec<usize> = ranges(n, least, most).flatten().collect();
            assert_eq!(all, (0..n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn who_wants_to_stop_is_heard_while_the_threads_are_at_work() {
        for threads in [1, 2] {
            let workers = Workers::new(threads).stopped_by(|| true);
            assert!(workers.check().is_err());
            let workers = Workers::new(threads).stopped_by(|| true);
            let rounds = workers.map(0..2, |_| {
                let begin = std::time::Instant::now();
                while !workers.gives_up() && begin.elapsed() < Duration::from_secs(60) {
                    std::thread::yield_now();
                }
                begin.elapsed()
            });
            assert!(workers.was_interrupted());
            assert!(rounds.iter().all(|time| *time < Duration::from_secs(30)), "{rounds:?}");
        }
    }

    #[test]
    fn a_panic_of_an_item_comes_back_to_the_caller() {
        let workers = Workers::new(2).stopped_by(|| false);
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| workers.map(0..4, |i| assert!(i < 3, "item {i}"))));
        assert_eq!(panic.unwrap_err().downcast_ref::<String>().map(String::as_str), Some("item 3"));
    }

    #[test]
    fn order_is_kept() {
        for threads in [1, 3] {
            let workers = Workers::new(threads);
            assert_eq!(workers.threads(), threads);
            assert_eq!(workers.map(0..1000, |i| i * i), (0..1000).map(|i| i * i).collect::<Vec<_>>());
        }
    }
}
