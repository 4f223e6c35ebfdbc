#' How sure is the optimum, and where is it singular?
#'
#' A report on the optimum of a linear mixed model: whether it is one, what its derivatives are, and which direction of which random effect
#' has no variance. Derivatives are exact, and the criterion is minimised once more from the fit's theta: what that gains was missing.
#'
#' @param object a fitted linear mixed model: by the engine, lme4 or lmerTest; one of data in chunks as well.
#' @param ... ignored.
#' @param threads number of threads for a large model; see [fastlmer-options] for the default.
#' @param x a report.
#' @param row.names,optional as in [as.data.frame()].
#' @return An object of class `convergence`, a list of
#'   \describe{
#'   \item{converged}{`TRUE` where the criterion can fall by no more than 1e-4, in its own unit: minus twice the log likelihood.}
#'   \item{decrease}{by how much a search by the engine from the fit's theta lowers the criterion.}
#'   \item{criterion, REML}{the criterion at the fit's theta, and whether it is the REML criterion.}
#'   \item{gradient, Hessian}{derivatives of the criterion in theta, with the names of theta.}
#'   \item{exact}{whether the second derivatives are exact: `"analytic"`, or `"differences"` of the exact gradient.}
#'   \item{eigenvalues}{of the Hessian, for each element of theta in units of its effect's relative standard deviation (or, where that is
#'     zero, of one residual standard deviation): along a direction with a value near zero the criterion hardly changes.}
#'   \item{relative_gradient}{the largest element of the Newton step in theta, which is what check_convergence() of package performance
#'     compares with its tolerance (there with the derivatives that the fit holds, see [fastlmer-differences]); elements that the criterion
#'     doesn't depend on are left out.}
#'   \item{parameters}{a data frame with a row per element of theta: `parameter`, `term` (the grouping factor), `row`, `column`, `theta`,
#'     `lower`, `gradient`, `at_boundary`.}
#'   \item{singular}{a data frame with a row per direction of a term's random effects that has no variance: `term`, the grouping factor;
#'     `columns`, whose effects it combines; `kind`, one of `"variance"` (a single effect has none), `"correlation"` (two effects are
#'     proportional) and `"combination"` (of three or more); `value`, the variance or correlation; `direction`, the weights of the
#'     columns' effects, a list.}
#'   \item{messages}{what was said when the model was fitted.}
#'   }
#'   `as.data.frame()` gives `parameters`. The attribute `model` is an environment with what the engine needs to evaluate the criterion, for
#'   [autoplot()][autoplot.convergence].
#' @section Errors:
#' Of class `fastlmer_argument_error` for anything but a linear mixed model of lme4's `lmer()` or ours.
#' @references
#' Bates, Maechler, Bolker and Walker (2015) Fitting linear mixed-effects models using lme4. Journal of Statistical Software 67(1),
#' \doi{10.18637/jss.v067.i01}.
#' @seealso [autoplot.convergence()] for a picture, [lme4::isSingular()], [lme4::rePCA()], [lme4::convergence], [allFit()]
#' @examples
#' convergence(lmer(Reaction ~ Days + (Days | Subject), sleepstudy))
#'
#' # a variance that is estimated as zero
#' report <- convergence(lmer(Yield ~ 1 + (1 | Batch), Dyestuff2))
#' report
#' report$singular
#' as.data.frame(report)
#' @export
convergence <- function(object, ..., threads = NULL) {
  record <- engine_of(object)
  if (is.null(record)) fail("argument", "'object' must be a linear mixed model, fitted by lmer()")
  record <- on_threads(record, threads)
  here <- derivatives_of_fit(record)
  best <- search_from_fit(record)
  names <- names(lme4::getME(object, "theta"))
  decrease <- max(0, here$criterion - best$criterion)
  scaled <- scaled_hessian(here$hessian, record)
  optimal <- isTRUE(decrease <= 1e-4) && isTRUE(object@optinfo$conv$opt == 0 || decrease <= 1e-8)
  structure(list(
    converged = optimal && !identical(best$converged, FALSE),
    decrease = decrease, criterion = here$criterion, REML = record$reml,
    gradient = stats::setNames(here$gradient, names), Hessian = structure(here$hessian, dimnames = list(names, names)),
    exact = here$exact, eigenvalues = eigen(scaled, symmetric = TRUE, only.values = TRUE)$values,
    relative_gradient = newton_step(here$gradient, here$hessian),
    parameters = parameter_table(here, record, names), singular = singular_directions(record, object),
    messages = as.character(unlist(c(object@optinfo$conv$lme4$messages, object@optinfo$warnings)))
  ), class = "convergence", model = list2env(list(record = record), parent = emptyenv()))
}

# Derivatives and criterion at the fit's theta.
derivatives_of_fit <- function(record) {
  fit <- fit_of_record(record, list(fixed = TRUE))
  analytic <- isTRUE(fit$exact_hessian)
  if (!analytic) fit <- fit_of_record(record, list(fixed = TRUE, exact_hessian = TRUE))
  list(criterion = fit$criterion, gradient = fit$gradient, hessian = fit$hessian, theta = fit$theta,
    exact = if (analytic) "analytic" else if (isTRUE(fit$exact_hessian)) "differences" else "none")
}

