# The random-effect block bootstrap of Chambers and Chandra (2013), with effects by least squares so that slopes are possible.
reb_draws <- function(plan, reb_type) {
  record <- plan$record
  if (length(record$nlev) != 1L) fail("unsupported", "the random-effect block bootstrap needs one grouping factor; see type = \"residual\"")
  if (!reb_type %in% 0:2) fail("argument", "'reb_type' must be 0, 1 or 2")
  group <- record$codes[[1L]]
  fixed <- fixed_part(record)
  root <- root_weights(record)
  blocks <- reb_blocks(record, record$y - (record$offset %||% 0) - fixed, group)
  effects <- blocks$effects
  residuals <- root * blocks$residuals
  if (reb_type == 1) {
    effects <- Map(reflated, effects, term_covariances(record))
    residuals <- residuals - mean(residuals)
    residuals <- residuals * record$sigma / sqrt(mean(residuals^2))
  }
  rows <- split(seq_along(group), group)
  number <- length(rows)
  n <- length(fixed)
  function(count) {
    columns_of(count, n, function() {
      levels <- sample.int(number, replace = TRUE)
      donors <- sample.int(number, replace = TRUE)
      draw <- function(to, from) from[sample.int(length(from), length(to), replace = TRUE)]
      drawn <- unlist(Map(draw, rows, rows[donors]), use.names = FALSE)
      within <- numeric(n)
      within[unlist(rows, use.names = FALSE)] <- residuals[drawn]
      fixed + random_part(record, lapply(effects, function(effects) effects[levels, , drop = FALSE])) + within / root
    })
  }
}

# Marginal residuals of each group taken apart: coefficients on the group's random-effects columns, and what is left.
reb_blocks <- function(record, residuals, group) {
  columns <- lengths(record$cnms)
  z <- do.call(cbind, lapply(record$z, function(z) z %||% rep(1, length(residuals))))
  z <- matrix(as.numeric(z), length(residuals))
  coefficients <- t(vapply(split(seq_along(group), group), function(rows) {
    fit <- stats::lm.fit(z[rows, , drop = FALSE], residuals[rows])
    ifelse(is.na(fit$coefficients), 0, fit$coefficients)
  }, numeric(ncol(z))))
  coefficients <- matrix(coefficients, nlevels(group))
  last <- cumsum(columns)
  effects <- unname(Map(function(last, k) coefficients[, last - k + seq_len(k), drop = FALSE], last, columns))
  list(effects = effects, residuals = residuals - random_part(record, effects))
}

# Type 2: the batch's estimates are adjusted before the statistic is computed from them.
adjusting_plan <- function(plan) {
  if (is.null(plan$statistic) || plan$statistic$modes || length(plan$record$theta) != 1L) {
    fail("unsupported", "reb_type = 2 needs a random intercept and a statistic of fixef(), sigma() and VarCorr()")
  }
  values <- plan$statistic$values
  record <- plan$record
  plan$statistic$values <- function(batch) values(adjusted_batch(batch, record))
  plan
}

# Fixed effects are centred at the original ones. The logarithms of the two variances are made uncorrelated, keeping their standard
# deviations, and the variances scaled to have the original ones as their means.
adjusted_batch <- function(batch, record) {
  kept <- which(batch$theta[1L, ] > 0)
  variances <- cbind((batch$theta[1L, kept] * batch$sigma[kept])^2, batch$sigma[kept]^2)
  logs <- log(variances)
  centre <- colMeans(logs)
  spread <- stats::cov(logs)
  uncorrelated <- sweep(logs, 2L, centre) %*% inverse_root(spread)
  adjusted <- exp(sweep(sweep(uncorrelated, 2L, sqrt(diag(spread)), `*`), 2L, centre, `+`))
  adjusted <- sweep(adjusted, 2L, c((record$theta * record$sigma)^2, record$sigma^2) / colMeans(adjusted), `*`)
  batch$sigma[kept] <- sqrt(adjusted[, 2L])
  batch$theta[1L, kept] <- sqrt(adjusted[, 1L] / adjusted[, 2L])
  batch$beta <- batch$beta - rowMeans(batch$beta) + record$beta
  batch
}
