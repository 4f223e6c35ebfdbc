# The likelihood by brute force, from lme4's deviance function and R's own optimiser: what profiles are compared with.

# A model's deviance by maximum likelihood as a function of theta (profiled) or of theta and sigma, and what it is made of.
likelihood_of <- function(fit) {
  call <- fit@call
  call[[1L]] <- quote(lme4::lFormula)
  call$REML <- FALSE
  parts <- suppressMessages(eval(call, environment(formula(fit))))
  list(
    parts = parts, columns = lengths(parts$reTrms$cnms), theta = fit@theta, sigma = sigma(fit), lower = parts$reTrms$lower,
    weights = stats::model.weights(parts$fr), fit = fit
  )
}

# Both deviances of a model frame and a matrix of fixed effects. Without columns it is a dense matrix's.
deviance_functions <- function(likelihood, y = NULL, X = likelihood$parts$X) {
  parts <- likelihood$parts
  if (!is.null(y)) parts$fr[[1L]] <- y
  n <- nrow(parts$fr)
  weights <- likelihood$weights
  if (is.null(weights)) weights <- rep(1, n)
  at <- if (ncol(X)) {
    devfun <- lme4::mkLmerDevfun(parts$fr, X, parts$reTrms, REML = FALSE)
    env <- environment(devfun)
    function(theta) {
      devfun(theta)
      c(env$pp$ldL2(), env$resp$wrss() + env$pp$sqrL(1))
    }
  } else {
    y <- stats::model.response(parts$fr)
    offset <- stats::model.offset(parts$fr)
    if (!is.null(offset)) y <- y - offset
    Zt <- parts$reTrms$Zt %*% Matrix::Diagonal(x = sqrt(weights))
    function(theta) {
      Lambdat <- parts$reTrms$Lambdat
      Lambdat@x <- theta[parts$reTrms$Lind]
      V <- diag(n) + as.matrix(Matrix::crossprod(Lambdat %*% Zt))
      root <- chol(V)
      c(2 * sum(log(diag(root))), sum(backsolve(root, sqrt(weights) * y, transpose = TRUE)^2))
    }
  }
  list(
    of = function(theta, sigma) {
      found <- at(theta)
      found[1L] + n * log(2 * pi * sigma^2) + found[2L] / sigma^2 - sum(log(weights))
    },
    profiled = function(theta) {
      found <- at(theta)
      found[1L] + n * (1 + log(2 * pi * found[2L] / n)) - sum(log(weights))
    }
  )
}

# The least value over free parameters, from several starts.
least <- function(f, starts, lower) {
  finite <- function(x) {
    value <- f(x)
    if (is.finite(value)) value else 1e10
  }
  if (!length(lower)) return(f(numeric()))
  found <- lapply(starts, function(start) {
    stats::nlminb(start, finite, lower = lower, control = list(rel.tol = 1e-13, x.tol = 1e-10, iter.max = 500, eval.max = 2000))
  })
  min(vapply(found, `[[`, 0, "objective"))
}

# Starts near theta and away from its bounds.
starts_of <- function(theta, lower) {
  off <- ifelse(lower == 0, pmax(theta, 0.3 * max(theta, 0.1)), theta)
  list(theta, off, ifelse(lower == 0, max(theta, 1), 0))
}

least_deviance <- function(likelihood) {
  least(deviance_functions(likelihood)$profiled, starts_of(likelihood$theta, likelihood$lower), likelihood$lower)
}

# Positions of a term's elements in theta, as a lower triangular matrix of numbers.
term_positions <- function(columns, term) {
  before <- sum((columns * (columns + 1) / 2)[seq_len(term - 1L)])
  k <- columns[[term]]
  position <- matrix(0, k, k)
  position[lower.tri(position, diag = TRUE)] <- before + seq_len(k * (k + 1) / 2)
  position
}

# The least deviance with a standard deviation, a correlation with a term's first effects, sigma, or a fixed effect held.
held_deviation <- function(likelihood, term, row, value) {
  place <- term_positions(likelihood$columns, term)[row, seq_len(row)]
  deviances <- deviance_functions(likelihood)
  if (value == 0) {
    free <- setdiff(seq_along(likelihood$theta), place)
    f <- function(x) deviances$profiled(replace(numeric(length(likelihood$theta)), free, x))
    return(least(f, starts_of(likelihood$theta[free], likelihood$lower[free]), likelihood$lower[free]))
  }
  f <- function(theta) {
    length <- sqrt(sum(theta[place]^2))
    if (length < 1e-8) return(Inf)
    deviances$of(theta, value / length)
  }
  # the ratio of the row to what it should be is mended at the start, so that sigma is near its own
  mended <- lapply(starts_of(likelihood$theta, likelihood$lower), function(theta) {
    length <- sqrt(sum(theta[place]^2))
    theta[place] <- if (length > 1e-6) theta[place] * value / likelihood$sigma / length else c(numeric(row - 1), value / likelihood$sigma)
    theta
  })
  least(f, mended, likelihood$lower)
}

