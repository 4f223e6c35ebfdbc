# The optimum of the profiled criterion, found by the engine or by an optimizer that the user named: what engine_fit() returns,
# and `optinfo` as in lme4's object.
watched_optimum <- function(parts, ...) {
  n <- parts$n %||% nrow(parts$x)
  watched_fit(n, level_numbers(parts$flist), threads_for(n, parts$threads), find_optimum(parts, ...))
}

find_optimum <- function(parts, REML, control, named, start, verbose) {
  # lme4 keeps p for REML, so that without fixed effects REML is ML.
  reml <- if (REML) ncol(parts$x) > 0L else FALSE
  problem <- list(
    parts = parts, reml = reml, y = if (is.null(parts$offset)) parts$y else parts$y - parts$offset,
    design = parts$design %||% new_design(parts), lower = theta_lower(lengths(parts$cnms))
  )
  if (identical(control$optimizer, "none")) fail("argument", "deprecated use of optimizer=='none'; use NULL instead")
  fit <- if (uses_engine(control, named)) {
    optimise_by_engine(problem, control, start, verbose)
  } else {
    optimise_by_user(problem, control, start, verbose)
  }
  if (is.null(fit$design)) fit$design <- problem$design
  fit$lower <- problem$lower
  fit$reml <- reml
  fit
}

fit_at <- function(problem, theta, options = list()) {
  parts <- problem$parts
  options$threads <- threads_for(parts$n %||% nrow(parts$x), parts$threads)
  if (!is.null(parts$stream)) return(engine_fit_response(problem$design, parts$response, problem$reml, theta, options))
  engine_fit(problem$design, parts$x, parts$flist, parts$z, parts$weights, problem$y, problem$reml, theta, options)
}

optimise_by_engine <- function(problem, control, start, verbose) {
  if (!is.null(start)) {
    start <- lme4_start(start, problem)
    if (any(start < problem$lower)) fail("argument", "at least one element in x0 < lb")
  }
  fit <- fit_expanding(problem$parts$x, function(x) {
    if (is_absorbed(problem$parts$x) && !is_absorbed(x)) {
      problem$parts$x <- x
      problem$design <- new_design(problem$parts)
    }
    c(fit_at(problem, start), list(design = problem$design))
  })
  if (verbose > 0L) report_optimum(fit)
  derivs <- derivatives_at(fit, wants_derivs(control, problem), isTRUE(control$calc.derivs), problem$lower)
  fit$optinfo <- engine_optinfo(fit, derivs, control, problem, "lmer", min(as.numeric(verbose), 3))
  if (is.null(fit$remarks)) return(fit)
  remark_on(fit, problem$parts$x, problem$parts$cnms, problem$parts$formula, problem$parts$frame, control)
}

# lme4's record of an optimisation, for the engine's; it warns where that has found no optimum.
engine_optinfo <- function(fit, derivs, control, problem, caller, print_level = 0) {
  warnings <- if (fit$converged) list() else list(not_converged(fit$message))
  for (text in warnings) warn("not_converged", text)
  list(
    optimizer = "nloptwrap", control = list(print_level = print_level), derivs = derivs,
    conv = list(opt = if (fit$converged) 0 else 5, lme4 = check_optimum(fit, derivs, control, problem, caller)),
    feval = fit$evaluations, message = fit$message, warnings = warnings, val = fit$theta + 0
  )
}

not_converged <- function(message) paste0("convergence code 5 from nloptwrap: ", message)

# Newer versions of lme4 leave derivatives out of large models by default.
wants_derivs <- function(control, problem) {
  limits <- control$checkConv[c("check.conv.nobsmax", "check.conv.nparmax")]
  control$calc.derivs %||% (observations(problem) < (limits[[1L]] %||% Inf) && length(problem$lower) < (limits[[2L]] %||% Inf))
}

# The exact derivatives at the optimum, as lme4's optinfo has them: some versions have none of a singular fit unless the user `insists`.
derivatives_at <- function(fit, wanted, insists, lower) {
  if (!wanted) return(NULL)
  rules <- lme4_classes()$checks
  if (rules$none_if_singular && !insists && min(fit$theta - lower) < rules$singular_tolerance()) return(NULL)
  list(gradient = fit$gradient, Hessian = fit$hessian)
}

report_optimum <- function(fit) {
  cat(sprintf("%d evaluations: f = %.6g at theta = (%s); %s\n", as.integer(fit$evaluations), fit$criterion,
    paste(format(fit$theta, digits = 5), collapse = ", "), fit$message))
}

