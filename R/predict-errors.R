# Standard errors and intervals of predictions.

checked_level <- function(level) {
  check_share(level, "level")
  level
}

checked_df <- function(df) {
  if (!is.numeric(df) || length(df) != 1L || is.na(df) || df <= 0) fail("argument", "'df' must be a positive number, or Inf")
  df
}

# The fit at other parameters, with lme4's errors. Its pp is a copy without our mark, which is asked of the fit itself.
with_parameters <- function(object, newparams) {
  changed <- lme4_set_parameters(object, newparams)
  object@beta <- changed@beta
  object@theta <- changed@theta
  object@devcomp <- changed@devcomp
  object
}

prediction_with_errors <- function(object, newdata, newparams, na.action, default_action, options) {
  if (!is.null(newparams)) object <- with_parameters(object, newparams)
  kept <- error_rows(object, newdata, na.action, options)
  rows <- kept$rows
  value <- linear_predictor(rows, object)
  errors <- if (options$method == "simulate") {
    simulated_errors(object, rows, options)
  } else {
    normal_errors(object, rows, options, is.na(value))
  }
  omitted <- kept$omitted
  if (is.null(newdata)) {
    omitted <- attr(object@frame, "na.action")
    if (!default_action && !is.null(omitted)) class(omitted) <- class(attr(na.action(NA), "na.action"))
  }
  finish <- function(values) stats::napredict(omitted, named_prediction(values, rows))
  value <- finish(value)
  if (options$interval != "none") {
    value <- cbind(fit = value, lwr = value + finish(errors$lower), upr = value + finish(errors$upper))
  }
  if (options$se.fit) list(fit = value, se.fit = finish(errors$se)) else value
}

# The rows of which errors are asked, or the error that lme4's method has for them.
error_rows <- function(object, newdata, na.action, options) {
  attempt <- function() {
    kept <- kept_rows(object, newdata, na.action, options$random.only)
    rows <- new_rows(object, kept$data, options$re.form, options$random.only, options$new_levels, options$threads)
    if (options$interval == "prediction") rows$others <- effects_left_out(rows, object, options)
    if (options$interval == "prediction") rows$weights <- new_weights(options$weights, object, kept, newdata)
    list(rows = rows, omitted = kept$omitted)
  }
  tryCatch(suppressWarnings(attempt()), fastlmer_error = stop, error = function(e) {
    given <- list(object, newdata,
      re.form = options$re.form, random.only = options$random.only, allow.new.levels = options$new_levels, na.action = na.action)
    without_columns(object, do.call(lme4_predict, given))
    fail("unsupported", "no standard errors can be computed for this formula or these data: ", conditionMessage(e))
  })
}

# What a new response has beside the effects that are kept: those of the other terms, of levels that the fit hasn't seen.
effects_left_out <- function(rows, object, options) {
  if (options$random.only) fail("argument", "a prediction interval is for a response: leave 'random.only' out")
  nothing <- function(e) {
    fail("argument", "a prediction interval needs the variables of the random effects that 're.form' leaves out: ", conditionMessage(e))
  }
  columns <- tryCatch(lapply(rows$source$recipe$split$bars, new_effect_columns, source = rows$source), error = nothing)
  bars <- rows$source$recipe$split$bars
  whole <- vector("list", length(object@cnms))
  for (i in seq_along(bars)) {
    places <- effect_places(object@cnms, group_name(bars[[i]][[3L]]), colnames(columns[[i]]), lengths(whole) > 0L)
    term <- places$term[[1L]]
    z <- columns[[i]]
    kept <- rows$effects[[term]]$z
    # a term's columns that are kept are zero here
    if (!is.null(kept)) z[kept != 0] <- 0
    whole[[term]] <- list(z = z, level = rep.int(NA_integer_, rows$n))
  }
  whole
}

new_weights <- function(weights, object, kept, newdata) {
  n <- .row_names_info(kept$data %||% object@frame, 2L)
  if (is.null(weights)) return(if (is.null(newdata)) get("weights", envir = attr(object@resp, ".xData")) else rep.int(1, n))
  if (!is.numeric(weights) || anyNA(weights) || any(weights <= 0)) fail("argument", "'weights' must be positive numbers")
  all <- if (is.null(newdata)) n else nrow(newdata)
  if (!length(weights) %in% c(1L, all)) fail("argument", sprintf("'weights' must be one number or %d, one per row", all))
  if (length(weights) == 1L || is.null(kept$omitted)) rep_len(weights, n) else weights[-kept$omitted]
}

normal_errors <- function(object, rows, options, missing) {
  record <- on_threads(engine_of(object, response = FALSE), options$threads)
  variance <- prediction_variances(record, object, rows$n, rows$x, rows$effects)
  variance[missing] <- NA
  errors <- list(se = record$sigma * sqrt(variance))
  if (options$interval == "none") return(errors)
  half <- errors$se
  if (options$interval == "prediction") {
    others <- prediction_variances(record, object, rows$n, NULL, rows$others)
    half <- record$sigma * sqrt(variance + others + 1 / rows$weights)
  }
  half <- half * stats::qt((1 + options$level) / 2, options$df)
  c(errors, list(lower = -half, upper = half))
}

# Variances of x'beta + z'b in units of the residual variance.
prediction_variances <- function(record, object, n, x, effects) {
  if (is.null(x) && !any(lengths(effects) > 0L)) return(numeric(n))
  absorbed <- if (!is.null(x) && is_absorbed(x)) x$factor
  if (!is.null(absorbed)) x <- x$dense
  if (!is.null(x)) storage.mode(x) <- "double"
  flist <- object@flist
  codes <- rep(list(integer(n)), length(flist))
  assign <- attr(flist, "assign")
  for (term in which(lengths(effects) > 0L)) {
    level <- effects[[term]]$level
    level[is.na(level)] <- 0L
    codes[[assign[[term]]]] <- as.integer(level)
  }
  z <- lapply(effects, `[[`, "z")
  if (!is.null(record$structure)) z <- split_columns(z, record$structure)
  engine_prediction_variances(
    engine_pointer(record), predictor_pointer(record), n, x, if (!is.null(absorbed)) as.integer(absorbed), codes, z,
    threads_for(n, record$threads)
  )
}

# The columns of the engine's terms, of which a term with independent columns is several.
split_columns <- function(z, structure) {
  block <- structure$block
  column <- stats::ave(seq_along(block), block, FUN = seq_along)
  Map(function(term, column) if (is.null(z[[term]]) || !structure$diagonal[[term]]) z[[term]] else z[[term]][, column], block, column)
}

# The factorisation at the fit's theta. It is kept with the fit unless it is large.
predictor_pointer <- function(record, most = 1e6) {
  kept <- record$cache$predictor
  if (identical(kept$theta, record$theta) && !engine_predictor_is_nil(kept$pointer)) return(kept$pointer)
  pointer <- engine_predictor(engine_pointer(record), record$theta, threads_for(nrow(record$x), record$threads))
  if (sum(record$nlev[record$asgn] * lengths(record$cnms)) * ncol(record$x) <= most) {
    record$cache$predictor <- list(theta = record$theta, pointer = pointer)
  }
  pointer
}
