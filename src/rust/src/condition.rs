//! Errors, panics and interrupts on their way to R.
//!
//! extendr would raise an R error from Rust itself, but then the text is taken for a `printf` format (a `%` crashes R) and the user
//! reads `Error in engine_fit(design, x, codes, ...)`. So nothing is raised here: [`answer`] returns either the value or an R
//! condition, and the generated wrapper in R/extendr-wrappers.R passes what it gets through `engine_value()` (R/engine-value.R), which
//! signals a condition from R. The user reads `Error: text`; code can catch the class `fastlmer_error`.
use engine::FitError;
use extendr_api::prelude::*;
use std::any::Any;
use std::cell::Cell;
use std::fmt::Display;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::{Duration, Instant};

/// Why a call has no value. Anything that can be displayed becomes an `Error` by `?`.
pub enum Failure {
    Error(String),
    /// The machine is too small for the request: nobody else should try it.
    TooLarge(String),
    /// The user pressed Ctrl-C.
    Interrupt,
}

impl<E: Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Error(error.to_string())
    }
}

/// What the engine's fitting functions return, as an answer.
pub fn fitted<T>(result: std::result::Result<T, FitError>) -> Answer<T> {
    result.map_err(|error| match error {
        FitError::Interrupted => Failure::Interrupt,
        FitError::Invalid(text) => Failure::Error(text),
        FitError::TooLarge(text) => Failure::TooLarge(text),
    })
}

pub type Answer<T> = std::result::Result<T, Failure>;

/// Runs the body of a function called from R; its value, or the condition that R is to signal.
pub fn answer<T: Into<Robj>>(body: impl FnOnce() -> Answer<T>) -> Robj {
    match catch_unwind(AssertUnwindSafe(|| body().map(Into::into))) {
        Ok(Ok(value)) => value,
        Ok(Err(Failure::Error(text))) => condition(&text, &["fastlmer_error", "error", "condition"]),
        Ok(Err(Failure::TooLarge(text))) => condition(&text, &["fastlmer_too_large", "fastlmer_error", "error", "condition"]),
        Ok(Err(Failure::Interrupt)) => condition("interrupted", &["fastlmer_interrupt", "interrupt", "condition"]),
        Err(panic) => condition(
            &format!("internal error in fastlmer's engine: {}", panic_text(panic.as_ref())),
            &["fastlmer_panic", "fastlmer_error", "error", "condition"],
        ),
    }
}

/// An R condition object. Its call is NULL: the engine's own call says nothing to the user.
fn condition(text: &str, class: &[&str]) -> Robj {
    let text = text.replace('\0', ""); // R's strings end at a zero byte
    let mut object: Robj = list!(message = text, call = NULL).into();
    object.set_class(class).expect("a list takes a class");
    object
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
/// the question is put inside `R_ToplevelExec`, which catches it and says whether it got to the end.
pub fn interrupted() -> bool {
    extern "C" {
        fn R_CheckUserInterrupt();
        fn R_ToplevelExec(body: extern "C" fn(*mut std::ffi::c_void), data: *mut std::ffi::c_void) -> i32;
    }
    extern "C" fn check(_: *mut std::ffi::c_void) {
        unsafe { R_CheckUserInterrupt() }
    }
    unsafe { R_ToplevelExec(check, std::ptr::null_mut()) == 0 }
}