held_correlation <- function(likelihood, term, row, value) {
  position <- term_positions(likelihood$columns, term)
  place <- position[row, seq_len(row)]
  deviances <- deviance_functions(likelihood)
  n <- length(likelihood$theta)
  others <- setdiff(seq_len(n), place)
  # a row is its length times (correlation, the rest of a unit vector by angles)
  angles <- row - 2L
  whole <- function(x) {
    theta <- numeric(n)
    theta[others] <- x[seq_along(others)]
    size <- x[length(others) + 1L]
    angle <- x[length(others) + 1L + seq_len(angles)]
    rest <- sphere(angle)
    theta[place] <- size * c(value, sqrt(1 - value^2) * rest)
    theta
  }
  lower <- c(likelihood$lower[others], 0, rep(-Inf, angles))
  starts <- lapply(starts_of(likelihood$theta, likelihood$lower), function(theta) {
    c(theta[others], max(sqrt(sum(theta[place]^2)), 1e-3), rep(0.5, angles))
  })
  least(function(x) deviances$profiled(whole(x)), starts, lower)
}

sphere <- function(angles) if (length(angles)) c(sin(angles[1L]) * sphere(angles[-1L]), cos(angles[1L])) else 1

held_sigma <- function(likelihood, value) {
  deviances <- deviance_functions(likelihood)
  least(function(theta) deviances$of(theta, value), starts_of(likelihood$theta, likelihood$lower), likelihood$lower)
}

held_fixed <- function(likelihood, column, value) {
  X <- likelihood$parts$X
  y <- stats::model.response(likelihood$parts$fr) - X[, column] * value
  deviances <- deviance_functions(likelihood, y, X[, -column, drop = FALSE])
  least(deviances$profiled, starts_of(likelihood$theta, likelihood$lower), likelihood$lower)
}

# The least deviance with parameter `name` (of the old names) held, or NULL for a correlation that this doesn't hold.
held_deviance <- function(likelihood, name, value) {
  if (name == ".sigma") return(held_sigma(likelihood, value))
  column <- match(name, colnames(likelihood$parts$X))
  if (!is.na(column)) return(held_fixed(likelihood, column, value))
  at <- which_parameter(likelihood$columns, as.integer(sub(".sig", "", name, fixed = TRUE)))
  if (at$row == at$col) return(held_deviation(likelihood, at$term, at$row, value))
  if (at$col > 1L) return(NULL)
  held_correlation(likelihood, at$term, at$row, value)
}

# Term, row and column of the number of a short name.
which_parameter <- function(columns, number) {
  tables <- lapply(seq_along(columns), function(term) {
    k <- columns[[term]]
    lower <- lower.tri(diag(k), diag = TRUE)
    rows <- data.frame(term = term, row = row(lower)[lower], col = col(lower)[lower])
    if (lme4_takes("confint.merMod", "signames")) rows[order(rows$row != rows$col), ] else rows
  })
  as.list(do.call(rbind, tables)[number, ])
}

# Per parameter and end the profile's zeta by brute force at the end of an interval: 1.96 unless it is a bound of the parameter.
zeta_at_ends <- function(fit, intervals) {
  likelihood <- likelihood_of(fit)
  base <- least_deviance(likelihood)
  ends <- expand.grid(end = 1:2, name = rownames(intervals), stringsAsFactors = FALSE)
  ends$value <- intervals[cbind(match(ends$name, rownames(intervals)), ends$end)]
  ends$bound <- !is.finite(ends$value) | (grepl("^\\.sig", ends$name) & (ends$value == 0 | abs(ends$value) == 1))
  ends$zeta <- NA_real_
  for (i in which(is.finite(ends$value))) {
    deviance <- held_deviance(likelihood, ends$name[[i]], ends$value[[i]])
    if (!is.null(deviance)) ends$zeta[[i]] <- sqrt(max(deviance - base, 0))
  }
  ends
}

expect_brute_force <- function(fit, intervals, zeta = stats::qnorm(0.975), tolerance = 2e-3) {
  ends <- zeta_at_ends(fit, intervals)
  inner <- ends[!ends$bound & !is.na(ends$zeta), ]
  expect_gt(nrow(inner), 2)
  off <- abs(inner$zeta - zeta) > tolerance
  found <- paste(inner$name[off], inner$value[off], inner$zeta[off])
  expect(!any(off), paste(c("zeta by brute force at the ends is not", zeta, "but", found), collapse = " "))
  bounds <- ends[ends$bound & !is.na(ends$zeta), ]
  expect(all(bounds$zeta < zeta + tolerance), paste(c("an interval should end before its bound", bounds$name), collapse = " "))
}
