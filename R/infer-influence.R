#' Influence of observations and groups on a linear mixed model
#'
#' `influence()` leaves out one observation after the other, or one group after the other, and refits the model without it. The refits are
#' exact, of the rows that remain, by the engine: nothing is looked up again, neither the call nor its data, and a refit costs two or three
#' evaluations of the criterion. The result is lme4's object, with lme4's methods [lme4::dfbeta.influence.merMod()] and its kin, and
#' `infIndexPlot()` of package car takes it.
#'
#' `hatvalues()` are the diagonal of the matrix that turns responses into fitted values at the fit's theta; from them come `rstandard()` and
#' `rstudent()` (both the residual divided by its own standard deviation, as lme4 has it) and `cooks.distance()` of the fit, which
#' approximates that of `influence()` without refits. They take a second for a million rows.
#'
#' @param model a fitted linear mixed model. Fits that lme4 or lmerTest made are taken as well; others go to lme4.
#' @param groups names of the variables whose groups are left out, one after the other: grouping factors of the model, other variables
#'   of it, or others of its data. Of several names each combination that occurs is a group. Without `groups` the observations are left out.
#' @param data a data frame to take the variables of `groups` from, where the model doesn't have them. Its rows are matched with those of
#'   the fit, by their number or by their names. Without it the data that the fit's call names are looked up, if they are needed.
#' @param maxfun most evaluations of one descent of a refit.
#' @param do.coef if `FALSE` there are no refits, and the result has the hat values only.
#' @param ncores the refits run on the engine's threads, whatever is asked for here; two or more is taken for their number.
#' @param start where the refits start, a vector theta or a list with one; by default the fit's.
#' @param threads number of threads to compute on. The results are the same for any number.
#' @param fullHatMatrix if `TRUE`, all of the hat matrix, computed by lme4.
#' @param ... in `influence()` lme4's `parallel`, `ncpus` and `cl`, of which `ncpus` means what `ncores` does. All else is ignored, in
#'   `influence()` with a warning.
#' @return `influence()` returns a list of class `influence.merMod`: `fixed.effects` and `var.cov.comps` of the fit (the latter: the
#'   residual variance, then the variances and covariances of each term), `vcov`, its covariance matrix of the fixed effects, and for
#'   each deletion, in elements with `[-case]` or `[-<groups>]` in their names, the same: matrices with a row per deletion, and a list
#'   of matrices. Further `groups`, the name; `deleted`, the groups or row names; `converged` and `function.evals`. Observations that
#'   the fit left out because of missing values are listed too, as in lme4; without them the estimates are the same.
#'
#'   A fixed effect is `NA` where its column is, in the rows that remain, a combination of earlier ones: that of a treatment which only
#'   the deleted group had. A deletion after which no model can be fitted has `NA`s and a warning of class `fastlmer_failed_deletions`.
#'
#'   The other functions return a vector with the observations' names, padded where `na.action = na.exclude` is.
#' @section Errors:
#' Errors are of class `fastlmer_argument_error` where `groups`, `data` or `threads` have no meaning for the fit, and
#' `fastlmer_unsupported_error` for fits of data in chunks, which keep no rows.
#' @references
#' Demidenko and Stukel (2005) Influence analysis for linear mixed-effects models. Statistics in Medicine 24, 893-909,
#' \doi{10.1002/sim.1974}. Hodges and Sargent (2001) Counting degrees of freedom in hierarchical and other richly-parameterised models.
#' Biometrika 88, 367-379, \doi{10.1093/biomet/88.2.367}.
#' @seealso [lme4::influence.merMod()], [fastlmer-differences]
#' @examples
#' fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#' by_subject <- influence(fit, "Subject")
#' cooks.distance(by_subject)
#' head(dfbeta(by_subject, which = "var.cov"))
#'
#' by_row <- influence(fit)
#' head(dfbetas(by_row))
#' head(hatvalues(fit))
#' sum(hatvalues(fit)) # the number of effective parameters
#' @importFrom stats influence
#' @export
influence.lmerMod <- function(model, groups, data, maxfun = 1000, do.coef = TRUE, ncores, start = NULL, ..., threads = default_threads()) {
  refuse_without_rows(model, "influence()")
  record <- engine_of(model)
  if (is.null(record)) return(NextMethod())
  extras <- list(...)
  if (!all((names(extras) %||% rep("", length(extras))) %in% c("parallel", "ncpus", "cl"))) warning("disregarded additional arguments")
  if (!isTRUE(as.logical(do.coef))) return(structure(list(hat = hatvalues(model)), class = "influence.merMod"))
  if (missing(threads)) threads <- asked_threads(if (!missing(ncores)) ncores else extras$ncpus, threads)
  deletions <- deletions_of(model, if (!missing(groups)) groups, if (!missing(data)) data, parent.frame())
  if (!is.null(start)) record$theta <- as.numeric(read_start(start, as.numeric(record$lower == 0), ncol(record$x)))
  found <- refit_without(record, deletions, checked_limit(maxfun), checked_threads(threads))
  influence_object(model, record, deletions, found)
}

asked_threads <- function(asked, default) if (is.numeric(asked) && length(asked) == 1L && !is.na(asked) && asked >= 2) asked else default

checked_limit <- function(maxfun) {
  if (!is.numeric(maxfun) || length(maxfun) != 1L || is.na(maxfun) || maxfun < 1) {
    fail("argument", "'maxfun' must be a number of evaluations, 1 or more")
  }
  as.numeric(maxfun)
}

