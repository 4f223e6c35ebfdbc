# What the engine needs to know of a model. It is never looked up in the user's workspace: a fit carries it.

# The cross-products of a model's columns.
new_design <- function(parts) {
  flist <- parts$flist
  engine_design(
    parts$x, flist, level_numbers(flist), attr(flist, "assign"), parts$z, parts$weights,
    threads_for(nrow(parts$x), parts$threads)
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

# A linear mixed model as lmer() of lme4 or lmerTest makes it. Packages that fit something else (blme's priors, say) have classes of their
# own that inherit from lmerMod.
is_exactly_lmer <- function(object) {
  if (!isS4(object)) return(FALSE)
  class <- class(object)[[1L]]
  class == "lmerMod" || class == "lmerModLmerTest"
}

# The engine record of a linear mixed model, whoever fitted it; NULL for any other object, and for a fit of which the engine would
# compute another model (see is_model_of_slots()). A list of
#   x, codes, nlev, asgn, z, weights, offset   the design, as engine_design() and engine_fit() take it (weights and offset may be
#                                              NULL; a factor is the vector of its codes)
#   y, reml, theta, beta, sigma                the response and the fit, from the object's slots
#   flist, cnms, lower                         names and bounds, in lme4's order of terms
#   structure                                  where terms have independent columns, see split_diagonal()
#   cache                                      an environment for external pointers, see engine_pointer()
# Copies of what is as long as the data take their time: without `response` y and offset are left out.
engine_of <- function(fit, response = TRUE) {
  if (!is_exactly_lmer(fit)) return(NULL)
  mark <- engine_mark(fit)
  facts <- mark$cache$facts %||% design_facts(fit, mark)
  if (is.null(facts)) return(NULL)
  # `$` on a reference object takes its time.
  pp <- attr(fit@pp, ".xData")
  resp <- attr(fit@resp, ".xData")
  devcomp <- fit@devcomp
  reml <- devcomp$dims[["REML"]] > 0L
  terms <- list(
    flist = fit@flist, cnms = fit@cnms,
    z = if (is.null(mark)) term_columns(fit@pp$Zt, fit@flist, lengths(fit@cnms), fit@Gp) else mark$z
  )
  if (!is.null(facts$diagonal)) terms <- split_diagonal(terms, facts$diagonal)
  flist <- terms$flist
  list(
    x = mark$absorbed %||% get("X", envir = pp), codes = flist, nlev = facts$nlev, asgn = attr(flist, "assign"), z = terms$z,
    weights = if (facts$weighted) get("weights", envir = resp) + 0, offset = if (facts$offset && response) get("offset", envir = resp) + 0,
    y = if (response) get("y", envir = resp) + 0, reml = reml, theta = fit@theta, beta = fit@beta,
    sigma = devcomp$cmp[[if (reml) "sigmaREML" else "sigmaML"]],
    flist = flist, cnms = terms$cnms, structure = terms$structure, lower = fit@lower,
    cache = if (is.null(mark)) new.env(parent = emptyenv()) else mark$cache
  )
}

# What is found out once per design and kept in the mark's cache; NULL where the engine can't take the model.
design_facts <- function(fit, mark) {
  weights <- fit@resp$weights
  # lme4 fits models with missing levels or zero weights; the engine doesn't.
  diagonal <- diagonal_terms(fit, mark)
  if (!has_plain_terms(fit, diagonal) || any(vapply(fit@flist, anyNA, NA)) || any(weights <= 0)) return(NULL)
  if (is.null(mark) && !is_model_of_slots(fit, diagonal)) return(NULL)
  facts <- list(
    nlev = level_numbers(fit@flist), weighted = any(weights != 1), offset = any(fit@resp$offset != 0), diagonal = diagonal
  )
  if (!is.null(mark)) assign("facts", facts, envir = mark$cache)
  facts
}

# Unstructured covariances have k (k + 1) / 2 parameters per term, independent effects k; lme4 2.x has others, which are lme4's own affair.
has_plain_terms <- function(fit, diagonal) {
  if (anyNA(diagonal)) return(FALSE)
  columns <- lengths(fit@cnms)
  lower <- theta_lower(if (is.null(diagonal)) columns else rep.int(ifelse(diagonal, 1L, columns), ifelse(diagonal, columns, 1L)))
  length(fit@theta) == length(lower) && identical(as.numeric(fit@lower), lower)
}

# The record's external pointer to the cross-products, made anew when there is none (after readRDS it is nil).
engine_pointer <- function(record) {
  pointer <- record$cache$design
  if (is.null(pointer) || engine_is_nil(pointer)) {
    stream <- record$cache$stream
    pointer <- if (!is.null(stream)) {
      stream_model(stream)$design
    } else {
      threads <- threads_for(nrow(record$x), record$threads)
      engine_design(record$x, record$codes, record$nlev, record$asgn, record$z, record$weights, threads)
    }
    record$cache$design <- pointer
  }
  pointer
}

# The response less its offset, as the engine takes it.
response_of_record <- function(record) if (is.null(record$offset)) record$y else record$y - record$offset

# External pointers to the cross-products of a record's model and of its response, also where there are no rows.
products_of_record <- function(record) {
  stream <- record$cache$stream
  if (!is.null(stream)) return(stream_model(stream)[c("design", "response")])
  design <- engine_pointer(record)
  y <- response_of_record(record)
  threads <- threads_for(nrow(record$x), record$threads)
  list(design = design, response = engine_response(design, record$x, record$codes, record$z, record$weights, y, threads))
}

# What the engine finds for a record from its theta, also where there are no rows; `options` as engine_fit() has them.
fit_of_record <- function(record, options = list(), reml = record$reml) {
  options$threads <- options$threads %||% threads_for(nrow(record$x), record$threads)
  stream <- record$cache$stream
  if (!is.null(stream)) {
    model <- stream_model(stream)
    return(engine_fit_response(model$design, model$response, reml, record$theta, options))
  }
  pointer <- engine_pointer(record)
  engine_fit(pointer, record$x, record$codes, record$z, record$weights, response_of_record(record), reml, record$theta, options)
}

# The record of some of the rows, or of several copies of them, with new labels of its grouping factors' levels.
record_of_rows <- function(record, rows, labels) {
  record$flist <- record$codes <- structure(stats::setNames(lapply(labels, factor), names(record$flist)), assign = record$asgn)
  record$nlev <- level_numbers(record$flist)
  x <- as.matrix(record$x)
  record$x <- x[rows, , drop = FALSE]
  attributes(record$x) <- c(attributes(record$x), attributes(x)[c("assign", "contrasts")])
  record$z <- lapply(record$z, function(z) if (!is.null(z)) z[rows, , drop = FALSE])
  record$weights <- record$weights[rows]
  record$offset <- record$offset[rows]
  record$y <- record$y[rows]
  record$cache <- new.env(parent = emptyenv())
  record
}
