#' Refit a linear mixed model to a new response
#'
#' `refit()` fits the same model to another response. The design (fixed and random effects, weights, offset) is taken from the fit
#' and is not built again, so that a refit costs a few evaluations of the criterion. Given a matrix or a list of several
#' responses, all of them are fitted in one call.
#'
#' Every refit is the exact (RE)ML fit of its response, found from the original fit's theta. Fits that lme4 or lmerTest made are taken
#' as well; a `glmerMod` goes to lme4. Missing values: a response as long as the data before rows with missing values were left
#' out loses the same rows; what [simulate()] returns has the right length already.
#'
#' @param object a fitted linear mixed model.
#' @param newresp the new response: a numeric vector, a list or data frame of one (as [simulate()] returns it), or `NULL` for the
#'   same response again. A matrix with several columns, or a list or data frame of several, makes a batch.
#' @param rename.response should the fit's formula and frame name the response as `newresp` is written in the call?
#' @param maxit unused, as it is in lme4 for linear mixed models.
#' @param threads threads to compute a batch on; a single response is computed on those of the option `fastlmer.threads`.
#' @param ... `control`, of which the convergence checks are used, and `verbose`. Other arguments are ignored with a warning.
#' @return For one response an object of lme4's class `lmerMod`. For several an object of class `refit_many`, a vector of fits with the
#'   responses' names: `x[[i]]` or `x$name` is the full fit of one response, made when it is asked for; `x[i]`, `c()`, `rep()`, `head()`,
#'   `as.list()`, `lapply()` and `names<-` do what they do with vectors. `as.data.frame()` has a row per response with its estimates,
#'   sigma, theta, criterion and whether the fit converged and is singular; `tidy()` (package generics or broom) a row per response and
#'   term with standard errors, and with `conf.int = TRUE` Wald intervals of `conf.level`.
#' @seealso [bootMer()], [lme4::refit()], [fastlmer-differences]
#' @examples
#' fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#' refit(fit, simulate(fit, seed = 1))
#'
#' # many responses on one design
#' responses <- simulate(fit, nsim = 5, seed = 1)
#' fits <- refit(fit, responses)
#' as.data.frame(fits)
#' fits[["sim_2"]]
#' @importFrom lme4 refit
#' @export
refit.lmerMod <- function(object, newresp = NULL, rename.response = FALSE, maxit = 100L, ..., threads = default_threads()) {
  record <- engine_of(object)
  if (!is.null(record$cache$stream)) refuse_without_rows(object, "refit()")
  name <- substitute(newresp)
  extras <- if (...length()) ...names()
  if (is.null(record) || is.factor(newresp) || "newweights" %in% extras) return(NextMethod())
  if (...length() && !all(extras %in% c("control", "verbose"))) warning("additional arguments to refit.merMod ignored")
  control <- (if (...length()) list(...)$control) %||% default_control()
  if (is_batch(newresp)) return(refit_many(object, record, newresp, threads))

  newresp <- one_response(newresp)
  if (rename.response && !is.null(newresp)) object <- rename_response(object, name)
  if (!is.null(newresp)) newresp <- engine_copy(without_missing_rows(newresp, object@frame, length(record$y)), 1L)
  # A response that the engine can't fit (one that is fitted exactly, say) gets lme4's answer.
  fit <- tryCatch(refit_one(object, record, newresp, control, threads), fastlmer_engine_error = function(e) if (is_final(e)) stop(e))
  if (is.null(fit)) NextMethod() else fit
}

# Several responses? A matrix or list of one is one.
is_batch <- function(newresp) {
  if (!is.list(newresp)) return(is.matrix(newresp) && ncol(newresp) != 1L)
  length(newresp) != 1L || (is.matrix(newresp[[1L]]) && ncol(newresp[[1L]]) > 1L)
}

one_response <- function(newresp) {
  if (!is.list(newresp)) return(newresp)
  na_action <- attr(newresp, "na.action")
  newresp <- newresp[[1L]]
  attr(newresp, "na.action") <- na_action
  newresp
}

