#' @rdname influence.lmerMod
#' @importFrom stats hatvalues
#' @export
hatvalues.lmerMod <- function(model, fullHatMatrix = FALSE, ..., threads = NULL) {
  refuse_without_rows(model, "hatvalues()")
  record <- engine_of(model, response = FALSE)
  if (is.null(record) || !isFALSE(fullHatMatrix)) return(NextMethod())
  stats::napredict(attr(model@frame, "na.action"), hat_of_rows(model, on_threads(record, threads)))
}

# For the rows of the fit, with their names. They are kept, since residuals and distances ask for them one after the other.
hat_of_rows <- function(model, record, most = 1e6) {
  kept <- record$cache$hat
  if (identical(kept$theta, record$theta)) return(kept$values)
  values <- engine_hat_values(
    engine_pointer(record), record$x, record$codes, record$z, record$weights, record$theta,
    threads_for(nrow(record$x), record$threads)
  )
  values <- stats::setNames(values, row.names(model@frame))
  if (length(values) <= most) record$cache$hat <- list(theta = record$theta, values = values)
  values
}

#' @rdname influence.lmerMod
#' @importFrom stats rstandard
#' @export
rstandard.lmerMod <- function(model, ..., threads = NULL) {
  refuse_without_rows(model, "rstandard()")
  studentized(model, threads)
}

#' @rdname influence.lmerMod
#' @importFrom stats rstudent
#' @export
rstudent.lmerMod <- function(model, ..., threads = NULL) {
  if (is.null(engine_of(model))) return(NextMethod())
  refuse_without_rows(model, "rstudent()")
  studentized(model, threads)
}

# A conditional residual has the variance sigma^2 (1 - h) / w.
studentized <- function(model, threads) {
  residuals <- stats::residuals(model, type = "pearson") / sqrt(1 - hatvalues(model, threads = threads))
  residuals[is.infinite(residuals)] <- NaN
  residuals / stats::sigma(model)
}

#' @rdname influence.lmerMod
#' @importFrom stats cooks.distance
#' @export
cooks.distance.lmerMod <- function(model, ..., threads = NULL) {
  refuse_without_rows(model, "cooks.distance()")
  record <- engine_of(model)
  if (is.null(record)) return(NextMethod())
  hat <- hatvalues(model, threads = threads)
  # X has full rank: lme4 looks for it in the singular values of X
  distance <- (stats::residuals(model, type = "pearson") / (1 - hat))^2 * hat / (stats::sigma(model)^2 * ncol(record$x))
  distance[is.infinite(distance)] <- NaN
  distance
}
