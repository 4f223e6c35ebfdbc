# What lme4 doesn't export and we call: each of its functions behind one of ours, named for what it does. With lme4-object.R and lme4-lazy.R
# these are the files that know what lme4 looks like inside. What differs between its versions is found by asking what exists.

lme4_internal <- function(name) get(name, envir = asNamespace("lme4"))

# Evaluates a call of one of lme4's internal functions as lme4 writes it, with `variables` for the names in it: a condition of that
# function shows its call, which users search for.
in_lme4 <- function(call, variables) eval(call, list2env(variables, parent = asNamespace("lme4")))

# lme4's checks of the fixed effects' columns: X without those that are combinations of others, and with a message about their scales.
drop_aliased <- function(x, kind) in_lme4(quote(chkRank.drop.cols(X, kind = rankX.chk, tol = 1e-07)), list(X = x, rankX.chk = kind))

check_scale <- function(x, kind) in_lme4(quote(checkScaleX(X, kind = scaleX.chk)), list(X = x, scaleX.chk = kind))

# lme4's check of an optimum, as its lmer() or refit() calls it. The names in that call are found in one environment, devfun's too.
check_conv <- function(caller, variables) {
  frame <- list2env(variables, parent = asNamespace("lme4"))
  frame$rho <- frame
  frame$devfun <- `environment<-`(function() NULL, frame)
  eval(check_conv_call(caller), frame)
}

# The call of checkConv() in lme4's lmer() or refit(), which differs between versions.
check_conv_call <- function(caller) {
  if (is.null(cache[[caller]])) {
    found <- first_call_of("checkConv", body(lme4_internal(caller)))
    names <- c("checkConv", "attr", "environment", "$", "opt", "par", "control", "devfun", "rho", "lower", "upper", "nobs", "npar")
    known <- !is.null(found) && all(all.names(found) %in% names)
    cache[[caller]] <- if (known) found else quote(checkConv(attr(opt, "derivs"), opt$par, ctrl = control$checkConv, lbound = lower))
  }
  cache[[caller]]
}

first_call_of <- function(name, expression) {
  if (!is.call(expression)) return(NULL)
  if (identical(expression[[1L]], as.name(name))) return(expression)
  for (part in as.list(expression)) {
    found <- if (!missing(part)) first_call_of(name, part)
    if (!is.null(found)) return(found)
  }
}

# Structured covariances came with lme4 2.0.
has_structures <- function() {
  if (is.null(cache$structures)) cache$structures <- exists("getReCovs", envir = asNamespace("lme4"), mode = "function")
  cache$structures
}

# With the name `signames` for what confint() called `oldNames` came another order: standard deviations, then correlations.
has_signames <- function() "signames" %in% names(formals(lme4_internal("confint.merMod")))

# What lme4's checks of an optimum go by: are there derivatives of a singular fit, and what is one?
convergence_rules <- function() {
  list(
    none_if_singular = "force.calc.derivs" %in% names(formals(lme4_internal("optwrap"))),
    singular_tolerance = get0("getSingTol", envir = asNamespace("lme4"), mode = "function")
  )
}

# The names of the dimensions, in lme4's order. Where mkMerMod() has one that isn't known here, lme4 fits the smallest model.
dimension_template <- function() {
  made <- Filter(function(x) is.call(x) && identical(x[[2L]], quote(dims)), as.list(body(lme4::mkMerMod)))[[1L]][[3L]]
  # nAGQ and compDev are NULL in a linear model
  names <- setdiff(names(made), c("", "nAGQ", "compDev"))
  if (all(names %in% c(known_dimensions, "npar"))) return(stats::setNames(integer(length(names)), names))
  data <- data.frame(y = c(1, 2, 4, 3), g = factor(c(1, 1, 2, 2)))
  suppressMessages(lme4::lmer(y ~ 1 + (1 | g), data))@devcomp$dims
}

known_dimensions <- c("N", "n", "p", "nmp", "q", "nth", "useSc", "reTrms", "spFe", "REML", "GLMM", "NLMM")

# lme4's record of an optimisation by an optimizer of its own, what optimizeLmer() returns and what lme4's checks found.
record_of_optimizer <- function(opt, checks) lme4_internal(".optinfo")(opt, checks)

# Starting values for theta, and for the fixed effects where lme4 takes them, with lme4's errors.
read_start <- function(start, theta, number_fixed) {
  module <- list(theta = theta, delb = numeric(number_fixed))
  getStart <- lme4_internal("getStart")
  if ("rho" %in% names(formals(getStart))) getStart(start, list(pp = module), 0L) else getStart(start, module)
}

# Which settings allFit() lets each optimizer have, and what it calls the limit of evaluations.
optimizer_limits <- function() list(known = lme4_internal("opt.ctrls"), most = lme4_internal("maxfun_arg"))

# Does allFit() start from the fit's own theta unless it is told otherwise?
has_start_from_mle <- function() "start_from_mle" %in% names(formals(lme4::allFit))

# What lme4's summary() says of a fit's convergence.
fit_messages <- function(object) lme4_internal(".merMod.msgs")(object)

# lme4's warnings about replicates of a bootstrap that failed.
warn_of_failed_replicates <- function(boot) lme4_internal("print.bootWarnings")(boot, verbose = FALSE)

# The names of a profile's parameters: of the random effects, then sigma.
profile_names <- function(object, signames, prefix = c("sd", "cor")) {
  unname(lme4_internal("profnames")(object, signames, useSc = TRUE, prefix = prefix))
}

# The numbers of the parameters that `which` means, of which the first `covariances` are those of the covariances with sigma. lme4's
# profile() and confint() have other names for the arguments, which its warning shows.
selected_parameters <- function(which, covariances, names, verbose) {
  variables <- list(which = which, nvp = covariances, nptot = length(names), opt = stats::setNames(names, names), verbose = verbose)
  in_lme4(quote(get.which(which, nvp, nptot, names(opt), verbose)), variables)
}

selected_intervals <- function(parm, covariances, names) {
  variables <- list(parm = parm, vn = names[seq_len(covariances)], an = names)
  in_lme4(quote(get.which(parm, nvp = length(vn), nptot = length(an), parnames = an)), variables)
}

lme4_predict <- function(object, ...) lme4_internal("predict.merMod")(object, ...)

# A fit with other parameters, with lme4's checks of them.
lme4_set_parameters <- function(object, parameters) lme4_internal("setParams")(object, parameters)

# lme4's checks of the numbers of levels, and of the columns of Z by terms of these sizes, with its messages.
check_level_counts <- function(flist, n, control) lme4_internal("checkNlevels")(flist, n = n, control)

check_effect_counts <- function(shapes, n, control) lme4_internal("checkZdims")(shapes, n = n, control, allow.n = FALSE)

# The random-effects terms of a fit in new data.
new_terms <- function(object, newdata, formula, new_levels) {
  lme4_internal("mkNewReTrms")(object, newdata, formula, na.action = stats::na.pass, allow.new.levels = new_levels)
}