search_from_fit <- function(record) {
  tryCatch(fit_of_record(record), fastlmer_engine_error = function(e) if (is_final(e)) stop(e) else list(criterion = Inf))
}

# The largest element of H^-1 g, in the directions that H knows of.
newton_step <- function(gradient, hessian) {
  if (!length(gradient) || !all(is.finite(c(gradient, hessian)))) return(NA_real_)
  size <- sqrt(pmax(abs(diag(hessian)), .Machine$double.xmin))
  parts <- eigen(hessian / size / rep(size, each = length(size)), symmetric = TRUE)
  known <- abs(parts$values) > 1e-10 * max(abs(parts$values))
  if (!any(known)) return(0)
  vectors <- parts$vectors[, known, drop = FALSE]
  max(abs(vectors %*% (crossprod(vectors, gradient / size) / parts$values[known]) / size))
}

# Each element in units of its row of Lambda, the relative standard deviation of the effect; where that is zero, of the residuals'.
scaled_hessian <- function(hessian, record) {
  unit <- theta_units(record)
  hessian * unit * rep(unit, each = length(unit))
}

theta_units <- function(record) {
  places <- theta_places(record)
  size <- column_sizes(record)[cbind(places$term, places$row)]
  vapply(seq_along(record$theta), function(i) {
    sd <- sqrt(sum(record$theta[places$term == places$term[i] & places$row == places$row[i]]^2))
    if (sd * size[i] < no_variance) 1 / size[i] else sd
  }, 0)
}

# Per element of theta the term that it belongs to, and its row and column there.
theta_places <- function(record) {
  columns <- lengths(record$cnms)
  places <- lapply(seq_along(columns), function(term) {
    at <- which(lower.tri(diag(columns[[term]]), diag = TRUE), arr.ind = TRUE)
    data.frame(term = term, row = at[, 1L], column = at[, 2L], row.names = NULL)
  })
  do.call(rbind, places)
}

parameter_table <- function(here, record, names) {
  places <- theta_places(record)
  column <- function(at) mapply(function(term, i) record$cnms[[term]][i], places$term, at)
  data.frame(
    parameter = names, term = names(record$cnms)[places$term], row = column(places$row), column = column(places$column),
    theta = record$theta, lower = record$lower, gradient = here$gradient,
    at_boundary = record$lower == 0 & abs(record$theta) * column_sizes(record)[cbind(places$term, places$row)] < no_variance
  )
}

# Root mean squares of the terms' columns, about their mean where the term has a constant: a matrix with a row per term. Of data in chunks
# there are no rows: then it is ones.
column_sizes <- function(record) {
  columns <- lengths(record$cnms)
  out <- matrix(1, length(columns), max(columns))
  for (term in seq_along(columns)) out[term, seq_len(columns[[term]])] <- diag(column_basis(term_values(record, term)))
  out
}

term_values <- function(record, term) {
  z <- record$z[[term]]
  if (is.null(z) || !nrow(z)) diag(length(record$cnms[[term]])) else z
}

# The matrix that turns effects of columns into those of columns of size one, centred where there is a constant one.
column_basis <- function(z) {
  k <- ncol(z)
  if (k == nrow(z)) return(diag(k))
  constant <- which(apply(z, 2L, function(column) column[1L] != 0 && all(column == column[1L])))
  centre <- if (length(constant)) colMeans(z) else numeric(k)
  centre[constant] <- 0
  size <- sqrt(colMeans((z - rep(centre, each = nrow(z)))^2))
  basis <- diag(ifelse(size > 0, size, 1), k)
  if (length(constant)) basis[constant[1L], ] <- basis[constant[1L], ] + centre / z[1L, constant[1L]]
  basis
}

# Less than this of the residual standard deviation, for columns of size one, is no variance: lme4's tolerance for a singular fit.
no_variance <- 1e-4

# The directions of the terms' effects that have no variance; see convergence().
singular_directions <- function(record, object) {
  factors <- relative_factors(record$theta, lengths(record$cnms))
  rows <- lapply(seq_along(factors), function(term) {
    directions <- null_directions(factors[[term]], term_values(record, term))
    lapply(directions, function(weights) describe_direction(weights, record$cnms[[term]], names(record$cnms)[term]))
  })
  rows <- unlist(rows, recursive = FALSE)
  table <- data.frame(
    term = vapply(rows, `[[`, "", "term"), columns = vapply(rows, `[[`, "", "columns"), kind = vapply(rows, `[[`, "", "kind"),
    value = vapply(rows, `[[`, 0, "value")
  )
  table$direction <- lapply(rows, `[[`, "direction")
  table
}

