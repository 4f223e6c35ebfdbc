#' Likelihood profiles of a linear mixed model
#'
#' `profile()` of a fit of [lmer()] is computed by the engine: how far the deviance rises where a parameter is held at a value, all others
#' being at their best there. The result is lme4's own object of class `thpr`: its plots (`lattice::xyplot()`, `densityplot()` and
#' `splom()`), [lme4::confint.thpr()], `logProf()`, `varianceProf()` and `as.data.frame()` take it.
#'
#' @section How it is computed:
#' As lme4 does it, the profile is one of the deviance by maximum likelihood, also for a fit by REML, which is first fitted by maximum
#' likelihood. zeta is the signed root of what the deviance is above its least value. A standard deviation, a correlation or a covariance is
#' held by coordinates in which it is one, with exact derivatives, which also say how the other estimates move with it; a fixed effect by an
#' offset. Only cross-products are needed, so that fits of data in chunks have profiles too. Parameters don't depend on each other and are
#' computed on several threads, whose number doesn't change the result.
#'
#' The points are not lme4's: they are where zeta has given values, no farther apart than `delta`, and among them are the ends of the
#' intervals of 80, 90, 95 and 99 percent.
#'
#' At the boundary (a standard deviation of zero, a correlation of 1 or -1) there is a point on it, and an interval that reaches it ends
#' there. Where effects don't vary their correlations are undetermined: these are given as zero, and the profile of such a correlation is
#' flat: all values are equally likely, the interval is from -1 to 1.
#'
#' @param fitted a fitted linear mixed model.
#' @param which which parameters: numbers, names, `"theta_"` or `"beta_"`; all by default.
#' @param alphamax the profile goes on until the absolute zeta is that of a confidence region for all parameters of this level.
#' @param maxpts most points on each side of the estimate.
#' @param delta how far apart points may be in zeta; `NULL` for `delta.cutoff` times the largest zeta.
#' @param delta.cutoff see `delta`.
#' @param verbose a number; above zero, the points are printed.
#' @param devtol a deviance on the profile that is lower than that of the estimates by more than this (or 1e-6) is an error.
#' @param devmatchtol not used: there is one deviance only.
#' @param maxmult a step is at most so many times the last one.
#' @param startmethod `"prev"` or `"global"`; the engine starts where the derivatives point to.
#' @param optimizer,control not used: the engine has its own optimiser.
#' @param signames `TRUE` for the names `.sig01`, `.sig02`, ..., `.sigma` of the variance parameters, `FALSE` for names that say what
#'   they are.
#' @param parallel,ncpus with another `parallel` than `"no"`, `ncpus` is the number of threads.
#' @param cl not used.
#' @param prof.scale `"sdcor"` for standard deviations and correlations, `"varcov"` for variances and covariances, and sigma squared.
#' @param zetas values of zeta at which there are to be points, up to the largest of which the profile then goes at least: an interval that
#'   ends there is as exact as the estimates. By default the ends of the intervals of 80, 90, 95 and 99 percent.
#' @param threads number of threads; by default the option `fastlmer.threads`, see [fastlmer-package].
#' @param ... arguments that other methods take.
#' @return An object of class `thpr`, as [lme4::profile.merMod()] describes it, which [autoplot()][autoplot.thpr] draws. An attribute of
#'   ours, `labels`, has the names of `signames = FALSE`.
#' @references
#' Bates, D. M. and Watts, D. G. (1988) *Nonlinear Regression Analysis and Its Applications*. Wiley, section 6.1.
#' @seealso [confint.lmerMod()], [lme4::profile.merMod()]
#' @examples
#' fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#' profiles <- profile(fit)
#' confint(profiles)
#' lattice::xyplot(profiles)
#' confint(profile(fit, which = "beta_"), level = 0.9)
#' @importFrom stats profile
#' @export
profile.lmerMod <- function(fitted, which = NULL, alphamax = 0.01, maxpts = 100, delta = NULL, delta.cutoff = 1 / 8, verbose = 0,
                            devtol = 1e-09, devmatchtol = 1e-05, maxmult = 10, startmethod = "prev", optimizer = NULL, control = NULL,
                            signames = TRUE, parallel = c("no", "multicore", "snow", "future"), ncpus = getOption("profile.ncpus", 1L),
                            cl = NULL, prof.scale = c("sdcor", "varcov"), zetas = NULL, threads = NULL, ...) {
  record <- profile_record(fitted)
  if (is.null(record)) return(NextMethod())
  prof.scale <- match.arg(prof.scale)
  parallel <- match.arg(parallel)
  if (!startmethod %in% c("prev", "global", "extrap")) stop("invalid nextstart method", call. = FALSE)
  stopifnot(devtol >= 0)
  parameters <- profile_parameters(fitted, record, signames, prof.scale)
  wanted <- selected_parameters(which, length(parameters$order), parameters$names, verbose)
  rules <- profile_rules(length(parameters$names), alphamax, maxpts, delta, delta.cutoff, maxmult, zetas)
  rules$threads <- profile_threads(threads, parallel, ncpus)
  rules$variances <- prof.scale == "varcov"
  profiled(record, parameters, intersect(seq_along(parameters$names), wanted), rules, devtol, verbose)
}

