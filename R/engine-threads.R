# Threads to compute on unless the user says otherwise: the option `fastlmer.threads`, else the machine's cores, at most 8. R CMD check
# allows two.
default_threads <- function() {
  option <- getOption("fastlmer.threads")
  if (!is.null(option)) return(checked_threads(option))
  if (is.null(cache$cores)) cache$cores <- max(1L, parallel::detectCores(), na.rm = TRUE)
  limited <- tolower(Sys.getenv("_R_CHECK_LIMIT_CORES_", "false")) %in% c("true", "warn", "error", "1", "yes")
  min(cache$cores, if (limited) 2L else 8L)
}

checked_threads <- function(threads) {
  if (!is.numeric(threads) || length(threads) != 1L || is.na(threads) || threads < 1) {
    fail("argument", "'threads' must be a number of threads, 1 or more")
  }
  as.integer(min(threads, 1024))
}

# An engine record with the threads that its user has named for what is computed from it, or none (NULL).
on_threads <- function(record, threads) {
  record$threads <- if (!is.null(threads)) checked_threads(threads)
  record
}

# Threads for one model of n rows, of those that the caller has named (NULL where it has not): a small one isn't worth more than one.
threads_for <- function(n, threads = NULL) {
  if (n < 20000L) 1L else if (is.null(threads)) default_threads() else checked_threads(threads)
}
