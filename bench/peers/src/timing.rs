//! Times of several engines on one model.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::Instant;

use crate::engines::{Engine, Reached, Ready};
use crate::model::Model;

/// Seconds that an engine may spend on a model before it gets no further turn.
const BUDGET: f64 = 1.0;
/// Most turns of one engine.
const TURNS: usize = 201;

/// What came of an engine on a model.
pub struct Timed {
    /// Median of the elapsed seconds.
    pub seconds: f64,
    /// What it reached.
    pub reached: Reached,
    /// Memory in MB before the fit and at its peak, where measured.
    pub memory: Option<(f64, f64)>,
}

/// The engines take turns, so that what else the machine does falls on all of them alike.
pub fn time(engines: &[&Engine], model: &Model) -> Vec<Result<Timed, String>> {
    let ready: Vec<_> = engines.iter().map(|engine| guarded(|| (engine.prepare)(model.clone()))).collect();
    let mut seconds = vec![Vec::new(); engines.len()];
    let mut results: Vec<Result<Reached, String>> = ready.iter().map(|_| Err(String::new())).collect();
    for _ in 0..TURNS {
        for (e, ready) in ready.iter().enumerate() {
            match ready {
                Err(error) => results[e] = Err(error.clone()),
                Ok(ready) if seconds[e].iter().sum::<f64>() < BUDGET => {
                    let (elapsed, reached) = run(ready.as_ref());
                    seconds[e].push(elapsed);
                    results[e] = reached;
                }
                Ok(_) => {}
            }
        }
    }
    let timed =
        |(seconds, reached): (Vec<f64>, Result<Reached, String>)| Ok(Timed { seconds: median(seconds), reached: reached?, memory: None });
    seconds.into_iter().zip(results).map(timed).collect()
}

/// One fit: its elapsed seconds and what it reached.
pub fn run(ready: &dyn Ready) -> (f64, Result<Reached, String>) {
    let begin = Instant::now();
    let reached = guarded(|| ready.fit());
    (begin.elapsed().as_secs_f64(), reached)
}

/// A panic of an engine is a model that it can't fit.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("it panicked".into()))
}

/// Median of values; the lower one of two middle ones.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}