# The engine record of a fit that has a profile; with an absorbed factor the model with all its columns. NULL where it isn't ours.
profile_record <- function(fit) {
  record <- engine_of(fit)
  if (is.null(record) || !is_absorbed(record$x)) return(record)
  record$x <- as.matrix(record$x)
  record$cache <- new.env(parent = emptyenv())
  record
}

# Names of all parameters in lme4's order, where those of the covariances stand in the engine's, and their bounds.
profile_parameters <- function(fit, record, signames, scale) {
  order <- profile_order(record)
  correlated <- !profile_diagonal(record)[order]
  bounded <- scale == "sdcor"
  named <- function(signames) {
    c(profile_names(fit, signames, if (scale == "varcov") c("var", "cov") else c("sd", "cor")), names(lme4::fixef(fit)))
  }
  list(
    names = named(signames), labels = named(FALSE),
    order = c(order, length(order) + 1L),
    lower = c(ifelse(correlated, if (bounded) -1 else -Inf, 0), 0),
    upper = c(ifelse(correlated & bounded, 1, Inf), Inf)
  )
}

# The engine has them by columns of each term's triangle, and terms with independent columns in pieces. From lme4 2.0 on standard
# deviations come first, term by term.
profile_order <- function(record) {
  columns <- lengths(record$cnms)
  if (!has_signames()) return(seq_along(record$theta))
  block <- rep.int(record$structure$block %||% seq_along(columns), columns * (columns + 1L) / 2L)
  order(block, !profile_diagonal(record))
}

# Which elements of theta are diagonal ones.
profile_diagonal <- function(record) theta_lower(lengths(record$cnms)) == 0

# How a profile is to go: up to which zeta, in which steps.
profile_rules <- function(parameters, alphamax, maxpts, delta, delta.cutoff, maxmult, zetas) {
  if (!is_finite_number(alphamax) || alphamax <= 0 || alphamax > 1) fail("argument", "'alphamax' must be a number between 0 and 1")
  if (!is.null(zetas) && !(is.numeric(zetas) && all(is.finite(zetas)))) fail("argument", "'zetas' must be numbers")
  cutoff <- max(sqrt(stats::qchisq(1 - alphamax, parameters)), abs(zetas %||% 0))
  if (cutoff == 0) fail("argument", "'alphamax' must be below 1")
  delta <- delta %||% (cutoff * delta.cutoff)
  if (!is_finite_number(delta) || delta <= 0) fail("argument", "'delta' and 'delta.cutoff' must be positive numbers")
  if (!is_finite_number(maxpts) || maxpts < 2) fail("argument", "'maxpts' must be a number of points, 2 or more")
  if (!is_finite_number(maxmult) || maxmult <= 1) fail("argument", "'maxmult' must be a number above 1")
  zetas <- as.numeric(zetas %||% stats::qnorm(c(0.9, 0.95, 0.975, 0.995)))
  list(cutoff = cutoff, delta = max(delta, cutoff / 1000), points = maxpts, multiple = maxmult, zetas = zetas)
}

is_finite_number <- function(x) is.numeric(x) && length(x) == 1L && is.finite(x)

profile_threads <- function(threads, parallel, ncpus) {
  if (!is.null(threads)) return(checked_threads(threads))
  if (parallel != "no" && ncpus > 1L) checked_threads(ncpus) else default_threads()
}

