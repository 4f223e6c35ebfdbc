# Conditional modes of a fit that the engine made, without lme4's C++ object; others are lme4's. The arguments are lme4's too.
#' @export
#' @noRd
ranef.lmerMod <- function(object, condVar = TRUE, drop = FALSE, whichel = names(ans), postVar = FALSE, ..., threads = NULL) {
  if (!is_fastlmer(object) || !missing(postVar) || ...length()) return(NextMethod())
  record <- on_threads(engine_of(object), threads)
  ans <- conditional_modes(record, object@u)
  keep <- names(ans) %in% whichel
  variances <- if (condVar) conditional_variances(record)
  ans <- Map(function(modes, variance) one_factor(modes, variance, drop), ans, variances %||% list(NULL))[keep]
  structure(ans, class = "ranef.mer")
}

one_factor <- function(modes, variance, drop) {
  if (drop && ncol(modes) == 1L) {
    modes <- stats::setNames(modes[[1L]], rownames(modes))
    if (!is.null(variance)) variance <- drop(variance)
  }
  if (!is.null(variance)) attr(modes, "postVar") <- variance
  modes
}

# Per grouping factor a data frame of b = Lambda u: a row per level, the columns of all its terms.
conditional_modes <- function(record, u) {
  asgn <- record$asgn
  columns <- lengths(record$cnms)
  numbers <- record$nlev[asgn] * columns
  u <- in_engine_order(u, record)
  u <- Map(function(last, number) u[last - number + seq_len(number)], cumsum(numbers), numbers)
  factors <- relative_factors(record$theta, columns)
  modes <- Map(function(u, factor, names) {
    b <- tcrossprod(matrix(u, ncol = ncol(factor), byrow = TRUE), factor)
    colnames(b) <- names
    b
  }, u, factors, record$cnms)
  lapply(stats::setNames(seq_along(record$flist), names(record$flist)), function(i) {
    as_data_frame(do.call(cbind, unname(modes[asgn == i])), levels(record$flist[[i]]))
  })
}

# data.frame() of a matrix, which takes ten times as long.
as_data_frame <- function(values, row_names) {
  columns <- lapply(seq_len(ncol(values)), function(j) as.numeric(values[, j]))
  structure(columns, names = colnames(values), class = "data.frame", row.names = row_names)
}

# theta as a lower triangular matrix for each term.
relative_factors <- function(theta, columns) {
  last <- cumsum(columns * (columns + 1L) / 2L)
  lapply(seq_along(columns), function(term) {
    k <- columns[[term]]
    factor <- matrix(0, k, k)
    factor[lower.tri(factor, diag = TRUE)] <- theta[last[[term]] - (k * (k + 1L) / 2L) + seq_len(k * (k + 1L) / 2L)]
    factor
  })
}

# Per grouping factor the variances of its modes, K x K x levels; as lme4 has it, a list of one array per term where the factor
# has several terms.
conditional_variances <- function(record) {
  variances <- unscaled_variances(record)
  asgn <- record$asgn
  cnms <- record$cnms
  if (!is.null(record$structure)) {
    merged <- merge_diagonal(record[c("flist", "cnms", "z", "structure")])
    asgn <- attr(merged$flist, "assign")
    cnms <- merged$cnms
  }
  columns <- lengths(cnms)
  lapply(seq_along(record$flist), function(i) {
    terms <- which(asgn == i)
    variance <- variances[[i]] * record$sigma^2
    if (length(terms) == 1L) return(variance)
    last <- cumsum(columns[terms])
    pieces <- Map(function(last, k) variance[last - k + seq_len(k), last - k + seq_len(k), , drop = FALSE], last, columns[terms])
    stats::setNames(pieces, as.character(unname(cnms[terms])))
  })
}

# They are kept with the fit, for summaries and plots ask for them again and again, unless they are large.
unscaled_variances <- function(record, most = 1e6) {
  kept <- record$cache$variances
  if (identical(kept$theta, record$theta)) return(kept$values)
  values <- engine_condvar(engine_pointer(record), record$theta, threads_for(nrow(record$x), record$threads))
  if (sum(lengths(values)) <= most) record$cache$variances <- list(theta = record$theta, values = values)
  values
}
