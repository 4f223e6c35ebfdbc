# Written by tools/document.sh from src/rust/src/lib.rs; don't edit by hand.
# nolint start

#' Fails on purpose, by an error or a panic, so that the tests see what a user would see.
#' @noRd
engine_fail <- function(text, panic) engine_value(.Call(wrap__engine_fail, text, panic))
# nolint end
