#' Predictions from a linear mixed model
#'
#' lme4's `predict()` with standard errors and intervals for every version of lme4, and quick for new data whatever the size of the fit.
#' Without `se.fit` and `interval` the result, its names, messages and errors are lme4's.
#'
#' @section Standard errors and intervals:
#' The standard error of a prediction x'beta + z'b is that of the error of its estimate, from the joint covariance of the fixed effects and
#' the conditional modes (Henderson 1975; Bates et al. 2015): var(x'(beta^ - beta) + z'(b^ - b)) at the fit's theta and sigma. `se.fit` of
#' lme4 2.x is that too, but it takes the effects of levels that the fit hasn't seen for known: they are predicted as zero, and here have
#' the variance z' Sigma z of their term.
#'
#' `interval = "confidence"` is for the linear predictor with the random effects that `re.form` keeps; with `re.form = NA` for x'beta
#' alone. `interval = "prediction"` is for a new response of the row: with the residual variance, sigma^2 / weight, and the variance of the
#' random effects that `re.form` leaves out, which that response has too, as of levels that the fit hasn't seen. Both use quantiles of the
#' normal distribution, or of the t distribution with `df` degrees of freedom, and take theta for known.
#'
#' `method = "simulate"` doesn't: responses are simulated from the fit with new random effects, the model is refitted to each by the engine,
#' and the intervals are quantiles of the errors of the refits' predictions (the parametric bootstrap of a prediction's error), the standard
#' errors their standard deviations. Every simulated response is predicted with the conditional modes of its own refit.
#'
#' @param object a fitted linear mixed model.
#' @param newdata a data frame; `NULL` for the data of the fit.
#' @param newparams,type,terms as in [lme4::predict.merMod()].
#' @param re.form a one-sided formula of the random effects to condition on; `NULL` for all of them, `NA` or `~0` for none.
#' @param random.only `TRUE` to leave the fixed effects out.
#' @param allow.new.levels `TRUE` to predict the unconditional value for levels of grouping factors that the fit hasn't seen, and for
#'   missing ones; otherwise they are an error.
#' @param na.action what to do with missing values of the fixed effects' variables; by default their prediction is `NA`.
#' @param se.fit `TRUE` for standard errors.
#' @param interval `"confidence"` or `"prediction"` for limits.
#' @param level the level of the intervals.
#' @param df degrees of freedom of the t distribution; `Inf` for the normal one.
#' @param weights prior weights of the new responses, one or one per row; by default 1, or for the data of the fit its own.
#' @param method `"normal"` for standard errors at the fit's covariance parameters, `"simulate"` to have their uncertainty too.
#' @param nsim,seed for `method = "simulate"`: the number of refits, and a seed for [set.seed()] (or `NULL`).
#' @param threads number of threads for large data; see [fastlmer-options] for the default. The result is the same for any number.
#' @param ... what lme4's method takes.
#' @return A vector of predictions. With `interval` a matrix with the columns `fit`, `lwr` and `upr`, as of [predict.lm()]. With
#'   `se.fit = TRUE` a list of `fit`, the one or the other, and `se.fit`.
#' @references Bates, D., Maechler, M., Bolker, B. and Walker, S. (2015) Fitting linear mixed-effects models using lme4. *Journal of
#'   Statistical Software* 67(1). \doi{10.18637/jss.v067.i01}
#'
#'   Henderson, C. R. (1975) Best linear unbiased estimation and prediction under a selection model. *Biometrics* 31, 423-447.
#'   \doi{10.2307/2529430}
#' @seealso [lme4::predict.merMod()], [simulate.lmerMod()], [bootMer()]
#' @examples
#' fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#' new <- data.frame(Days = c(5, 10), Subject = c("308", "a new one"))
#' predict(fit, new, allow.new.levels = TRUE)
#' predict(fit, new, allow.new.levels = TRUE, se.fit = TRUE)
#' predict(fit, new, allow.new.levels = TRUE, interval = "prediction")
#' predict(fit, new, re.form = NA, interval = "confidence") # of the mean over subjects
#' predict(fit, new, re.form = NA, interval = "confidence", method = "simulate", nsim = 200, seed = 1)
#' @importFrom stats predict
#' @export
predict.lmerMod <- function(object, newdata = NULL, newparams = NULL, re.form = NULL, random.only = FALSE, terms = NULL,
                            type = c("link", "response"), allow.new.levels = FALSE, na.action = stats::na.pass, se.fit = FALSE,
                            interval = c("none", "confidence", "prediction"), level = 0.95, df = Inf, weights = NULL,
                            method = c("normal", "simulate"), nsim = 500, seed = NULL, ..., threads = NULL) {
  if (!is.null(threads)) threads <- checked_threads(threads)
  if (is.null(newdata)) refuse_without_rows(object, "predict() without 'newdata'")
  asked <- !missing(se.fit) || !missing(interval)
  if (asked) {
    interval <- match.arg(interval)
    se.fit <- isTRUE(as.logical(se.fit))
    if ((se.fit || interval != "none") && !is.null(engine_of(object, response = FALSE))) {
      options <- list(
        re.form = re.form, random.only = isTRUE(random.only), new_levels = isTRUE(allow.new.levels), se.fit = se.fit, interval = interval,
        level = checked_level(level), df = checked_df(df), weights = weights, method = match.arg(method), nsim = nsim, seed = seed,
        threads = threads
      )
      match.arg(type)
      if (!is.null(terms)) stop("terms functionality for predict not yet implemented")
      if (...length()) warning("unused arguments ignored")
      return(prediction_with_errors(object, newdata, newparams, na.action, missing(na.action), options))
    }
    if (interval != "none") fail("unsupported", "'interval' is for linear mixed models that lmer() fits")
  }
  # of a linear model both types are the same
  known <- missing(type) || identical(type, "response") || identical(type, "link")
  plain <- !is.null(newdata) && is.null(newparams) && is.null(terms) && known && !...length() && !isTRUE(se.fit)
  prediction <- if (plain && is_fastlmer(object)) {
    own_prediction(object, newdata, re.form, isTRUE(random.only), isTRUE(allow.new.levels), na.action, threads)
  }
  if (!is.null(prediction)) return(prediction)
  # of X lme4 wants to know which columns were dropped
  prediction <- without_columns(object, if (!is.null(newdata) && is.null(re.form) && has_inner_bars(object)) {
    refuse_inner_groups(object)
    predict_by_lme4(match.call(), parent.frame(), re.form = stats::formula(object, random.only = TRUE)[-2L])
  } else if (asked && !se.fit) {
    predict_by_lme4(match.call(), parent.frame())
  } else {
    NextMethod()
  })
  if (is.null(newdata) || !is_exactly_lmer(object) || isTRUE(random.only)) return(prediction)
  with_offset_argument(prediction, object, newdata)
}

