# Satterthwaite's degrees of freedom, from what the engine computes exactly: see src/rust/engine/src/tasks/satterthwaite.rs.

# What they are made of: a list of
#   vcov_varpar   asymptotic covariance of (theta, sigma)
#   Jac_list      derivatives of the fixed effects' covariance matrix in each of these
#   vcov_beta     that matrix
# (lmerTest's names for them); NULL for a fit that the engine can't take, or whose fixed effects or residual standard deviation aren't those
# that belong to its theta: somebody has changed it.
satterthwaite_parts <- function(fit) {
  record <- engine_of(fit)
  if (is.null(record)) return(NULL)
  sigma <- stats::sigma(fit)
  kept <- record$cache$satterthwaite
  made <- if (identical(kept$theta, record$theta) && identical(kept$y, record$y)) kept$made else compute_satterthwaite(record)
  if (is.null(made)) return(NULL)
  covariance <- fixed_covariance(fit, sigma)
  if (!belongs_to_theta(made, record$beta, sigma, covariance)) return(NULL)
  if (length(made$jacobian) * length(covariance) <= 1e5) {
    record$cache$satterthwaite <- list(theta = record$theta, y = record$y, made = made)
  }
  warn_of_left_out(made$left_out)
  list(
    vcov_varpar = made$covariance, Jac_list = c(made$jacobian, list(2 / sigma * unname(covariance))), vcov_beta = covariance
  )
}

# NULL where the engine finds nothing there: lmerTest may.
compute_satterthwaite <- function(record) {
  tryCatch({
    products <- products_of_record(record)
    threads <- threads_for(nrow(record$x), record$threads)
    watched("Satterthwaite", nrow(record$x), record$nlev, threads, {
      engine_satterthwaite(products$design, products$response, record$reml, record$theta, threads)
    })
  }, fastlmer_engine_error = function(e) if (is_final(e)) stop(e))
}

# The covariance of the fixed effects as a plain matrix with names.
fixed_covariance <- function(fit, sigma = stats::sigma(fit)) {
  covariance <- sigma^2 * fit@pp$unsc()
  names <- if (is.null(engine_mark(fit))) colnames(fit@pp$X) else fixed_names(fit)
  dimnames(covariance) <- list(names, names)
  covariance
}

belongs_to_theta <- function(made, beta, sigma, covariance, tolerance = 1e-5) {
  p <- length(beta)
  sd <- sqrt(covariance[seq(1L, by = p + 1L, length.out = p)])
  is.finite(sigma) && abs(made$sigma - sigma) <= tolerance * sigma && all(abs(made$beta - beta) <= tolerance * sd)
}

# In lmerTest's words.
warn_of_left_out <- function(values) {
  say <- function(format, values) {
    if (!length(values)) return(invisible())
    warning(sprintf(
      format, length(values), if (length(values) > 1L) "eigenvalues" else "eigenvalue", paste(sprintf("%1.1e", values), collapse = " ")
    ), call. = FALSE)
  }
  negative <- values < -1e-8
  say("Model failed to converge with %d negative %s: %s", values[negative])
  say("Model may not have converged with %d %s close to zero: %s", values[!negative])
}

# Of each fixed effect.
satterthwaite_df <- function(parts) {
  variance <- diag(parts$vcov_beta)
  satterthwaite_ratio(variance, vapply(parts$Jac_list, diag, variance), parts)
}

# Of each row of a matrix of contrasts by itself.
satterthwaite_df_of_rows <- function(rows, parts) {
  quadratic <- function(matrix) rowSums((rows %*% matrix) * rows)
  variance <- quadratic(unname(parts$vcov_beta))
  satterthwaite_ratio(variance, vapply(parts$Jac_list, quadratic, variance), parts)
}

# From variances and their derivatives in theta and sigma.
satterthwaite_ratio <- function(variance, gradient, parts) {
  dim(gradient) <- c(length(variance), length(parts$Jac_list))
  2 * variance^2 / rowSums((gradient %*% parts$vcov_varpar) * gradient)
}

# F statistic of L beta = 0 and its denominator's degrees of freedom, of a contrast matrix with independent rows: those of the uncorrelated
# combinations of its rows, and together what gives F its mean (Fai and Cornelius 1996, doi:10.1080/00949659608811740).
satterthwaite_f <- function(contrast, beta, parts) {
  axes <- eigen(contrast %*% parts$vcov_beta %*% t(contrast), symmetric = TRUE)
  list(f = mean(crossprod(axes$vectors, contrast %*% beta)^2 / axes$values), df = satterthwaite_df_of(contrast, parts, tolerance = 0))
}

# The degrees of freedom of the hypothesis in the rows of `k`, without combinations that have less than `tolerance` of the largest variance.
# The mean of each squared t statistic is df / (df - 2); the mean of F, their mean, has the same form. emmeans evaluates this where only R's
# own functions are known, also in another session.
satterthwaite_df_of <- function(k, dfargs, tolerance = 1e-8) {
  if (!is.matrix(k)) k <- matrix(k, nrow = 1L)
  spectrum <- eigen(k %*% dfargs$vcov_beta %*% t(k), symmetric = TRUE)
  kept <- spectrum$values > tolerance * spectrum$values[[1L]]
  if (!any(kept)) return(NA_real_)
  d <- spectrum$values[kept]
  rows <- crossprod(spectrum$vectors[, kept, drop = FALSE], k)
  df <- vapply(seq_along(d), function(m) {
    gradient <- vapply(dfargs$Jac_list, function(jacobian) sum(rows[m, ] * (jacobian %*% rows[m, ])), 0)
    2 * d[[m]]^2 / sum(gradient * (dfargs$vcov_varpar %*% gradient))
  }, 0)
  if (max(df) - min(df) < 1e-8) mean(df) else if (any(df <= 2)) 2 else 2 / (1 - length(df) / sum(df / (df - 2)))
}