# The refits in one call of the engine, or in several where there is a bar to move.
refit_without <- function(record, deletions, max_eval, threads) {
  y <- response_of_record(record)
  pointer <- engine_pointer(record)
  refit <- function(first, last) {
    codes <- deletions$codes - (first - 1L)
    codes[codes < 0L | deletions$codes > last] <- 0L
    engine_influence(
      pointer, record$x, record$codes, record$z, record$weights, y, record$reml, record$theta, codes, last - first + 1L,
      list(max_eval = max_eval, threads = threads)
    )
  }
  in_pieces(length(deletions$labels), "Refits", refit)
}

# Work on the items 1 to n, `work(first, last)`, in one call where that is soon done or nobody watches, else in pieces of half a second
# between which a progress bar moves. The results are lists of vectors and of matrices with a column per item; they are put together.
in_pieces <- function(n, label, work, first_piece = 64L, watched = shows_progress(), bar = progress_bar("none", list(), n, label)) {
  if (!watched || n <= first_piece) return(work(1L, n))
  on.exit(bar$close())
  results <- list()
  done <- 0L
  size <- first_piece
  while (done < n) {
    last <- min(n, done + size)
    began <- proc.time()[["elapsed"]]
    results <- c(results, list(work(done + 1L, last)))
    seconds <- max(proc.time()[["elapsed"]] - began, 0.001)
    size <- as.integer(min(n, max(1, (last - done) * 0.5 / seconds)))
    done <- last
    bar$set(done)
  }
  lapply(stats::setNames(nm = names(results[[1L]])), function(name) {
    parts <- lapply(results, `[[`, name)
    if (is.matrix(parts[[1L]])) do.call(cbind, parts) else unlist(parts)
  })
}

# lme4's object: names, order and attributes are its own.
influence_object <- function(model, record, deletions, found) {
  labels <- as.character(deletions$labels)
  fixed <- fixef(model)
  own <- Matrix::as.matrix(vcov(model))
  p <- length(fixed)
  failed <- is.na(found$converged)
  if (any(failed)) {
    warn("failed_deletions", sprintf(
      "without %s %s the model can't be fitted: %s", if (deletions$name == "case") "observation" else deletions$name,
      paste(labels[failed], collapse = ", "), "its rows are NA"
    ))
  }
  varcor <- unclass(VarCorr(model))
  parameters <- variance_names(varcor)
  covariances <- lapply(seq_along(labels), function(i) {
    matrix(found$sigma[[i]]^2 * found$unsc[, i], p, p, dimnames = dimnames(own))
  })
  per_deletion <- function(rows, names) matrix(t(rows), length(labels), length(names), dimnames = list(labels, names))
  at <- function(what) paste0(what, "[-", deletions$name, "]")
  out <- list(
    fixed, per_deletion(found$beta, names(fixed)),
    stats::setNames(c(stats::sigma(model)^2, unlist(lapply(varcor, lower_triangle), use.names = FALSE)), parameters),
    per_deletion(variance_parameters(record, found$theta, found$sigma), parameters),
    own, stats::setNames(covariances, labels), deletions$name, deletions$labels,
    stats::setNames(!failed & found$converged, labels), stats::setNames(found$evaluations, labels)
  )
  names(out) <- c(
    "fixed.effects", at("fixed.effects"), "var.cov.comps", at("var.cov.comps"), "vcov", at("vcov"), "groups", "deleted", "converged",
    "function.evals"
  )
  # lme4's dfbetas() stops where there is one fixed effect.
  structure(out, class = c(if (p == 1L) "influence_one", "influence.merMod"))
}

lower_triangle <- function(v) v[lower.tri(v, diag = TRUE)]

# lme4's names of the residual variance and of each term's variances and covariances.
variance_names <- function(varcor) {
  terms <- names(varcor)
  prefix <- if (length(terms) > 1L) paste0(terms, ":") else ""
  names <- Map(function(v, prefix) {
    columns <- colnames(v)
    names <- outer(columns, columns, function(a, b) paste0("C[", a, ",", b, "]"))
    diag(names) <- paste0("v[", columns, "]")
    paste0(prefix, lower_triangle(names))
  }, varcor, prefix)
  c("sigma^2", unlist(names, use.names = FALSE))
}

# Their values, a column for each column of theta: sigma^2 Lambda Lambda', lower triangles by columns.
variance_parameters <- function(record, theta, sigma) {
  columns <- lengths(record$cnms)
  sizes <- columns * (columns + 1L) / 2L
  pieces <- Map(function(last, size, k) {
    covariance <- term_covariance(theta[last - size + seq_len(size), , drop = FALSE], k, sigma)$covariance
    covariance[lower_triangle(matrix(seq_len(k^2), k)), , drop = FALSE]
  }, cumsum(sizes), sizes, columns)
  if (!is.null(record$structure)) {
    pieces <- Map(function(at, diagonal) {
      if (diagonal) diagonal_products(do.call(rbind, pieces[at])) else pieces[[at]]
    }, split(seq_along(columns), record$structure$block), record$structure$diagonal)
  }
  do.call(rbind, c(list(sigma^2), unname(pieces)))
}

# The lower triangle of a diagonal matrix.
diagonal_products <- function(variances) {
  k <- nrow(variances)
  out <- matrix(0, k * (k + 1L) / 2L, ncol(variances))
  out[cumsum(c(1L, k + 1L - seq_len(k - 1L))), ] <- variances
  out
}

#' @importFrom stats dfbetas
#' @export
#' @noRd
dfbetas.influence_one <- function(model, ...) {
  stats::dfbeta(model) / sqrt(vapply(model[[6L]], function(v) v[1L], 0))
}