# Weights of the columns' effects, one vector per direction: first of single columns, then of combinations of the others.
null_directions <- function(factor, z) {
  k <- ncol(factor)
  sd <- sqrt(rowSums(factor^2))
  zero <- sd * sqrt(colMeans(z^2)) < no_variance
  singles <- lapply(which(zero), function(j) as.numeric(seq_len(k) == j))
  rest <- which(!zero)
  if (length(rest) < 2L) return(singles)
  basis <- column_basis(z[, rest, drop = FALSE])
  parts <- svd(basis %*% factor[rest, , drop = FALSE], nu = length(rest), nv = 0L)
  flat <- which(c(parts$d, numeric(length(rest)))[seq_along(rest)] < no_variance)
  if (!length(flat)) return(singles)
  weights <- crossprod(parts$u[, flat, drop = FALSE], basis)
  combined <- few_columns(weights * rep(sd[rest], each = length(flat))) / rep(sd[rest], each = length(flat))
  c(singles, lapply(seq_along(flat), function(i) replace(numeric(k), rest, combined[i, ] / max(abs(combined[i, ])))))
}

# Combinations of the same rows, each with as few columns as may be: Gauss' and Jordan's elimination from the last column on.
few_columns <- function(rows, left = 1e-6) {
  free <- seq_len(ncol(rows))
  for (i in rev(seq_len(nrow(rows)))) {
    large <- abs(rows[i, free]) >= 0.1 * max(abs(rows[i, free]))
    pivot <- max(free[large])
    rows[i, ] <- rows[i, ] / rows[i, pivot]
    for (other in setdiff(seq_len(nrow(rows)), i)) rows[other, ] <- rows[other, ] - rows[other, pivot] * rows[i, ]
    free <- setdiff(free, pivot)
  }
  rows[abs(rows) < left] <- 0
  rows
}

describe_direction <- function(weights, columns, term) {
  part <- which(weights != 0)
  kind <- c("variance", "correlation", "combination")[min(length(part), 3L)]
  value <- switch(kind, variance = 0, correlation = -sign(prod(weights[part])), combination = 0)
  list(
    term = term, columns = paste(columns[part], collapse = ", "), kind = kind, value = value,
    direction = stats::setNames(weights[part], columns[part])
  )
}

#' @rdname convergence
#' @export
as.data.frame.convergence <- function(x, row.names = NULL, optional = FALSE, ...) x$parameters

#' @rdname convergence
#' @export
print.convergence <- function(x, ...) {
  name <- if (x$REML) "REML criterion" else "deviance"
  if (x$converged) {
    cat(sprintf("converged: the %s is %s, and a search from here finds none that is lower\n", name, format(x$criterion, digits = 10)))
  } else if (x$decrease <= 0) {
    cat(sprintf("not converged: the %s is %s, and a search from here ends without an optimum\n", name, format(x$criterion, digits = 10)))
  } else {
    cat(sprintf("not converged: the %s is %s, and a search from here lowers it by %s\n", name, format(x$criterion, digits = 10),
      format(x$decrease, digits = 3)))
    cat("What to do: fit again without an optimizer of your own, or from another start; allFit() compares optimizers\n")
  }
  cat(sprintf("gradient at most %s; second derivatives %s; their eigenvalues from %s to %s\n",
    format(max(abs(x$gradient)), digits = 2),
    switch(x$exact, analytic = "exact", differences = "exact, by differences of the gradient", "not known"),
    format(min(x$eigenvalues), digits = 3), format(max(x$eigenvalues), digits = 3)))
  for (i in seq_len(nrow(x$singular))) cat(direction_text(x$singular[i, ]), "\n", sep = "")
  if (nrow(x$singular)) cat(what_to_do(x$singular), sep = "\n")
  for (text in untold(x)) cat("said of the fit: ", text, "\n", sep = "")
  invisible(x)
}

# What was said of the fit and isn't said here, or is known to be wrong.
untold <- function(x) {
  doubts <- if (x$converged) grep("Model failed to converge|nearly unidentifiable", x$messages, value = TRUE)
  setdiff(x$messages, c(singular_text, doubts))
}

direction_text <- function(row) {
  weights <- row$direction[[1L]]
  switch(row$kind,
    variance = sprintf("the variance of %s by %s is zero", row$columns, row$term),
    correlation = sprintf("the correlation of %s and %s by %s is at %d", names(weights)[1L], names(weights)[2L], row$term,
      as.integer(row$value)),
    combination = sprintf("a combination of the effects by %s has no variance: %s", row$term, sum_text(weights))
  )
}

sum_text <- function(weights) {
  terms <- paste(format(abs(weights), digits = 2, trim = TRUE), names(weights))
  signs <- c(if (weights[[1L]] < 0) "-" else "", ifelse(weights[-1L] < 0, " - ", " + "))
  paste0(signs, terms, collapse = "")
}

what_to_do <- function(singular) {
  zero <- singular$kind == "variance"
  c(
    "What to do: estimates and tests of the fixed effects stand as they are.",
    if (any(zero)) "  A random effect without variance can be left out: the likelihood stays as it is.",
    if (any(!zero)) {
      "  Fewer effects, or independent ones as in (x || g), may do as well: anova() compares them, rePCA() shows how many there are."
    }
  )
}