# A response as the user's data have it, or already without the rows that the fit left out.
without_missing_rows <- function(newresp, frame, n) {
  left_out <- attr(frame, "na.action")
  if (!is.null(left_out) && NROW(newresp) != n) {
    newresp <- if (is.matrix(newresp)) newresp[-left_out, , drop = FALSE] else newresp[-left_out]
  }
  if (NROW(newresp) != n) fail("data", sprintf("the new response has %d values, the model %d observations", NROW(newresp), n))
  newresp
}

rename_response <- function(object, name) {
  frame <- object@frame
  attr(frame, "formula")[[2L]] <- object@call$formula[[2L]] <- name
  names(frame)[attr(attr(frame, "terms"), "response")] <- deparse(name)
  object@frame <- frame
  object
}

# The fit of one response (NULL for its own), as an object of the same call.
refit_one <- function(object, record, newresp, control, threads = NULL, derivs = !is.null(object@optinfo$derivs)) {
  record$threads <- threads_for(length(record$y), threads)
  frame <- object@frame
  if (!is.null(newresp)) {
    record$y <- checked_y(newresp)
    frame <- with_response(frame, newresp)
  }
  fit <- solve_response(record)
  fit <- with_optinfo(fit, record, control, derivs)
  if (!is.null(fit$remarks)) fit <- remark_on(fit, record$x, record$cnms, attr(frame, "formula"), frame, control)
  if (!is.null(fit$x)) record$x <- fit$x
  new_lmermod(fit, parts_of_record(record, frame, object, !is.null(newresp) || is_refitted(object)), object@call)
}

checked_y <- function(newresp) {
  if (!is.numeric(newresp) && !is.logical(newresp)) fail("data", "the new response must be numeric")
  y <- as.numeric(newresp)
  if (!is.finite(sum(y))) fail("data", "NA/NaN/Inf in the new response")
  y
}

# What engine_fit() finds for the record's response, from the record's theta; `options` as engine_fit() has them.
solve_response <- function(record, options = list()) {
  y <- response_of_record(record)
  options$threads <- threads_for(nrow(record$x), record$threads)
  fit <- fit_expanding(record$x, function(x) {
    if (is_absorbed(record$x) && !is_absorbed(x)) {
      record$x <- x
      record$cache <- new.env(parent = emptyenv())
    }
    pointer <- engine_pointer(record)
    fit <- watched_fit(nrow(x), record$nlev, options$threads, {
      engine_fit(pointer, x, record$codes, record$z, record$weights, y, record$reml, record$theta, options)
    })
    c(fit, list(design = pointer))
  })
  fit$lower <- record$lower
  fit$reml <- record$reml
  fit
}

parts_of_record <- function(record, frame, object, refitted = FALSE) {
  dims <- object@devcomp$dims
  list(
    Gp = object@Gp, dims = if (identical(dims[["REML"]] > 0L, record$reml)) dims,
    x = record$x, flist = record$flist, cnms = record$cnms, z = record$z, structure = record$structure, y = record$y,
    weights = record$weights, offset = record$offset, frame = frame, refitted = refitted
  )
}

with_response <- function(frame, newresp) {
  attr(newresp, "na.action") <- NULL
  column <- attr(attr(frame, "terms"), "response")
  class <- oldClass(frame)
  frame <- unclass(frame)
  frame[[column]] <- if (is.matrix(newresp)) drop(newresp) else newresp
  class(frame) <- class
  frame
}

# lme4's record of the optimisation, with its messages and warnings about what was found.
with_optinfo <- function(fit, record, control, derivs) {
  derivs <- derivatives_at(fit, derivs, FALSE, record$lower)
  fit$optinfo <- engine_optinfo(fit, derivs, control, list(lower = record$lower, y = record$y), "refit.merMod")
  fit
}

#' @importFrom lme4 refitML
#' @export
#' @noRd
refitML.lmerMod <- function(x, optimizer = "bobyqa", ...) {
  if (!lme4::isREML(x)) return(x)
  if (is_streamed(x)) return(refit_stream(x, REML = FALSE))
  record <- if (missing(optimizer) && !...length()) engine_of(x)
  if (is.null(record)) return(NextMethod())
  record$reml <- FALSE
  fit <- refit_one(x, record, NULL, default_control(), derivs = TRUE)
  fit@call$REML <- FALSE
  fit
}
