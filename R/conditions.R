# Errors and warnings of this package have classes, so that code can catch them without reading their texts, which are lme4's where it has
# some. An error is a `fastlmer_error` and one of
#   fastlmer_argument_error      an argument that has no meaning
#   fastlmer_data_error          data that can't be fitted
#   fastlmer_unsupported_error   asked of a fit or of data that can't give it
#   fastlmer_package_error       a package that isn't installed
#   fastlmer_engine_error        what the engine can't compute (src/rust/src/condition.rs)
# and a warning a `fastlmer_warning` and one of
#   fastlmer_exact_fit, fastlmer_refitted_update, fastlmer_not_converged, fastlmer_failed_replicates, fastlmer_failed_deletions

fail <- function(kind, ...) {
  stop(structure(
    class = c(paste0("fastlmer_", kind, "_error"), "fastlmer_error", "error", "condition"), list(message = .makeMessage(...), call = NULL)
  ))
}

warn <- function(kind, ...) {
  warning(structure(
    class = c(paste0("fastlmer_", kind), "fastlmer_warning", "warning", "condition"), list(message = .makeMessage(...), call = NULL)
  ))
}

# Where our own way fails another is gone, lme4's or R's, which would hide a defect of ours: with the option `fastlmer.strict`, which the
# tests set, the error that stopped us is signalled when the other way has had an answer. `found` is our value, or the condition that
# ended it; what isn't for our way at all says so by not_ours().
reveal <- function(found) {
  if (is_strict() && inherits(found, "error") && !inherits(found, "fastlmer_not_ours")) stop(found)
}

not_ours <- function() stop(structure(class = c("fastlmer_not_ours", "error", "condition"), list(message = "not our way", call = NULL)))

is_strict <- function() isTRUE(getOption("fastlmer.strict"))

# Errors of the engine that lme4 should not be asked to answer: a defect of ours, and a model too large for the machine. (A call that the
# engine doesn't understand is a defect too, but one that lme4 can make good.)
is_final <- function(error) inherits(error, c("fastlmer_panic", "fastlmer_too_large", if (is_strict()) "fastlmer_call_error"))
