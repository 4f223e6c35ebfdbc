//! Who watches a computation: an R function that is told, while it goes on, how far it is.
//!
//! The engine counts what it does (`fastlmer_engine::progress`), and asks now and then, on R's own thread, whether the user wants to stop:
//! that is when the function is called, a few times a second.
use crate::condition::answer;
use extendr_api::prelude::*;
use extendr_api::GetSexp;
use extendr_ffi::{R_BaseEnv, Rf_protect, Rf_unprotect, SEXP};
use fastlmer_engine::progress;
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// Between two calls.
const PAUSE: Duration = Duration::from_millis(200);

struct Watch {
    function: Robj,
    last: Instant,
}

thread_local! {
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// Calls `callback(done, total, evaluations)` now and then while the engine computes, until it is called with NULL. The function must not
/// fail.
/// @noRd
#[extendr]
fn engine_watch(callback: Robj) -> Robj {
    answer(|| {
        let watch = callback.is_function().then(|| Watch { function: callback.clone(), last: Instant::now() });
        WATCH.with(|place| *place.borrow_mut() = watch);
        Ok(())
    })
}

/// The function that is to be called now, if there is one.
pub fn due() -> Option<SEXP> {
    WATCH.with(|place| {
        let mut place = place.try_borrow_mut().ok()?;
        let watch = place.as_mut().filter(|watch| watch.last.elapsed() > PAUSE)?;
        watch.last = Instant::now();
        // SAFETY: the pointer is only looked at, and the Robj keeps the function from R's garbage collector
        Some(unsafe { watch.function.get() })
    })
}

/// Tells a function how far the engine is.
///
/// # Safety
/// On R's own thread, where R may jump: the caller owns nothing that has to be dropped.
pub unsafe fn tell(function: SEXP) {
    #[allow(improper_ctypes)] // a SEXP is a pointer, whatever it points to
    extern "C" {
        fn Rf_lang4(function: SEXP, first: SEXP, second: SEXP, third: SEXP) -> SEXP;
        fn Rf_ScalarReal(value: f64) -> SEXP;
        fn Rf_eval(call: SEXP, environment: SEXP) -> SEXP;
    }
    let now = progress();
    let done = Rf_protect(Rf_ScalarReal(now.done as f64));
    let total = Rf_protect(Rf_ScalarReal(now.total as f64));
    let evaluations = Rf_protect(Rf_ScalarReal(now.evaluations as f64));
    let call = Rf_protect(Rf_lang4(function, done, total, evaluations));
    Rf_eval(call, R_BaseEnv);
    Rf_unprotect(4);
}

extendr_module! {
    mod watch;
    fn engine_watch;
}
