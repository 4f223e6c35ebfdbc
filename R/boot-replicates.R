# The replicates of a bootstrap: all chunks of a source, refitted, with the statistic of each refit. A list of
#   t            a row per replicate
#   conditions   the texts of messages, warnings and errors, in a list of these three
#   singular     the numbers of the replicates whose fit is singular
run_replicates <- function(plan, source, workers, progress) {
  numbers <- seq_along(source$chunks)
  on.exit(progress$close())
  results <- if (workers$count > 1L && (workers$elsewhere || is.null(plan$statistic))) {
    run_on_workers(plan, source, workers)
  } else {
    lapply(numbers, function(i) {
      result <- run_chunk(plan, source$responses(i), source$chunks[[i]][[1L]], progress)
      progress$set(source$chunks[[i]][[1L]] + source$chunks[[i]][[2L]] - 1)
      result
    })
  }
  gathered(results)
}

gathered <- function(results) {
  kinds <- c("message", "warning", "error")
  list(
    t = t(do.call(cbind, lapply(results, `[[`, "values"))),
    conditions = lapply(stats::setNames(kinds, kinds), function(kind) {
      as.character(unlist(lapply(results, function(result) result$conditions[[kind]])))
    }),
    singular = which(unlist(lapply(results, `[[`, "singular")))
  )
}

# One chunk: a list of `values`, a column per replicate, `singular`, whether its fit is that, and `conditions`. `first` is the number of its
# first replicate.
run_chunk <- function(plan, responses, first, progress = NULL) {
  if (is.null(plan$statistic)) return(run_each(plan, responses, first, progress))
  batch <- refit_batch(plan$record, responses, plan$threads, modes = plan$statistic$modes)
  values <- plan$statistic$values(batch)
  storage.mode(values) <- "double"
  failed <- is.na(batch$converged)
  values[, failed] <- NA
  if (plan$verbose) {
    for (i in seq_len(ncol(values))) print_replicate(first + i - 1L, stats::setNames(values[, i], names(plan$t0)))
  }
  list(values = values, singular = batch$singular, conditions = list(
    message = rep(singular_text, sum(batch$boundary, na.rm = TRUE) * tells_singular(plan$control, "message")),
    warning = c(
      rep(singular_text, sum(batch$boundary, na.rm = TRUE) * tells_singular(plan$control, "warning")),
      rep(not_converged(no_optimum), sum(!batch$converged, na.rm = TRUE))
    ),
    error = rep("the simulated response could not be fitted", sum(failed))
  ))
}

no_optimum <- "no optimum was found"

singular_text <- "boundary (singular) fit: see help('isSingular')"

tells_singular <- function(control, action) identical(control$checkConv$check.conv.singular$action, action)

print_replicate <- function(number, value) {
  cat(sprintf("%5d :", as.integer(number)))
  utils::str(value)
}

# A chunk with FUN run on the fit of every replicate.
run_each <- function(plan, responses, first, progress = NULL) {
  y <- responses$y %||% engine_simulate(
    engine_pointer(plan$record), plan$record$x, plan$record$codes, plan$record$z, plan$record$weights, responses
  )
  batch <- refit_batch(plan$record, list(y = y), plan$threads)
  collected <- new.env(parent = emptyenv())
  values <- lapply(seq_len(ncol(y)), function(i) {
    value <- value_with_conditions(collected, rep(NA_real_, length(plan$t0)), {
      plan$FUN(replicate_fit(plan, batch, y[, i], i))
    })
    if (plan$verbose) print_replicate(first + i - 1L, value)
    if (!is.null(progress)) progress$set(first + i - 1L)
    value
  })
  values <- do.call(cbind, values)
  conditions <- mget(c("message", "warning", "error"), envir = collected, ifnotfound = list(NULL))
  list(values = values, singular = batch$singular, conditions = conditions)
}

# The value of `expr`; `failed` after an error. The texts of its conditions go to `collected`.
value_with_conditions <- function(collected, failed, expr) {
  keep <- function(condition, kind) assign(kind, c(collected[[kind]], conditionMessage(condition)), envir = collected)
  tryCatch(
    withCallingHandlers(
      expr,
      warning = function(w) {
        keep(w, "warning")
        tryInvokeRestart("muffleWarning")
      },
      message = function(m) {
        keep(m, "message")
        tryInvokeRestart("muffleMessage")
      }
    ),
    error = function(e) {
      keep(e, "error")
      failed
    }
  )
}

# The fit of one replicate as lme4's object, from the batch's theta: nothing is optimised again.
replicate_fit <- function(plan, batch, y, i) {
  if (is.na(batch$converged[i])) stop("the simulated response could not be fitted")
  record <- plan$record
  record$y <- if (is.null(record$offset)) y else y + record$offset
  record$theta <- batch$theta[, i]
  fit <- solve_response(record, list(fixed = TRUE))
  fit$optinfo <- replicate_optinfo(plan, batch, fit, i)
  parts <- parts_of_record(record, with_response(plan$x@frame, record$y), plan$x, refitted = TRUE)
  light(new_lmermod(fit, parts, plan$x@call))
}

replicate_optinfo <- function(plan, batch, fit, i) {
  optinfo <- plan$x@optinfo
  optinfo["derivs"] <- list(derivatives_at(fit, !is.null(optinfo$derivs), FALSE, plan$record$lower))
  optinfo$feval <- batch$evaluations[i]
  optinfo$val <- fit$theta + 0
  optinfo$conv <- list(opt = 0, lme4 = list())
  optinfo$warnings <- list()
  if (batch$boundary[i]) {
    if (tells_singular(plan$control, "message")) message(singular_text)
    if (tells_singular(plan$control, "warning")) warning(singular_text, call. = FALSE)
    optinfo$conv$lme4 <- list(messages = singular_text)
  }
  if (!batch$converged[i]) {
    optinfo$warnings <- list(not_converged(no_optimum))
    optinfo$conv$opt <- 5
    warn("not_converged", optinfo$warnings[[1L]])
  }
  optinfo
}
