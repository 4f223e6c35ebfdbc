# Fits of data that came in chunks. They are lme4's objects with a frame and a response that have no rows: what needs the rows is
# refused here, and what only counts them is answered from the number of rows that the fit knows. The model matrix has one row, of
# missing values: other packages take sums over its rows, which over no rows would be zero and look like an answer.

# Did the data of this fit come in chunks?
is_streamed <- function(object) {
  if (!is_exactly_lmer(object)) return(FALSE)
  mark <- engine_mark(object)
  !is.null(mark) && !is.null(mark$cache$stream)
}

# Stops where a fit has no rows; `what` is what asked for them.
refuse_without_rows <- function(object, what) {
  if (!is_streamed(object)) return(invisible())
  fail("unsupported", what, " needs the rows of the data, and a fit of data in chunks doesn't keep them: ",
    "use predict(fit, newdata = chunk) on one chunk after the other, or fit data in memory")
}

# The fit of the same cross-products by another criterion.
refit_stream <- function(object, REML) {
  call <- object@call
  call$REML <- REML
  fit_stream(stream_parts(object), REML, default_control(), FALSE, list(theta = object@theta), 0L, call)
}

# The parts of its model.
stream_parts <- function(object) {
  mark <- engine_mark(object)
  stream <- mark$cache$stream
  terms <- list(flist = object@flist, cnms = object@cnms, z = mark$z)
  if (!is.null(mark$diagonal)) terms <- split_diagonal(terms, mark$diagonal)
  parts <- c(terms, list(
    frame = object@frame, formula = attr(object@frame, "formula"), x = get("X", envir = attr(object@pp, ".xData")), n = stats::nobs(object),
    y = numeric(), stream = stream
  ))
  c(parts, stream_model(stream))
}

rows_of <- function(object) object@devcomp$dims[["n"]]

#' @importFrom stats nobs
#' @export
#' @noRd
nobs.lmerMod <- function(object, ...) if (is_streamed(object)) rows_of(object) else NextMethod()

#' @importFrom stats logLik
#' @export
#' @noRd
logLik.lmerMod <- function(object, REML = NULL, ...) {
  value <- NextMethod()
  if (is_streamed(object)) attr(value, "nobs") <- attr(value, "nall") <- rows_of(object)
  value
}

#' @importFrom stats fitted
#' @export
#' @noRd
fitted.lmerMod <- function(object, ...) {
  refuse_without_rows(object, "fitted()")
  NextMethod()
}

#' @importFrom stats residuals
#' @export
#' @noRd
residuals.lmerMod <- function(object, ...) {
  refuse_without_rows(object, "residuals()")
  NextMethod()
}

#' @importFrom stats weights
#' @export
#' @noRd
weights.lmerMod <- function(object, ...) {
  # NULL is what a model without weights has, and what packages that look for them (emmeans) know how to go on with.
  if (is_streamed(object)) NULL else NextMethod()
}

#' @export
#' @noRd
print.summary_without_rows <- function(x, ..., show.resids = FALSE) NextMethod(show.resids = FALSE)
