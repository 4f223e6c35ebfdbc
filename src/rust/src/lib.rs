//! Glue between R and the engine: converts arguments and results, and turns what goes wrong into R errors. No mathematics.
//!
//! A function that R calls is written so:
//!
//! ```ignore
//! /// What it does.
//! /// @noRd
//! #[extendr]
//! fn engine_something(x: RMatrix<f64>, options: List) -> Robj {
//!     answer(|| {
//!         let fit = engine::something(x.data())?; // any error that can be displayed
//!         Ok(list!(theta = fit.theta))
//!     })
//! }
//! ```
//!
//! and named in `extendr_module!` below; `sh tools/document.sh` then writes its R wrapper. See [`condition`] for errors.
mod condition;

use condition::answer;
use extendr_api::prelude::*;

/// Fails on purpose, by an error or a panic, so that the tests see what a user would see.
/// @noRd
#[extendr]
fn engine_fail(text: &str, panic: bool) -> Robj {
    answer(|| -> condition::Answer<Robj> {
        if panic {
            panic!("{text}");
        }
        Err(text)?
    })
}

extendr_module! {
    mod fastlmer;
    fn engine_fail;
}
