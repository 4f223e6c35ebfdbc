//! Errors, panics and interrupts on their way to R.
//!
//! extendr would raise an R error from Rust itself, but then the text is taken for a `printf` format (a `%` crashes R) and the user
//! reads `Error in engine_fit(design, x, codes, ...)`. So nothing is raised here: [`answer`] returns either the value or an R
//! condition, and the generated wrapper in R/extendr-wrappers.R passes what it gets through `engine_value()` (R/engine-value.R), which
//! signals a condition from R. The user reads `Error: text`; code can catch the class `fastlmer_engine_error`.
use crate::record;
use crate::value::{jump, to_r, Value};
use crate::watch;
use extendr_api::prelude::Robj;
use fastlmer_engine::{Error as EngineError, Workers};
use std::any::Any;
use std::cell::Cell;
use std::fmt::Display;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::{Duration, Instant};

/// Why a call has no value. Anything that can be displayed becomes an `Error` by `?`.
pub enum Failure {
    /// Of a call of the engine that makes no sense: a defect of ours.
    Error(String),
    /// What the engine can't compute.
    Unfit(String),
    /// The machine is too small for the request: nobody else should try it.
    TooLarge(String),
    /// The user pressed Ctrl-C.
    Interrupt,
    /// R jumped out of a function that allocates, see src/unwind.c.
    Jump,
}

impl<E: Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Error(error.to_string())
    }
}

/// What the engine's fitting functions return, as an answer.
pub fn fitted<T>(result: Result<T, EngineError>) -> Answer<T> {
    result.map_err(|error| match error {
        EngineError::Interrupted => Failure::Interrupt,
        EngineError::TooLarge(text) => Failure::TooLarge(text),
        other => Failure::Unfit(other.to_string()),
    })
}

/// The same of work on threads, which the user may have stopped.
pub fn finished<T>(result: Result<T, EngineError>, workers: &Workers) -> Answer<T> {
    if workers.was_interrupted() {
        return Err(Failure::Interrupt);
    }
    fitted(result)
}

pub type Answer<T> = Result<T, Failure>;

/// Runs the body of a function called from R; its value, or the condition that R is to signal.
pub fn answer<T: Into<Value<'static>>>(body: impl FnOnce() -> Answer<T>) -> Robj {
    let failure = match catch_unwind(AssertUnwindSafe(|| body().and_then(|value| to_r(&value.into())))) {
        Ok(Ok(value)) => return value,
        Ok(Err(failure)) => failure,
        Err(panic) => {
            let text = format!("internal error in fastlmer's engine: {}", panic_text(panic.as_ref()));
            return condition(&text, &["fastlmer_panic", "fastlmer_engine_error", "fastlmer_error", "error", "condition"]);
        }
    };
    match failure {
        Failure::Error(text) => condition(&text, &["fastlmer_call_error", "fastlmer_engine_error", "fastlmer_error", "error", "condition"]),
        Failure::Unfit(text) => condition(&text, &["fastlmer_engine_error", "fastlmer_error", "error", "condition"]),
        Failure::TooLarge(text) => {
            condition(&text, &["fastlmer_too_large", "fastlmer_engine_error", "fastlmer_error", "error", "condition"])
        }
        Failure::Interrupt => condition("interrupted", &["fastlmer_interrupt", "interrupt", "condition"]),
        Failure::Jump => jump(),
    }
}

/// An R condition object. Its call is NULL: the engine's own call says nothing to the user.
fn condition(text: &str, class: &'static [&'static str]) -> Robj {
    let object = record!(message = text, call = ());
    to_r(&Value::Classed(Box::new(object), class)).unwrap_or_else(|_| jump())
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "no message"
    }
}

/// A question for the engine's loops: has the user pressed Ctrl-C? R is asked ten times a second at most.
pub fn interrupt_check() -> impl Fn() -> bool {
    let last = Cell::new(Instant::now());
    move || {
        let due = last.get().elapsed() > Duration::from_millis(100);
        if due {
            last.set(Instant::now());
        }
        due && interrupted()
    }
}

/// Has the user pressed Ctrl-C? To be asked from R's own thread only. R answers by a jump, which must not cross Rust's frames, so
/// the question is put inside `R_ToplevelExec`, which catches it and says whether it got to the end. Whoever watches is told at the same
/// occasion how far the work is.
pub fn interrupted() -> bool {
    extern "C" {
        fn R_CheckUserInterrupt();
        fn R_ToplevelExec(body: extern "C" fn(*mut std::ffi::c_void), data: *mut std::ffi::c_void) -> i32;
    }
    extern "C" fn check(watcher: *mut std::ffi::c_void) {
        // SAFETY: called by R_ToplevelExec, which catches the jump; this frame owns nothing.
        unsafe {
            if !watcher.is_null() {
                watch::tell(watcher.cast());
            }
            R_CheckUserInterrupt();
        }
    }
    let watcher = watch::due().map_or(std::ptr::null_mut(), |function| function.cast());
    // SAFETY: on R's own thread; R keeps neither the function nor the pointer, which is null or to a function of R's.
    unsafe { R_ToplevelExec(check, watcher) == 0 }
}
