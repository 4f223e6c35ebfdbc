#' Fit a linear mixed model
#'
#' `lmer()` takes what lme4's `lmer()` takes and returns what it returns: the same arguments, errors, warnings and messages, and a
#' fit of lme4's own class `lmerMod`. The numerical work is done by an engine written in Rust.
#'
#' The engine forms the cross-products of the data in one pass, evaluates the profiled criterion of Bates, Maechler, Bolker and
#' Walker (2015) with its exact derivatives and certifies the optimum it returns. What it doesn't do (see
#' [fastlmer-differences]) goes to lme4 with the call as you wrote it.
#'
#' A factor with very many levels may be a fixed effect. Where it has a hundred or more, treatment contrasts, and is in no other
#' term, its dummy columns are not formed: the engine takes the levels' constants out like random effects without a variance. The model
#' matrix, and the covariance matrix of the fixed effects, are made when something asks for them.
#'
#' @param formula a two-sided formula: the response, fixed effects, and random-effects terms such as `(1 + x | group)`,
#'   `(x || group)` or `(1 | a/b)`.
#' @param data a data frame (or list or environment as far as [model.frame()] takes it) with the variables in `formula`; without
#'   it they are looked up in the formula's environment. For data that don't fit in memory: a function that returns chunks, a
#'   database table, an Arrow data set, or their [cross_products()]; see [fastlmer-big-data].
#' @param REML `TRUE` to optimise the REML criterion, `FALSE` for the log-likelihood.
#' @param control what [lme4::lmerControl()] returns. All of its checks are honoured. An optimizer that you name (`optimizer =`
#'   anything, or any `optCtrl`) is the one that runs, on the engine's criterion; otherwise the engine's own optimiser does.
#' @param start starting values for the covariance parameters theta: a numeric vector, or a list with the element `theta`.
#' @param verbose `1` or more for a report of the optimisation.
#' @param subset,weights,na.action,offset as in [lm()]. Weights are prior weights: the residual variance is sigma^2 / weight.
#' @param contrasts a list as for [model.matrix.default()].
#' @param devFunOnly `TRUE` for lme4's deviance function instead of a fit.
#' @param threads threads to compute on; `NULL` for the option `fastlmer.threads` or, without it, all cores up to 8. Models of fewer than
#'   20,000 rows are computed on one. The result is the same, bit for bit, for any number. The argument isn't kept in the fit's call.
#' @return An object of class [lme4::merMod-class] (`lmerMod`). [is_fastlmer()] tells whether the engine made it.
#' @seealso [is_fastlmer()], [lme4::lmer()] for the model in full, [fastlmer-differences] for where the two differ.
#' @examples
#' fit <- lmer(Reaction ~ Days + (Days | Subject), data = sleepstudy)
#' summary(fit)
#'
#' # crossed factors, and terms without correlation
#' lmer(diameter ~ 1 + (1 | plate) + (1 | sample), data = Penicillin)
#' lmer(Reaction ~ Days + (Days || Subject), data = sleepstudy)
#'
#' # an optimizer of your own choice, on the engine's criterion
#' by_bobyqa <- lmerControl(optimizer = "bobyqa")
#' lmer(Reaction ~ Days + (Days | Subject), data = sleepstudy, control = by_bobyqa)
#' @export
lmer <- function(formula, data = NULL, REML = TRUE, control = lmerControl(), start = NULL, verbose = 0L, subset, weights,
                 na.action, offset, contrasts = NULL, devFunOnly = FALSE, threads = NULL) {
  call <- match.call()
  caller <- parent.frame()
  if (!is.null(threads)) {
    # lme4's lmer() doesn't know the argument, and others re-evaluate the call.
    call$threads <- NULL
    threads <- checked_threads(threads)
  }
  named <- !missing(control) && names_optimizer(substitute(control))
  control <- if (missing(control)) default_control() else checked_control(control)
  if (is_stream(data)) {
    na.action <- if (!missing(na.action)) na.action
    if (devFunOnly) fail("unsupported", "for data in chunks there is no deviance function: 'devFunOnly' needs data in memory")
    fit <- lmer_of_stream(formula, data, call, REML, control, named, start, verbose, na.action, contrasts, threads)
    return(of_asked_class(fit))
  }
  once <- evaluated_once(call, formula, data, caller)
  once$threads <- threads
  if (devFunOnly || has_other_structure(formula)) return(lmer_of_lme4(once, call))

  parts <- model_parts(formula, data, once, control, contrasts)
  if (is.null(parts)) return(lmer_of_lme4(once, call))
  # A model that the engine can't evaluate (a response fitted exactly, say) gets lme4's answer.
  fit <- tryCatch(watched_optimum(parts, REML, control, named, start, as.integer(verbose)), fastlmer_engine_error = function(e) {
    if (is_final(e)) stop(e)
  })
  if (is.null(fit)) return(lmer_of_lme4(once, call))
  if (!is.null(fit$x)) parts$x <- fit$x
  call$formula <- parts$formula
  of_asked_class(new_lmermod(fit, parts, call))
}

# The user's call for lme4's functions: a list of `call` and `caller`, where to evaluate it. lme4 evaluates `data`, `subset`, `weights` and
# `offset` several times, and with something random in them each time to another value; here they are evaluated once.
evaluated_once <- function(call, formula, data, caller) {
  once <- list(formula = formula, call = call, caller = caller, offset = call$offset)
  if (is.call(call$data)) {
    # evaluated before, with its warnings, unless it failed
    data <- tryCatch(suppressWarnings(data), error = function(e) fail("data", "bad 'data': ", conditionMessage(e)))
    once$caller <- list2env(list(.data = data), parent = caller)
    once$call$data <- quote(.data)
    # written in the call, the formula would get this environment
    once$call$formula <- formula
  }
  for (name in c("subset", "weights", "offset")) {
    if (is.call(call[[name]])) once$call[[name]] <- extra_value(call[[name]], name, once, data) %||% call[[name]]
  }
  once
}

# As model.frame() evaluates it. An error is for model.frame() to say.
extra_value <- function(expression, name, once, data) {
  if (!inherits(once$formula, "formula") || !(is.null(data) || is.list(data) || is.environment(data))) return(NULL)
  env <- extras_environment(environment(once$formula), name, once$caller)
  tryCatch(eval(expression, data, env), error = function(e) NULL)
}

# The user's call by lme4's lmer(). The fit has the call as the user wrote it.
lmer_of_lme4 <- function(once, call) {
  refuse_inner_bars(once$formula)
  theirs <- once$call
  theirs[[1L]] <- quote(lme4::lmer)
  fit <- eval(theirs, once$caller)
  if (!isS4(fit)) return(fit)
  call$formula <- fit@call$formula
  fit@call <- call
  fit@frame <- engine_copy(fit@frame, 1L)
  attr(fit@frame, "offset") <- call$offset
  fit@flist <- engine_copy(fit@flist, 1L)
  of_asked_class(fit)
}
