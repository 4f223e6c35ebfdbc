# Kenward and Roger's inference for the fixed effects, from the engine: see src/rust/engine/src/tasks/kenward_roger/.

#' Kenward and Roger's inference for the fixed effects
#'
#' `vcov_kr()` is the covariance matrix of the fixed effects adjusted for small samples, and `test_kr()` tests linear hypotheses about
#' them with an F or t statistic whose degrees of freedom and scale are those of Kenward and Roger (1997).
#'
#' They are exact and come from the model's cross-products: nothing grows with the number of rows, and no matrix is inverted that is as
#' large as the data. What `pbkrtest` computes in minutes takes milliseconds; once `pbkrtest` is loaded its functions `vcovAdj()`,
#' `KRmodcomp()`, `get_Lb_ddf()` and `get_ddf_Lb()` come to the same answers by the engine for fits that it made, and so do those that call
#' them (`emmeans`, `car`, `parameters`, `lmerTest`, `afex`).
#'
#' A fit by maximum likelihood is fitted again by REML, the criterion for which the theory holds, as `pbkrtest` does. Prior weights are
#' those of [lmer()]: the residual variance of a row is sigma squared over its weight. (`pbkrtest` leaves them out.)
#'
#' @param object a linear mixed model that the engine made or can take over: see [is_fastlmer()].
#' @param L a matrix with one column for each fixed effect and one row for each linear function of them, or a vector for one function.
#'   `NULL` stands for each fixed effect. Rows may depend on each other.
#' @param rhs the values of these functions under the hypothesis: a number, or one for each row.
#' @param joint are all rows one hypothesis, tested by an F test (`TRUE`), or each a hypothesis of its own, tested by a t test? By
#'   default they are one where `L` is given.
#' @param threads number of threads for a large model; see [fastlmer-options] for the default. The results are the same for any number.
#' @return `vcov_kr()`: a square matrix of package Matrix, named by the fixed effects, with the attributes of `pbkrtest::vcovAdj()`: `P`, a
#'   list with the derivative of the fixed effects' precision in each element of the lower triangles of the random effects' covariance
#'   matrices and in the residual variance; `W`, the covariance matrix of the estimates of these; and `condi`, the least eigenvalue of half
#'   its inverse.
#'
#'   `test_kr()`: a data frame. Of one hypothesis its row has `F`, `ndf` and `ddf` (degrees of freedom), `F.scaling` (what the Wald
#'   statistic over `ndf` was multiplied by) and `p.value`. Of several hypotheses each row has `estimate`, `std.error` (from
#'   `vcov_kr()`), `df`, `t.value` and `p.value`.
#' @section Errors:
#'   A fit that the engine can't take (of `glmer()`, or with structured covariances), `L` with another number of columns, hypotheses
#'   that contradict each other, `threads` that is no number of threads, and models too large for the machine.
#' @references
#'   Kenward, M. G. and Roger, J. H. (1997). Small sample inference for fixed effects from restricted maximum likelihood. *Biometrics*
#'   53, 983-997. \doi{10.2307/2533558}
#'
#'   Halekoh, U. and Højsgaard, S. (2014). A Kenward-Roger approximation and parametric bootstrap methods for tests in linear mixed
#'   models: the R package pbkrtest. *Journal of Statistical Software* 59(9). \doi{10.18637/jss.v059.i09}
#' @examples
#' fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#' vcov_kr(fit)
#' test_kr(fit)
#' test_kr(fit, c(0, 1), rhs = 10)
#' @export
vcov_kr <- function(object, threads = NULL) {
  covariance <- adjusted_covariance(object, threads)
  if (is.null(covariance)) refuse_kenward_roger(object)
  covariance
}

#' @rdname vcov_kr
#' @export
test_kr <- function(object, L = NULL, rhs = 0, joint = !is.null(L), threads = NULL) {
  if (!is.logical(joint) || length(joint) != 1L || is.na(joint)) fail("argument", "'joint' must be TRUE or FALSE")
  parts <- kenward_roger(object, threads)
  if (is.null(parts)) refuse_kenward_roger(object)
  p <- length(parts$beta)
  if (is.null(L)) L <- structure(diag(p), dimnames = list(parts$names, NULL))
  if (!is.matrix(L)) L <- t(L)
  check_hypothesis(L, rhs, p)
  rhs <- rep_len(as.numeric(rhs), nrow(L))
  if (joint) {
    test <- hypothesis_test(parts, L, rhs)
    statistic <- test$f * test$scale
    p_value <- stats::pf(statistic, test$rank, test$df, lower.tail = FALSE)
    return(data.frame(F = statistic, ndf = test$rank, ddf = test$df, F.scaling = test$scale, p.value = p_value))
  }
  estimate <- drop(L %*% parts$beta)
  sd <- parts$sigma * sqrt(rowSums((L %*% parts$adjusted) * L))
  df <- hypothesis_test(parts, L, rhs, joint = FALSE)$df
  t_value <- (estimate - rhs) / sd
  p_value <- 2 * stats::pt(abs(t_value), df, lower.tail = FALSE)
  data.frame(estimate = estimate, std.error = sd, df = df, t.value = t_value, p.value = p_value, row.names = rownames(L))
}

