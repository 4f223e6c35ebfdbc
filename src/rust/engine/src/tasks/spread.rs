//! Work that comes in independent pieces, spread over threads: what each piece gives depends on its number alone, so that the results are
//! the same for any number of threads. Meanwhile the caller's own thread, the only one that may, asks whether the user wants to stop.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{mpsc, Arc};
use std::time::Duration;

use crate::error::Error;
use crate::parallel::Workers;

/// How to spread.
pub struct Spread<'a> {
    /// Number of pieces.
    pub count: usize,
    /// Threads to compute on; with one, the caller's own.
    pub threads: usize,
    /// Asked now and then, on the caller's thread, with the number of pieces that are done: stop?
    pub interrupted: &'a dyn Fn(usize) -> bool,
    /// The same question for what takes long within a piece, if there is one: asked on the caller's thread.
    pub ask: Option<fn() -> bool>,
}

/// Work that comes in pieces.
pub trait Pieces: Sync {
    /// What a thread allocates once.
    type Memory<'t>
    where
        Self: 't;
    /// What a piece gives.
    type Value: Send;

    /// The memory of a thread, which computes with these workers and has to stop when `interrupted` says so.
    fn memory<'t>(&'t self, workers: &'t Workers, interrupted: &'t dyn Fn() -> bool) -> Self::Memory<'t>;

    /// Does the piece of this number.
    fn piece(memory: &mut Self::Memory<'_>, index: usize) -> Self::Value;
}

/// The values of all pieces in order.
pub fn spread<P: Pieces>(way: &Spread, pieces: &P) -> Result<Vec<P::Value>, Error> {
    let threads = way.threads.clamp(1, way.count.max(1));
    if threads == 1 {
        return here(way, pieces);
    }
    let (next, stop) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let (send, receive) = mpsc::channel();
    // A few pieces at a time, so that small ones don't spend their time on being handed out.
    let count = way.count;
    let share = (count / (threads * 16)).clamp(1, 64);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (next, stop, send) = (&next, &stop, send.clone());
            scope.spawn(move || {
                let workers = Workers::one_of(stop);
                let interrupted = || stop.load(Ordering::Relaxed);
                let mut memory = pieces.memory(&workers, &interrupted);
                loop {
                    let begin = next.fetch_add(share, Ordering::Relaxed);
                    if begin >= count || interrupted() {
                        break;
                    }
                    let done: Vec<_> = (begin..(begin + share).min(count)).map(|index| P::piece(&mut memory, index)).collect();
                    if send.send((begin, done)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        collect(&receive, &stop, way)
    })
}

/// On the caller's own thread, which is asked within pieces too: one of them may take minutes.
fn here<P: Pieces>(way: &Spread, pieces: &P) -> Result<Vec<P::Value>, Error> {
    let (done, stopped) = (Cell::new(0), Cell::new(false));
    let ask = || {
        stopped.set(stopped.get() || (way.interrupted)(done.get())); // the user says it only once
        stopped.get()
    };
    let workers = match way.ask {
        Some(ask) => Workers::new(1).stopped_by(ask),
        None => Workers::new(1),
    };
    let mut memory = pieces.memory(&workers, &ask);
    let mut out = Vec::with_capacity(way.count);
    for index in 0..way.count {
        done.set(index);
        if ask() {
            return Err(Error::Interrupted);
        }
        out.push(P::piece(&mut memory, index));
        if stopped.get() || workers.was_interrupted() {
            return Err(Error::Interrupted);
        }
    }
    Ok(out)
}

/// Gathers the threads' results on the caller's.
fn collect<T>(receive: &mpsc::Receiver<(usize, Vec<T>)>, stop: &AtomicBool, way: &Spread) -> Result<Vec<T>, Error> {
    let mut out: Vec<Option<T>> = (0..way.count).map(|_| None).collect();
    let mut done = 0;
    loop {
        match receive.recv_timeout(Duration::from_millis(50)) {
            Ok((begin, results)) => {
                done += results.len();
                results.into_iter().enumerate().for_each(|(offset, result)| out[begin + offset] = Some(result));
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
        if (way.interrupted)(done) {
            stop.store(true, Ordering::Relaxed);
            return Err(Error::Interrupted);
        }
    }
    out.into_iter().collect::<Option<Vec<T>>>().ok_or_else(|| "a worker of the engine stopped before its work was done".into())
}
