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
  stream <- record$cache$stream
  y <- if (is.null(stream)) record$y - (record$offset %||% 0) else stream_model(stream)$response
  tryCatch(
    engine_satterthwaite(
      engine_pointer(record), record$x, record$codes, record$z, record$weights, y, record$reml, record$theta, threads_for(nrow(record$x))
    ),
    fastlmer_engine_error = function(e) if (is_final(e)) stop(e)
  )
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
  gradient <- vapply(parts$Jac_list, diag, variance)
  dim(gradient) <- c(length(variance), length(parts$Jac_list))
  2 * variance^2 / rowSums((gradient %*% parts$vcov_varpar) * gradient)
}

# F statistic of L beta = 0 and its denominator's degrees of freedom, of a contrast matrix with independent rows: those of the uncorrelated
# combinations of its rows, and together what gives F its mean (Fai and Cornelius 1996, doi:10.1080/00949659608811740).
satterthwaite_f <- function(contrast, beta, parts) {
  covariance <- contrast %*% parts$vcov_beta %*% t(contrast)
  axes <- eigen(covariance, symmetric = TRUE)
  rows <- crossprod(axes$vectors, contrast)
  gradient <- vapply(parts$Jac_list, function(derivative) rowSums((rows %*% derivative) * rows), axes$values)
  dim(gradient) <- c(nrow(rows), length(parts$Jac_list))
  df <- 2 * axes$values^2 / rowSums((gradient %*% parts$vcov_varpar) * gradient)
  list(f = mean(drop(rows %*% beta)^2 / axes$values), df = pooled_df(df))
}

# The mean of each squared t statistic is df / (df - 2); the mean of F, their mean, has the same form.
pooled_df <- function(df) {
  if (max(df) - min(df) < 1e-8) return(mean(df))
  if (any(df <= 2)) return(2)
  mean_f <- mean(df / (df - 2))
  2 * mean_f / (mean_f - 1)
}
