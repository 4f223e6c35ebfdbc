# What the engine needs to know of a model. It is never looked up in the user's workspace: a fit carries it.

# The cross-products of a model's columns.
new_design <- function(parts) {
  flist <- parts$flist
  engine_design(
    parts$x, flist, level_numbers(flist), attr(flist, "assign"), parts$z, parts$weights, threads_for(nrow(parts$x))
  )
}

#' Did the engine make this fit?
#'
#' @param object any object.
#' @return `TRUE` when `object` is a fit whose numbers come from fastlmer's engine: one of [lmer()] here, also after saving and
#'   loading or after coercion by `lmerTest::as_lmerModLmerTest()`. `FALSE` for fits that lme4 made and for everything else.
#' @examples
#' is_fastlmer(lmer(Reaction ~ Days + (Days | Subject), sleepstudy))
#' is_fastlmer(lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy))
#' @export
is_fastlmer <- function(object) {
  methods::is(object, "lmerMod") && !is.null(engine_mark(object))
}

# The engine record of a linear mixed model, whoever fitted it; NULL for any other object. A list of
#   x, codes, nlev, asgn, z, weights, offset   the design, as engine_design() and engine_fit() take it (weights and offset may be
#                                              NULL; a factor is the vector of its codes)
#   y, reml, theta, beta, sigma                the response and the fit, from the object's slots
#   flist, cnms, lower                         names and bounds, in lme4's order of terms
#   cache                                      an environment for external pointers, see engine_pointer()
engine_of <- function(fit) {
  if (!isS4(fit) || !inherits(fit, "lmerMod")) return(NULL)
  mark <- engine_mark(fit)
  facts <- mark$cache$facts %||% design_facts(fit, mark)
  if (is.null(facts)) return(NULL)
  # `$` on a reference object takes its time.
  pp <- attr(fit@pp, ".xData")
  resp <- attr(fit@resp, ".xData")
  flist <- fit@flist
  devcomp <- fit@devcomp
  reml <- devcomp$dims[["REML"]] > 0L
  list(
    x = mark$absorbed %||% get("X", envir = pp), codes = flist, nlev = facts$nlev, asgn = attr(flist, "assign"),
    z = if (is.null(mark)) term_columns(fit@pp$Zt, flist, lengths(fit@cnms), fit@Gp) else mark$z,
    weights = if (facts$weighted) get("weights", envir = resp) + 0, offset = if (facts$offset) get("offset", envir = resp) + 0,
    y = get("y", envir = resp) + 0, reml = reml, theta = fit@theta, beta = fit@beta,
    sigma = devcomp$cmp[[if (reml) "sigmaREML" else "sigmaML"]],
    flist = flist, cnms = fit@cnms, lower = fit@lower, cache = if (is.null(mark)) new.env(parent = emptyenv()) else mark$cache
  )
}

# What is found out once per design and kept in the mark's cache; NULL where the engine can't take the model.
design_facts <- function(fit, mark) {
  weights <- fit@resp$weights
  # lme4 fits models with missing levels or zero weights; the engine doesn't.
  if (!has_plain_terms(fit) || any(vapply(fit@flist, anyNA, NA)) || any(weights <= 0)) return(NULL)
  facts <- list(nlev = level_numbers(fit@flist), weighted = any(weights != 1), offset = any(fit@resp$offset != 0))
  if (!is.null(mark)) assign("facts", facts, envir = mark$cache)
  facts
}

# Unstructured covariances have k (k + 1) / 2 parameters per term; lme4 2.x has others, which are lme4's own affair.
has_plain_terms <- function(fit) {
  columns <- lengths(fit@cnms)
  length(fit@theta) == sum(columns * (columns + 1L) / 2L) && identical(as.numeric(fit@lower), theta_lower(columns))
}

# The record's external pointer to the cross-products, made anew when there is none (after readRDS it is nil).
engine_pointer <- function(record) {
  pointer <- record$cache$design
  if (is.null(pointer) || engine_is_nil(pointer)) {
    stream <- record$cache$stream
    pointer <- if (!is.null(stream)) {
      stream_model(stream)$design
    } else {
      engine_design(record$x, record$codes, record$nlev, record$asgn, record$z, record$weights, threads_for(nrow(record$x)))
    }
    record$cache$design <- pointer
  }
  pointer
}
