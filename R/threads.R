# Threads to compute on unless the user says otherwise: the option `fastlmer.threads`, else the machine's cores, at most 8. R CMD check
# allows two.
default_threads <- function() {
  option <- getOption("fastlmer.threads")
  if (!is.null(option)) return(max(1L, as.integer(option)))
  if (is.null(cache$cores)) cache$cores <- max(1L, parallel::detectCores(), na.rm = TRUE)
  limited <- tolower(Sys.getenv("_R_CHECK_LIMIT_CORES_", "false")) %in% c("true", "warn", "error", "1", "yes")
  min(cache$cores, if (limited) 2L else 8L)
}