# Where the engine certifies an optimum in the interior, or on the boundary of it, and the user asked for no checks of their
# own, there is nothing that lme4's checks could add; else they are made.
check_optimum <- function(fit, derivs, control, problem, caller) {
  own_checks <- !identical(control$checkConv, default_control()$checkConv)
  # lme4 judges theta, whose size depends on the units of the predictors; the engine knows it for columns of unit size.
  limit <- control$checkConv$check.conv.singular$tol
  singular <- fit$least < limit && any(fit$theta[problem$lower == 0] < limit)
  certain <- fit$converged && fit$curved && !own_checks && !singular
  if (certain) return(if (!is.null(derivs)) list())
  lme4_check(derivs, fit$theta, control, problem, caller)
}

lme4_check <- function(derivs, theta, control, problem, caller = "lmer") {
  opt <- list(par = theta)
  attr(opt, "derivs") <- derivs
  lower <- problem$lower
  check_conv(caller, list(
    opt = opt, control = control, lower = lower, upper = rep.int(Inf, length(lower)), nobs = observations(problem), npar = length(theta)
  ))
}

observations <- function(problem) problem$parts$n %||% length(problem$y)

# lme4's optimizeLmer() on the engine's criterion. It keeps its state in the environment of the function that it optimises. Derivatives at
# the optimum are the engine's, which are exact, where lme4 would take differences.
optimise_by_user <- function(problem, control, start, verbose) {
  devfun <- deviance_function(problem)
  state <- environment(devfun)
  start <- lme4_start(start, problem)
  opt <- if (length(control$optimizer)) {
    run_optimizer(devfun, control, start, verbose)
  } else {
    list(par = start, fval = devfun(start), conv = 1000, message = "no optimization")
  }
  fit <- fit_at(problem, state$pp$theta, list(fixed = TRUE))
  fit$theta <- state$pp$theta
  wanted <- length(control$optimizer) && wants_derivs(control, problem)
  derivs <- derivatives_at(fit, wanted, isTRUE(control$calc.derivs), problem$lower)
  attr(opt, "derivs") <- derivs
  fit$optinfo <- record_of_optimizer(opt, lme4_check(derivs, opt$par, control, problem))
  fit$optinfo$val <- opt$par + 0
  fit
}

run_optimizer <- function(devfun, control, start, verbose) {
  settings <- control$optCtrl
  # optimx() takes as long again to look at second differences that nobody asks for
  spared <- identical(control$optimizer, "optimx") && is.null(settings$kkt)
  if (spared) settings$kkt <- FALSE
  opt <- lme4::optimizeLmer(devfun,
    optimizer = control$optimizer, restart_edge = control$restart_edge, boundary.tol = control$boundary.tol, control = settings,
    verbose = verbose, start = start, calc.derivs = FALSE, use.last.params = control$use.last.params
  )
  if (spared) attr(opt, "control")$kkt <- NULL
  opt
}

deviance_function <- function(problem) {
  parts <- problem$parts
  design <- problem$design
  reml <- problem$reml
  response <- parts$response %||% engine_response(design, parts$x, parts$flist, parts$z, parts$weights, problem$y, parts$threads)
  lower <- problem$lower
  pp <- list2env(list(theta = as.numeric(lower == 0)), parent = emptyenv())
  # lme4 2.x has theta made from the parameters that it optimises; for unstructured covariances they are the same
  mkPar <- identity
  function(theta) {
    assign("theta", theta + 0, envir = pp)
    engine_criterion(design, response, as.numeric(theta), reml)
  }
}

# Starting values for theta from `start`, read by lme4 with its errors; without any, lme4's own choice.
lme4_start <- function(start, problem) {
  if (is.null(start)) return(moment_start(problem$parts, problem$lower))
  start <- read_start(start, as.numeric(problem$lower == 0), ncol(problem$parts$x))
  if (!all(is.finite(start))) fail("argument", "'start' must be finite")
  as.numeric(start)
}

# For scalar terms: the variances of the group means over what is left of the response's variance.
moment_start <- function(parts, lower) {
  identity <- as.numeric(lower == 0)
  scalar <- all(unlist(parts$cnms) == "(Intercept)") && length(parts$flist) == length(lower)
  if (!scalar) return(identity)
  between <- vapply(parts$flist, function(group) stats::var(stats::ave(parts$y, group)), 0)
  within <- stats::var(parts$y) - sum(between)
  if (is.na(within) || within <= 0 || !all(between / within >= lower^2)) return(identity)
  unname(sqrt(between / within))
}
