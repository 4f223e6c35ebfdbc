# Fits of many responses on one design. An object of class "refit_many" is a list of
#   fit, record, y              the original fit, its engine record, and the responses, n x R (without the rows it left out)
#   responses                   their names
#   beta, theta, sigma, criterion, converged, singular, evaluations   per response (beta and theta: a column each)
refit_many <- function(object, record, newresp, threads) {
  y <- response_matrix(newresp, object@frame, length(record$y))
  batch <- refit_batch(record, list(y = if (is.null(record$offset)) y else y - record$offset), threads)
  structure(list(
    fit = object, record = record, y = y, responses = colnames(y) %||% as.character(seq_len(ncol(y))),
    beta = `rownames<-`(batch$beta, colnames(record$x)), theta = `rownames<-`(batch$theta, theta_names(object)),
    sigma = batch$sigma, criterion = batch$criterion, converged = batch$converged, singular = batch$singular,
    evaluations = batch$evaluations
  ), class = "refit_many")
}

# The engine's fits of `responses` (see engine_refit_many()) with `singular` as lme4 judges it.
refit_batch <- function(record, responses, threads, modes = FALSE) {
  batch <- engine_refit_many(
    engine_pointer(record), record$x, record$codes, record$z, record$weights, responses, record$reml, record$theta,
    list(threads = as.integer(threads), modes = modes)
  )
  batch$singular <- singular_columns(batch$theta, record$lower)
  batch
}

singular_columns <- function(theta, lower, tolerance = 1e-4) colSums(theta[lower == 0, , drop = FALSE] < tolerance) > 0

response_matrix <- function(newresp, frame, n) {
  if (!is.list(newresp)) {
    if (!is.numeric(newresp)) stop("the new responses must be numeric", call. = FALSE)
    if (!ncol(newresp)) stop("no new response", call. = FALSE)
    newresp <- without_missing_rows(newresp, frame, n)
    if (is.double(newresp)) return(engine_copy(newresp, 1L))
    storage.mode(newresp) <- "double"
    return(newresp)
  }
  if (!length(newresp)) stop("no new response", call. = FALSE)
  columns <- lapply(newresp, function(y) {
    y <- without_missing_rows(y, frame, n)
    if (!is.numeric(y)) stop("the new responses must be numeric", call. = FALSE)
    as.numeric(y)
  })
  do.call(cbind, columns)
}

theta_names <- function(object) names(lme4::getME(object, "theta"))

#' @export
#' @noRd
`[[.refit_many` <- function(x, i, ...) {
  if (is.character(i)) i <- match(i, x$responses)
  i <- as.integer(i)
  if (length(i) != 1L || is.na(i) || i < 1L || i > length(x)) stop("subscript out of bounds", call. = FALSE)
  parts <- unclass(x)
  refit_one(parts$fit, parts$record, parts$y[, i], default_control())
}

#' @export
#' @noRd
length.refit_many <- function(x) length(.subset2(x, "sigma"))

#' @export
#' @noRd
names.refit_many <- function(x) .subset2(x, "responses")

#' @export
#' @noRd
`$.refit_many` <- function(x, name) .subset2(x, name)

#' @importFrom lme4 fixef
#' @export
#' @noRd
fixef.refit_many <- function(object, ...) t(.subset2(object, "beta"))

#' @importFrom stats sigma
#' @export
#' @noRd
sigma.refit_many <- function(object, ...) .subset2(object, "sigma")

#' @export
#' @noRd
as.data.frame.refit_many <- function(x, row.names = NULL, optional = FALSE, ...) {
  x <- unclass(x)
  criterion <- stats::setNames(list(x$criterion), if (x$record$reml) "REMLcrit" else "deviance")
  data.frame(
    response = x$responses, t(x$beta), sigma = x$sigma, t(x$theta), criterion, converged = x$converged, singular = x$singular,
    row.names = row.names, check.names = FALSE
  )
}

#' @export
#' @noRd
print.refit_many <- function(x, n = 6L, ...) {
  parts <- unclass(x)
  cat(sprintf("%d fits of one model, by %s\n", length(x), if (parts$record$reml) "REML" else "maximum likelihood"))
  cat("Formula:", deparse1(stats::formula(parts$fit)), "\n")
  cat(sprintf(
    "%d singular, %d not converged, %d could not be fitted\n", sum(parts$singular, na.rm = TRUE), sum(!parts$converged, na.rm = TRUE),
    sum(is.na(parts$converged))
  ))
  shown <- seq_len(min(n, length(x)))
  table <- as.data.frame(x)
  print(table[shown, setdiff(names(table), c("converged", "singular"))], row.names = FALSE, ...)
  if (length(x) > n) cat(sprintf("... and %d more; as.data.frame() has all, x[[i]] is one fit\n", length(x) - n))
  invisible(x)
}

#' @exportS3Method generics::tidy
#' @noRd
tidy.refit_many <- function(x, ...) {
  parts <- unclass(x)
  terms <- rownames(parts$beta)
  errors <- vapply(seq_along(parts$sigma), function(i) standard_errors(parts, i), numeric(length(terms)))
  table <- data.frame(
    response = rep(parts$responses, each = length(terms)), term = rep(terms, length(parts$responses)),
    estimate = as.numeric(parts$beta), std.error = as.numeric(errors)
  )
  table$statistic <- table$estimate / table$std.error
  if (requireNamespace("tibble", quietly = TRUE)) tibble::as_tibble(table) else table
}

# The covariance of the fixed effects depends on theta, so one evaluation per response.
standard_errors <- function(parts, i) {
  record <- parts$record
  if (is.na(parts$converged[i])) return(rep(NA_real_, ncol(record$x)))
  record$theta <- parts$theta[, i]
  made <- if (is_absorbed(record$x)) fixed_factor(record) else solve_response(record, list(fixed = TRUE))
  parts$sigma[i] * sqrt(diag(made$unsc))
}