# The profiles of the parameters with these numbers, in lme4's order.
profiled <- function(record, parameters, wanted, rules, devtol, verbose) {
  numbers <- c(parameters$order, seq_along(record$beta) + length(parameters$order))
  points <- profile_points(record, numbers[wanted], rules)
  if (points$below > max(devtol, 1e-6)) {
    stop("profiling detected new, lower deviance (deviance diff = ", signif(points$below, 3), ")", call. = FALSE)
  }
  values <- points$points[, c(1L, 1L + numbers), drop = FALSE]
  colnames(values) <- c(".zeta", parameters$names)
  names <- parameters$names[wanted]
  frame <- as.data.frame(values, optional = TRUE)
  frame$.par <- factor(rep.int(names, points$numbers))
  last <- cumsum(points$numbers)
  splines <- Map(function(name, last, number) {
    rows <- last - number + seq_len(number)
    profile_splines(name, values[rows, name], values[rows, ".zeta"])
  }, names, last, points$numbers)
  if (verbose > 0) print_profile(frame, names, wanted, length(parameters$order))
  covariances <- wanted[wanted <= length(parameters$order)]
  structure(frame,
    forward = named_list(names, lapply(splines, `[[`, "forward")), backward = named_list(names, lapply(splines, `[[`, "backward")),
    lower = parameters$lower[covariances], upper = parameters$upper[covariances], class = c("thpr", "data.frame"),
    labels = stats::setNames(parameters$labels, parameters$names)
  )
}

named_list <- function(names, values) stats::setNames(unname(values), names)

profile_points <- function(record, numbers, rules) {
  products <- products_of_record(record)
  what <- sprintf(ngettext(length(numbers), "Profile of %d parameter", "Profiles of %d parameters"), length(numbers))
  watched(what, nrow(record$x), record$nlev, rules$threads, {
    engine_profile(products$design, products$response, as.numeric(numbers), record$theta, rules$zetas, rules)
  })
}

# zeta as a spline of the parameter, and back; where that isn't monotone, the error that says so and a warning, as lme4 has them.
profile_splines <- function(name, value, zeta) {
  forward <- NULL
  backward <- tryCatch({
    forward <- natural_spline(value, zeta)
    attr(forward, "formula") <- profile_formula(".zeta", name)
    splines::backSpline(forward)
  }, error = identity)
  if (inherits(backward, "error")) {
    warning("non-monotonic profile for ", name, call. = FALSE)
  } else {
    attr(backward, "formula") <- profile_formula(name, ".zeta")
  }
  list(forward = forward, backward = backward)
}

# splines::interpSpline() solves equations that are singular to it where values are tiny, huge or far from zero: here they are from 0 to 1.
natural_spline <- function(x, y) {
  unit <- x[[length(x)]] - x[[1L]]
  spline <- splines::interpSpline((x - x[[1L]]) / unit, y)
  spline$knots <- x
  spline$coefficients <- sweep(spline$coefficients, 2L, unit^(0:3), "/")
  spline
}

profile_formula <- function(response, predictor) {
  stats::as.formula(call("~", as.name(response), as.name(predictor)), env = globalenv())
}

# What lme4 prints on its way.
print_profile <- function(frame, names, wanted, covariances) {
  for (i in seq_along(names)) {
    number <- wanted[[i]]
    if (number <= covariances) {
      cat("var-cov parameter ", number, ":\n", sep = "")
    } else {
      cat("fixed-effect parameter ", number - covariances, ":\n", sep = "")
    }
    rows <- as.matrix(frame[frame$.par == names[[i]], -ncol(frame)])
    for (row in seq_len(nrow(rows))) cat(row, number + 1L, rows[row, ], "\n")
  }
}

# Intervals by profiles that end there: no more of them is computed, unless the arguments of profile() ask for it.
profile_intervals <- function(object, parm, level, zeta, signames, quiet, ...) {
  record <- engine_of(object)
  names <- c(profile_names(object, signames), names(lme4::fixef(object)))
  wanted <- if (is.null(parm)) seq_along(names) else selected_intervals(parm, length(record$theta) + 1L, names)
  if (!quiet) {
    message("Computing profile confidence intervals ...")
    utils::flush.console()
  }
  ends <- zeta %||% stats::qnorm(c(1 - level, 1 + level) / 2)
  rules <- list(...)
  if (!any(c("alphamax", "delta", "delta.cutoff") %in% names(rules))) {
    rules <- c(rules, list(alphamax = 1, delta = 1))
  }
  profiles <- do.call(profile.lmerMod, c(list(object, which = wanted, signames = signames, zetas = ends), rules))
  if (is.null(zeta)) stats::confint(profiles, level = level) else stats::confint(profiles, zeta = zeta)
}
