# Estimates of each level's effects in three ways, which the pictures of pooling share: by the level's own rows alone (no pooling), by the
# mixed model (partial pooling) and for the average level (complete pooling).

# A list of
#   group, levels     the grouping factor's name and its levels
#   effects           names of the effects that vary between levels
#   codes, z          each row's level, and the effects' columns, n x K
#   no, partial       levels x K; NA where a level's own rows don't determine its effects
#   complete          K fixed effects
#   covariance        K x K, of the effects between levels
#   rows              number of rows of each level
level_estimates <- function(object, group) {
  needs_rows(object)
  record <- engine_of(object)
  if (is.null(record)) {
    fail("unsupported", "a level's own estimates are drawn for unstructured and independent effects: this fit has other covariances")
  }
  terms <- which(record$asgn == match(group, names(record$flist)))
  n <- length(record$y)
  z <- do.call(cbind, lapply(terms, function(term) record$z[[term]] %||% matrix(1, n, 1L)))
  names <- unlist(record$cnms[terms], use.names = FALSE)
  # a column that is in two of the factor's terms has the sum of their effects
  same <- outer(names, unique(names), "==") + 0
  dimnames(same) <- list(names, unique(names))
  z <- z[, match(unique(names), names), drop = FALSE]
  dimnames(z) <- list(NULL, unique(names))
  factor <- record$flist[[group]]
  modes <- as.matrix(lme4::ranef(object, condVar = FALSE)[[group]]) %*% same
  complete <- average_effects(record, z)
  partial <- modes + rep(complete, each = nrow(modes))
  # Least squares is linear: of a level's own rows less everything else it is what the model has, and that of the residuals.
  residuals <- record$y - get("mu", envir = attr(object@resp, ".xData"))
  codes <- as.integer(factor)
  rest <- own_least_squares(z, residuals, record$weights, codes, nlevels(factor))
  list(
    group = group, levels = levels(factor), effects = colnames(z), codes = codes, z = z, no = partial + rest, partial = partial,
    complete = complete, covariance = crossprod(same, covariance_of_factor(object, group) %*% same), rows = tabulate(codes, nlevels(factor))
  )
}

# Least squares of each level's rows, for all levels at once: the modified Gram-Schmidt method with sums by level, which is as exact as a
# QR decomposition of each (Bjoerck 1967, doi:10.1007/BF01934122). A level has NAs where a column is a combination of those before it, by
# the tolerance of lm().
own_least_squares <- function(z, y, weights, codes, levels, tolerance = 1e-7) {
  sums <- function(values) level_sums(values, codes, levels)
  k <- ncol(z)
  columns <- lapply(seq_len(k), function(j) if (is.null(weights)) z[, j] else z[, j] * sqrt(weights))
  columns[[k + 1L]] <- if (is.null(weights)) y else y * sqrt(weights)
  size <- lapply(columns[seq_len(k)], function(column) sums(column^2))
  steps <- matrix(list(), k, k + 1L)
  known <- rep(TRUE, levels)
  for (j in seq_len(k)) {
    left <- sums(columns[[j]]^2)
    known <- known & left > tolerance^2 * size[[j]]
    for (l in j + seq_len(k + 1L - j)) {
      steps[[j, l]] <- sums(columns[[j]] * columns[[l]]) / left
      columns[[l]] <- columns[[l]] - columns[[j]] * steps[[j, l]][codes]
    }
  }
  solution <- matrix(0, levels, k)
  for (j in rev(seq_len(k))) {
    solution[, j] <- steps[[j, k + 1L]]
    for (l in j + seq_len(k - j)) solution[, j] <- solution[, j] - steps[[j, l]] * solution[, l]
  }
  solution[!known, ] <- NA
  solution
}

level_sums <- function(values, codes, levels) {
  sums <- rowsum(values, codes)
  out <- numeric(levels)
  out[as.integer(rownames(sums))] <- sums
  out
}

# The fixed effects of columns of random effects. Where these are columns of the fixed effects too that is their coefficients; else what of
# the fixed part is a combination of them: with cells for random effects and contrasts for fixed effects, the cells' means.
average_effects <- function(record, z) {
  x <- record$x
  beta <- record$beta
  if (is_absorbed(x)) {
    dense <- x$dense
    beta <- c(if (x$intercept) beta[1L], beta[match(colnames(dense), x$names)])
    x <- if (x$intercept) cbind(`(Intercept)` = 1, dense) else dense
  }
  place <- match(colnames(z), colnames(x))
  same <- !anyNA(place) && all(vapply(seq_along(place), function(j) all(z[, j] == x[, place[j]]), NA))
  if (same) return(stats::setNames(beta[place], colnames(z)))
  parts <- qr(z, tol = 1e-10)
  left <- qr.resid(parts, x)
  inside <- colSums(left^2) <= 1e-14 * colSums(x^2)
  coefficients <- qr.coef(parts, x[, inside, drop = FALSE])
  coefficients[is.na(coefficients)] <- 0
  stats::setNames(drop(coefficients %*% beta[inside]), colnames(z))
}

# Of all terms of a grouping factor together.
covariance_of_factor <- function(object, group) {
  asgn <- attr(object@flist, "assign")
  own <- which(asgn == match(group, names(object@flist)))
  blocks <- unname(unclass(VarCorr(object)))[own]
  names <- unlist(object@cnms[own], use.names = FALSE)
  out <- matrix(0, length(names), length(names), dimnames = list(names, names))
  last <- cumsum(vapply(blocks, nrow, 0L))
  for (i in seq_along(blocks)) {
    at <- last[i] - nrow(blocks[[i]]) + seq_len(nrow(blocks[[i]]))
    out[at, at] <- blocks[[i]]
  }
  out
}
