# The errors of predictions by simulation: responses are drawn from the fit with new random effects, the model is refitted to each, and each
# refit predicts the rows. What that prediction misses, of the linear predictor that the response was drawn with or of a new response, has
# the uncertainty of theta in it (the parametric bootstrap of Davison and Hinkley 1997, section 6.3.3, for a mixed model).

simulated_errors <- function(object, rows, options) {
  refuse_without_rows(object, "method = \"simulate\"")
  nsim <- options$nsim
  if (!is.numeric(nsim) || length(nsim) != 1L || is.na(nsim) || nsim < 2) fail("argument", "'nsim' must be a number of at least 2")
  if (!is.null(options$seed)) set.seed(options$seed)
  record <- engine_of(object)
  recipe <- simulation_recipe(record, object, keep = FALSE)
  progress <- progress_bar("none", list(), nsim)
  on.exit(progress$close())
  threads <- options$threads %||% default_threads()
  chunks <- chunk_bounds(as.integer(nsim), recipe$n + 2L * (recipe$effects + rows$n), threads, if (progress$shown) 25L else 1L)
  errors <- lapply(chunks, function(chunk) {
    missed <- missed_by_refits(object, record, recipe, rows, chunk[[2L]], options$interval == "prediction", threads)
    progress$set(chunk[[1L]] + chunk[[2L]] - 1)
    missed
  })
  summarised_errors(lapply(list(line = 1L, response = 2L), function(i) do.call(cbind, lapply(errors, `[[`, i))), options)
}

# Per row what `count` refits' predictions miss: of the linear predictor, and of a new response.
missed_by_refits <- function(object, record, recipe, rows, count, prediction, threads) {
  normals <- list(u = draw_effects(recipe, count), e = draw_residuals(recipe, count))
  batch <- refit_batch(record, recipe_responses(recipe, normals), threads, modes = TRUE)
  missed <- matrix(0, rows$n, count)
  if (!is.null(rows$x)) missed <- columns_times_each(rows$x, batch$beta - record$beta)
  drawn <- record$sigma * drawn_effects(normals$u, record)
  gap <- in_lme4_order(batch$b - drawn, record)
  factors <- relative_factors_of(object)
  new_effects <- function(effects, missed) {
    for (term in which(lengths(effects) > 0L)) {
      missed <- missed - record$sigma * unseen_effects(effects[[term]], factors[[term]], count)
    }
    missed
  }
  for (term in which(lengths(rows$effects) > 0L)) missed <- missed + seen_effects(rows$effects[[term]], gap, object@Gp[[term]])
  missed <- new_effects(rows$effects, missed)
  if (!prediction) return(list(missed, NULL))
  response <- new_effects(rows$others, missed)
  list(missed, response - record$sigma / sqrt(rows$weights) * matrix(stats::rnorm(rows$n * count), rows$n))
}

columns_times_each <- function(x, beta) {
  if (!is_absorbed(x)) return(x %*% beta)
  vapply(seq_len(ncol(beta)), function(j) columns_times(x, beta[, j]), numeric(nrow(x)))
}

# Lambda u for each column, in the engine's order.
drawn_effects <- function(u, record) {
  columns <- lengths(record$cnms)
  sizes <- record$nlev[record$asgn] * columns
  factors <- relative_factors(record$theta, columns)
  last <- cumsum(sizes)
  do.call(rbind, Map(function(last, size, factor) {
    own <- u[last - size + seq_len(size), , drop = FALSE]
    matrix(factor %*% matrix(own, ncol(factor)), size)
  }, last, sizes, factors))
}

in_lme4_order <- function(effects, record) {
  order <- effect_order(record)
  if (is.null(order)) effects else effects[order, , drop = FALSE]
}

# z'b of the levels that the fit has, for each column of `b`.
seen_effects <- function(effects, b, first) {
  k <- ncol(effects$z)
  b <- rbind(b, matrix(0, k, ncol(b)))
  at <- first + (effects$level - 1L) * k
  at[is.na(at)] <- nrow(b) - k
  Reduce(`+`, lapply(seq_len(k), function(j) effects$z[, j] * b[at + j, , drop = FALSE]))
}

# z'b of new levels, drawn for each row and column.
unseen_effects <- function(effects, factor, count) {
  unseen <- is.na(effects$level)
  out <- matrix(0, length(unseen), count)
  if (!any(unseen)) return(out)
  scale <- sqrt(rowSums((effects$z[unseen, , drop = FALSE] %*% factor)^2))
  out[unseen, ] <- scale * stats::rnorm(sum(unseen) * count)
  out
}

# Standard errors of the linear predictor, and the limits of what is asked for.
summarised_errors <- function(errors, options) {
  se <- apply(errors$line, 1L, stats::sd, na.rm = TRUE)
  if (options$interval == "none") return(list(se = se))
  missed <- if (options$interval == "prediction") errors$response else errors$line
  limits <- apply(missed, 1L, function(values) {
    if (all(is.na(values))) c(NA_real_, NA_real_) else quantiles_of(values[is.finite(values)], tail_levels(options$level))
  })
  list(se = se, lower = -limits[2L, ], upper = -limits[1L, ])
}
