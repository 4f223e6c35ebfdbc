#' Confidence intervals of a linear mixed model
#'
#' `confint()` with `method = "profile"`, the default, has likelihood profiles computed by the engine, see [profile.lmerMod()]: the ends of
#' the intervals are points of the profile. With `method = "boot"` it bootstraps on the engine, see [bootMer()]. Both have the same
#' parameters (standard deviations and correlations of the random effects, sigma, fixed effects), names, order and arguments as in the lme4
#' that is installed: from version 2.0 on a term's standard deviations come before its correlations. The method `"Wald"` is lme4's.
#'
#' `confint()` of a bootstrap itself has the same intervals, `confint(boot, type = "shortest")` the shortest.
#'
#' @param object a fitted linear mixed model.
#' @param parm which parameters: numbers, names, `"theta_"` or `"beta_"`. With `FUN`, rows of its result.
#' @param level confidence level.
#' @param method,quiet as in [lme4::confint.merMod()].
#' @param zeta with `method = "profile"`, two values of the profile's zeta in place of `level`.
#' @param nsim number of bootstrap replicates.
#' @param boot.type percentile, basic or normal bootstrap intervals, as [boot::boot.ci()] computes them, or the shortest that hold
#'   `level` of the replicates (whose tails aren't equal, whatever the columns' names say). [boot_intervals()] has more.
#' @param FUN a statistic of your own for `method = "boot"`.
#' @param oldNames,signames `TRUE` for the names `.sig01`, `.sig02`, ..., `.sigma` of the variance parameters, `FALSE` for names that say
#'   what they are. lme4 2.x calls the argument `signames` and warns about `oldNames`; up to 1.1 it is `oldNames`. Both are taken here.
#' @param boot.scale with `method = "boot"`: standard deviations and correlations, or variances and covariances (and sigma squared).
#' @param ... arguments of [bootMer()], as `seed`, `rng` or `threads`, or of [profile.lmerMod()].
#' @return A matrix with a row per parameter and columns of lower and upper limits.
#' @seealso [profile.lmerMod()], [bootMer()], [lme4::confint.merMod()]
#' @examples
#' fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#' confint(fit)
#' confint(fit, parm = "theta_", level = 0.9, oldNames = FALSE)
#' confint(fit, method = "boot", nsim = 200, seed = 1)
#' confint(fit, parm = "beta_", method = "boot", nsim = 200, seed = 1, boot.type = "basic")
#' @importFrom stats confint
#' @export
confint.lmerMod <- function(object, parm, level = 0.95, method = c("profile", "Wald", "boot"), zeta, nsim = 500,
                            boot.type = c("perc", "basic", "norm", "shortest"), FUN = NULL, quiet = FALSE, oldNames, signames = TRUE,
                            boot.scale = c("sdcor", "vcov"), ...) {
  method <- match.arg(method)
  boot.type <- match.arg(boot.type)
  boot.scale <- match.arg(boot.scale)
  if (method == "Wald" || is.null(engine_of(object))) return(NextMethod())
  if (!missing(oldNames)) {
    if (has_signames()) warning("'oldNames' is deprecated. Please use 'signames' instead.", call. = FALSE)
    signames <- oldNames
  }
  if (method == "profile") {
    return(profile_intervals(object, if (!missing(parm)) parm, level, if (!missing(zeta)) zeta, signames, quiet, ...))
  }
  if (is.null(FUN)) {
    FUN <- variance_and_fixed_parameters(object, signames, boot.scale)
    parameters <- names(FUN(object))
    fixed <- length(lme4::fixef(object))
    rows <- if (missing(parm)) {
      seq_along(parameters)
    } else {
      parameter_numbers(parm, parameters, fixed)
    }
    if (!quiet) {
      message("Computing bootstrap confidence intervals ...")
      utils::flush.console()
    }
  } else {
    rows <- if (!missing(parm)) parm
  }
  boot <- bootMer(object, FUN = FUN, nsim = nsim, ...)
  if (all(is.na(boot$t))) fail("data", "*all* bootstrap runs failed!")
  warn_of_failed_replicates(boot)
  table <- if (boot.type == "shortest") shortest_table(boot, level) else stats::confint(boot, level = level, type = boot.type)
  if (is.null(rows)) table else table[rows, , drop = FALSE]
}

# The shortest intervals as confint() has a bootstrap's others.
shortest_table <- function(boot, level) {
  table <- stats::confint(boot, level = level, type = "perc")
  table[] <- as.matrix(boot_intervals(boot, "shortest", level)[c("conf.low", "conf.high")])
  table
}

# lme4 has a method for a bootstrap that knows three types; ours stands before it and knows one more.
hook_into_confint <- function() register_when_loaded("lme4", "confint", "bootMer", confint_of_boot, replace = TRUE)

confint_of_boot <- function(object, parm = seq_along(object$t0), level = 0.95, type = c("perc", "norm", "basic", "shortest"), ...) {
  type <- match.arg(type)
  if (type != "shortest") return(their_method("lme4", "confint", "bootMer")(object, parm, level, type, ...))
  shortest_table(object, level)[statistic_numbers(parm, object), , drop = FALSE]
}

# Which of the parameters, of which the last `fixed` are fixed effects.
parameter_numbers <- function(parm, parameters, fixed) {
  if (!is.character(parm)) return(parm)
  variance <- seq_along(parameters) <= length(parameters) - fixed
  wanted <- parameters %in% parm | ("theta_" %in% parm & variance) | ("beta_" %in% parm & !variance)
  if (!any(wanted)) warning(gettextf("Nothing selected by 'which=%s'", deparse1(parm)), call. = FALSE)
  which(wanted)
}

# The statistic of confint(method = "boot"), in the vocabulary of bootMer(): per term the standard deviations and correlations (or variances
# and covariances), sigma and the fixed effects, with lme4's names.
variance_and_fixed_parameters <- function(object, signames, scale = "sdcor") {
  names <- profile_names(object, signames)
  order <- parameter_order(lengths(object@cnms), diagonal_terms(object, engine_mark(object)) %||% logical(length(object@cnms)))
  if (scale == "vcov") return(function(f) c(stats::setNames(as.data.frame(VarCorr(f))$vcov[order], names), fixef(f)))
  function(f) c(stats::setNames(as.data.frame(VarCorr(f))$sdcor[order], names), fixef(f))
}

# In which order lme4's profile has the rows of as.data.frame(VarCorr(object)), where a term's standard deviations come first, then its
# correlations, of which a term with independent columns has none to estimate. Up to lme4 1.1 the order is by columns of the lower triangle.
parameter_order <- function(columns, diagonal) {
  first <- cumsum(c(0L, columns * (columns + 1L) / 2L))
  by_columns <- !has_signames()
  order <- unlist(lapply(seq_along(columns), function(term) {
    k <- columns[[term]]
    position <- matrix(0L, k, k)
    diag(position) <- seq_len(k)
    position[lower.tri(position)] <- k + seq_len(k * (k - 1L) / 2L)
    position <- if (diagonal[[term]]) seq_len(k) else position[lower.tri(position, diag = TRUE)]
    first[[term]] + if (by_columns) position else sort(position)
  }))
  c(order, first[[length(first)]] + 1L)
}