check_hypothesis <- function(L, rhs, p) {
  if (!is.numeric(L) || !all(is.finite(L))) fail("argument", "'L' must have numbers only")
  if (ncol(L) != p) fail("argument", "'L' must have one column for each of the ", p, " fixed effects, not ", ncol(L))
  if (!nrow(L)) fail("argument", "'L' has no row")
  if (!is.numeric(rhs) || !length(rhs) %in% c(1L, nrow(L)) || !all(is.finite(rhs))) {
    fail("argument", "'rhs' must be a number, or one for each of the ", nrow(L), " rows of 'L'")
  }
}

refuse_kenward_roger <- function(object) {
  if (!methods::is(object, "lmerMod")) fail("argument", "'object' must be a linear mixed model of lmer()")
  fail("unsupported", "the engine can't take this fit (see ?is_fastlmer): Kenward and Roger's inference for it is pbkrtest's")
}

# What tests are made of: a list of
#   state                  the engine's, an external pointer
#   adjusted, covariance   of the fixed effects, in units of the residual variance
#   beta, sigma, names     of the fit by REML
# NULL for a fit that the engine can't take, or of which somebody has changed theta.
kenward_roger <- function(fit, threads = NULL) {
  record <- engine_of(fit)
  if (is.null(record) || !identical(as.numeric(record$theta), as.numeric(get("theta", envir = attr(fit@pp, ".xData"))))) return(NULL)
  record <- on_threads(record, threads)
  kept <- record$cache$kenward_roger
  of_this_fit <- identical(kept$of, record[c("theta", "reml", "y", "sigma")]) && !engine_kr_is_nil(kept$made$state)
  if (of_this_fit) return(c(kept$made, list(beta = if (record$reml) record$beta else kept$made$reml_beta, names = fixed_names(fit))))
  estimates <- reml_estimates(record)
  threads <- threads_for(nrow(record$x), record$threads)
  made <- watched("Kenward-Roger", nrow(record$x), record$nlev, threads, engine_kr(engine_pointer(record), estimates$theta, threads))
  made$sigma <- estimates$sigma
  made$reml_beta <- estimates$beta
  record$cache$kenward_roger <- list(of = record[c("theta", "reml", "y", "sigma")], made = made)
  c(made, list(beta = estimates$beta, names = fixed_names(fit)))
}

# Of a fit by maximum likelihood those by REML.
reml_estimates <- function(record) {
  if (record$reml) return(record[c("theta", "sigma", "beta")])
  fit_of_record(record, reml = TRUE)[c("theta", "sigma", "beta")]
}

# The tests of the rows of L, all together or each on its own.
hypothesis_test <- function(parts, L, rhs = 0, joint = TRUE) {
  storage.mode(L) <- "double"
  estimates <- (drop(L %*% parts$beta) - rhs) / parts$sigma
  engine_kr_test(parts$state, t(L), as.numeric(estimates), joint)
}

# What pbkrtest's vcovAdj() returns.
adjusted_covariance <- function(fit, threads = NULL) {
  parts <- kenward_roger(fit, threads)
  if (is.null(parts)) return(NULL)
  names <- list(parts$names, parts$names)
  parameters <- engine_kr_parameters(parts$state)
  variance <- parts$sigma^2
  information <- parameters$w * variance^2
  covariance <- methods::new("dgeMatrix", x = as.numeric(parts$adjusted) * variance, Dim = dim(parts$adjusted), Dimnames = names)
  attr(covariance, "P") <- lapply(parameters$p, function(p) symmetric(p / variance^2, names))
  attr(covariance, "W") <- symmetric(information, list(NULL, NULL))
  attr(covariance, "condi") <- least_information(information)
  covariance
}

symmetric <- function(values, names) {
  methods::new("dsyMatrix", x = as.numeric(values), Dim = dim(values), Dimnames = names, uplo = "U")
}

# The least eigenvalue of the information 2 W^-1.
least_information <- function(w) {
  values <- abs(eigen(w, symmetric = TRUE, only.values = TRUE)$values)
  2 / max(values)
}
