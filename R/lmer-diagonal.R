# Random-effects terms with independent columns: `diag(x | g)`, and `(x || g)` where lme4 is told to take it so. To the engine such a
# term is one term for each of its columns. A model's parts have them apart, with the element `structure`, which says how they belong
# together; lme4's object has them in one, with the effects of a level side by side. A list of
#   block      for each of the engine's terms, which of the model's it belongs to
#   diagonal   for each of the model's terms: has it independent columns?

# Parts (flist, cnms, z) with such terms taken apart.
split_diagonal <- function(parts, diagonal) {
  if (!any(diagonal)) return(parts)
  pieces <- ifelse(diagonal, lengths(parts$cnms), 1L)
  block <- rep.int(seq_along(pieces), pieces)
  column <- ifelse(diagonal[block], sequence(pieces), 0L)
  names <- names(parts$cnms)[block]
  parts$z <- Map(function(term, column) column_of(parts$z[[term]], column), block, column)
  parts$cnms <- Map(function(term, column) if (column) parts$cnms[[term]][column] else parts$cnms[[term]], block, column)
  names(parts$cnms) <- names
  attr(parts$flist, "assign") <- attr(parts$flist, "assign")[block]
  parts$structure <- list(block = block, diagonal = diagonal)
  parts
}

# One column of a term; NULL for ones.
column_of <- function(z, column) {
  if (is.null(z) || column == 0L) return(z)
  z <- z[, column, drop = FALSE]
  if (nrow(z) && all(z == 1)) NULL else z
}

# The parts and the fit in lme4's shape.
merge_diagonal <- function(parts) {
  blocks <- split(seq_along(parts$structure$block), parts$structure$block)
  joined <- function(values) stats::setNames(lapply(blocks, function(at) unlist(values[at], use.names = FALSE)), names(values)[first])
  first <- vapply(blocks, `[`, 0L, 1L)
  n <- if (length(parts$flist)) length(parts$flist[[1L]])
  parts$z <- unname(lapply(blocks, function(at) {
    if (length(at) == 1L) return(parts$z[[at]])
    matrix(unlist(lapply(parts$z[at], function(z) z %||% rep.int(1, n))), n, length(at))
  }))
  parts$cnms <- joined(parts$cnms)
  attr(parts$flist, "assign") <- attr(parts$flist, "assign")[first]
  parts
}

# Which of the engine's effects stands where in lme4's order; NULL where the orders are the same.
effect_order <- function(parts) {
  structure <- parts$structure
  if (is.null(structure)) return(NULL)
  sizes <- level_numbers(parts$flist)[attr(parts$flist, "assign")] * lengths(parts$cnms)
  places <- split(seq_len(sum(sizes)), rep.int(structure$block, sizes))
  unlist(Map(function(places, pieces, diagonal) {
    if (diagonal) t(matrix(places, ncol = pieces)) else places
  }, places, tabulate(structure$block), structure$diagonal), use.names = FALSE)
}

# Effects in lme4's order, a vector or the rows of a matrix, in the engine's.
in_engine_order <- function(u, record) {
  place <- effect_order(record)
  if (is.null(place)) return(u)
  if (is.matrix(u)) u[order(place), , drop = FALSE] else u[order(place)]
}

# Per term of a fit: are its columns independent? NULL where no term has such columns, NA where the covariance is neither that nor
# unstructured.
diagonal_terms <- function(fit, mark) {
  covariances <- attr(fit, "reCovs")
  if (is.null(covariances)) return(mark$diagonal)
  diagonal <- vapply(covariances, methods::is, NA, "Covariance.diag")
  known <- diagonal | vapply(covariances, methods::is, NA, "Covariance.us")
  tied <- vapply(covariances[diagonal], function(covariance) covariance@hom, NA)
  if (!all(known) || any(tied)) return(NA)
  if (any(diagonal)) diagonal
}
