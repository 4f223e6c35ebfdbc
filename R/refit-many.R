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
    sigma = batch$sigma, criterion = batch$criterion, converged = batch$converged, singular = batch$boundary,
    evaluations = batch$evaluations
  ), class = "refit_many")
}

# The engine's fits of `responses` (see engine_refit_many()) with `singular` as lme4's isSingular() judges it, by the raw theta, and
# `boundary` where that isn't only due to the units of the predictors, as check_optimum() judges it.
refit_batch <- function(record, responses, threads, modes = FALSE, covariance = FALSE, degrees_of_freedom = FALSE) {
  batch <- engine_refit_many(
    engine_pointer(record), record$x, record$codes, record$z, record$weights, responses, record$reml, record$theta,
    list(threads = as.integer(threads), modes = modes, covariance = covariance, degrees_of_freedom = degrees_of_freedom)
  )
  batch$singular <- singular_columns(batch$theta, record$lower)
  batch$boundary <- batch$singular & batch$least < 1e-4
  batch
}

singular_columns <- function(theta, lower, tolerance = 1e-4) colSums(theta[lower == 0, , drop = FALSE] < tolerance) > 0

response_matrix <- function(newresp, frame, n) {
  if (!is.list(newresp)) {
    if (!is.numeric(newresp)) fail("data", "the new responses must be numeric")
    if (!ncol(newresp)) fail("data", "no new response")
    newresp <- without_missing_rows(newresp, frame, n)
    if (is.double(newresp)) return(engine_copy(newresp, 1L))
    storage.mode(newresp) <- "double"
    return(newresp)
  }
  if (!length(newresp)) fail("data", "no new response")
  columns <- lapply(newresp, function(y) {
    y <- without_missing_rows(y, frame, n)
    if (!is.numeric(y)) fail("data", "the new responses must be numeric")
    as.numeric(y)
  })
  do.call(cbind, columns)
}

theta_names <- function(object) names(lme4::getME(object, "theta"))

# To the user it is a vector of fits, with the responses' names. A fit is made when it is asked for.

#' @export
#' @noRd
`[[.refit_many` <- function(x, i, ...) {
  i <- places_of(x, i)
  if (length(i) != 1L) fail("argument", "subscript out of bounds")
  parts <- unclass(x)
  refit_one(parts$fit, parts$record, parts$y[, i], default_control())
}

#' @export
#' @noRd
`[.refit_many` <- function(x, i, ...) {
  if (missing(i)) return(x)
  i <- places_of(x, i)
  parts <- unclass(x)
  for (name in per_response) parts[[name]] <- parts[[name]][i]
  for (name in columns_per_response) parts[[name]] <- parts[[name]][, i, drop = FALSE]
  structure(parts, class = "refit_many")
}

per_response <- c("responses", "sigma", "criterion", "converged", "singular", "evaluations")
columns_per_response <- c("y", "beta", "theta")

# Numbers of fits from any index that a vector takes.
places_of <- function(x, i) {
  places <- stats::setNames(seq_along(x), names(x))
  if (is.logical(i) && length(i) > length(x)) fail("argument", "subscript out of bounds")
  places <- unname(if (is.factor(i)) places[as.character(i)] else places[i])
  if (anyNA(places)) fail("argument", "subscript out of bounds")
  places
}

#' @export
#' @noRd
length.refit_many <- function(x) length(.subset2(x, "sigma"))

#' @export
#' @noRd
names.refit_many <- function(x) .subset2(x, "responses")

#' @export
#' @noRd
`names<-.refit_many` <- function(x, value) {
  parts <- unclass(x)
  if (length(value) != length(x) || anyNA(value)) fail("argument", "names must be as many as there are fits, without missing ones")
  parts$responses <- as.character(value)
  structure(parts, class = "refit_many")
}

# The fit of a response, or else a part by its name.
#' @export
#' @noRd
`$.refit_many` <- function(x, name) if (name %in% names(x)) x[[name]] else .subset2(x, name)

#' @export
#' @noRd
as.list.refit_many <- function(x, ...) stats::setNames(lapply(seq_along(x), function(i) x[[i]]), names(x))

#' @export
#' @noRd
rep.refit_many <- function(x, ...) x[rep(seq_along(x), ...)]

#' @export
#' @noRd
c.refit_many <- function(...) {
  batches <- list(...)
  if (!all(vapply(batches, inherits, NA, "refit_many"))) fail("argument", "only batches of refits can be combined")
  batches <- lapply(batches, unclass)
  first <- batches[[1L]]
  same <- function(parts) identical(parts$fit@call, first$fit@call) && identical(parts$record$theta, first$record$theta)
  if (!all(vapply(batches, same, NA))) fail("argument", "only refits of the same fit can be combined")
  together <- function(name, combine) do.call(combine, lapply(batches, `[[`, name))
  for (name in per_response) first[[name]] <- together(name, c)
  for (name in columns_per_response) first[[name]] <- together(name, cbind)
  structure(first, class = "refit_many")
}

# A fit can't be put in another's place: it belongs to a response.
#' @export
#' @noRd
`[[<-.refit_many` <- function(x, i, value) {
  fail("argument", "the fits of a batch can't be replaced: refit() other responses, and combine by c()")
}

#' @export
#' @noRd
`[<-.refit_many` <- `[[<-.refit_many`

#' @export
#' @noRd
`$<-.refit_many` <- function(x, name, value) `[[<-.refit_many`(x, name, value)

#' @export
#' @noRd
format.refit_many <- function(x, digits = 7L, ...) {
  criterion <- format(.subset2(x, "criterion"), digits = digits)
  stats::setNames(paste0("<lmerMod ", if (.subset2(x, "record")$reml) "REML " else "deviance ", trimws(criterion), ">"), names(x))
}

#' @importFrom utils str
#' @export
#' @noRd
str.refit_many <- function(object, ...) {
  cat(sprintf(" %d fits of %s: ", length(object), deparse1(stats::formula(.subset2(object, "fit")))))
  utils::str(names(object), give.head = FALSE)
}

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
tidy.refit_many <- function(x, conf.int = FALSE, conf.level = 0.95, ...) {
  parts <- unclass(x)
  terms <- rownames(parts$beta)
  errors <- vapply(seq_along(parts$sigma), function(i) standard_errors(parts, i), numeric(length(terms)))
  table <- data.frame(
    response = rep(parts$responses, each = length(terms)), term = rep(terms, length(parts$responses)),
    estimate = as.numeric(parts$beta), std.error = as.numeric(errors)
  )
  table$statistic <- table$estimate / table$std.error
  if (conf.int) {
    width <- stats::qnorm((1 + conf.level) / 2) * table$std.error
    table[c("conf.low", "conf.high")] <- list(table$estimate - width, table$estimate + width)
  }
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