has_inner_bars <- function(object) is_exactly_lmer(object) && has_inner_bar(attr(object@frame, "formula")[[3L]])

# The user's call by lme4's method, without the arguments that it doesn't know.
predict_by_lme4 <- function(call, caller, ...) {
  own <- c("se.fit", "interval", "level", "df", "weights", "method", "nsim", "seed", "threads")
  call <- call[!names(call) %in% c(own, ...names())]
  call[[1L]] <- lme4_predict
  eval(as.call(c(as.list(call), list(...))), caller)
}

# lme4 takes every bar in a formula for that of a random-effects term.
refuse_inner_groups <- function(object) {
  for (bar in split_formula(attr(object@frame, "formula"))$bars) refuse_inner_bars(call("~", bar[[2L]]), "predict(newdata = )")
}

# The prediction for new data our way; NULL where lme4 is to be asked.
own_prediction <- function(object, newdata, re.form, random.only, allow_new, na.action, threads = NULL) {
  found <- tryCatch({
    kept <- kept_rows(object, newdata, na.action, random.only)
    rows <- new_rows(object, kept$data, re.form, random.only, allow_new, threads)
    stats::napredict(kept$omitted, named_prediction(linear_predictor(rows, object), rows))
  }, error = identity, warning = identity)
  if (!inherits(found, "condition")) return(found)
  # lme4 has the same errors, and others. (A new offset's are ours.)
  if (inherits(found, "fastlmer_error")) stop(found)
  NULL
}

named_prediction <- function(value, rows) {
  names(value) <- rows$names
  value
}

# The rows that `na.action` leaves, by the variables of the fixed effects: a list of `data` and of `omitted`, as napredict() takes it.
kept_rows <- function(object, newdata, na.action, random.only) {
  if (is.null(newdata)) return(list(data = NULL, omitted = NULL))
  if (!is.data.frame(newdata)) not_ours()
  if (identical(na.action, stats::na.pass)) return(list(data = newdata, omitted = NULL))
  if (!any(vapply(list(stats::na.omit, stats::na.exclude, stats::na.fail), identical, NA, na.action))) not_ours()
  source <- new_variables(object, newdata)
  names <- variable_names(source$recipe$fixed)
  if (!length(names)) return(list(data = newdata, omitted = NULL))
  frame <- as.list(lapply(stats::setNames(names, names), function(name) {
    if (name %in% source$recipe$offsets) eval(source$recipe$predvars[[name]], newdata, source$environment) else new_variable(source, name)
  }))
  if (any(vapply(frame, function(value) !is.null(attr(value, "texts")), NA))) not_ours()
  complete <- stats::complete.cases(structure(frame, class = "data.frame", row.names = attr(newdata, "row.names")))
  if (all(complete)) return(list(data = newdata, omitted = NULL))
  if (identical(na.action, stats::na.fail) || random.only || !any(complete)) not_ours()
  omitted <- structure(which(!complete), names = as.character(attr(newdata, "row.names"))[!complete])
  class(omitted) <- if (identical(na.action, stats::na.omit)) "omit" else "exclude"
  list(data = newdata[complete, , drop = FALSE], omitted = omitted)
}

# Adds what the fit's argument `offset` is for the new data.
with_offset_argument <- function(prediction, object, newdata) {
  if (!"(offset)" %in% names(object@frame)) return(prediction)
  offset <- new_offset(object, newdata)
  add <- function(values) {
    kept <- if (length(values) != length(offset)) match(names(values), row.names(newdata)) else seq_along(offset)
    values + offset[kept]
  }
  if (!is.list(prediction)) return(add(prediction))
  prediction$fit <- add(prediction$fit)
  prediction
}

new_offset <- function(object, newdata) {
  expression <- attr(object@frame, "offset") %||% object@call$offset
  refuse <- function(why) {
    fail(
      "argument", "the fit's argument 'offset' (", paste(deparse(expression), collapse = " "), ") can't be evaluated in 'newdata': ", why,
      "; add its variables to 'newdata', or fit with offset() in the formula"
    )
  }
  offset <- tryCatch(
    eval(expression, newdata, environment(attr(object@frame, "formula"))), error = function(e) refuse(conditionMessage(e))
  )
  if (!is.numeric(offset) && !is.logical(offset)) refuse("it isn't numeric")
  if (length(offset) != nrow(newdata)) refuse(sprintf("it has %d values for %d rows", length(offset), nrow(newdata)))
  as.numeric(offset)
}
