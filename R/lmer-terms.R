# The random-effects terms of a model, in lme4's order and with its names: a list of
#   flist   the grouping factors, with the attribute `assign` (which factor each term has)
#   cnms    per term the names of its columns
#   z       per term its columns, n x k, or NULL for a single column of ones
#   structure   where terms have independent columns, see split_diagonal()
# NULL when lme4's own mkReTrms() is to look at them. `x` is the matrix of the fixed effects, if it is plain_matrix()'s: terms
# with the same columns share it.
random_terms <- function(bars, frame, x = NULL, diagonal = logical(length(bars)), threads = NULL) {
  groups <- lapply(bars, function(bar) grouping_factor(bar[[3L]], frame))
  if (any(lengths(groups) == 0L)) return(NULL)
  columns <- lapply(bars, function(bar) effect_columns(bar, frame, x, threads))
  if (any(lengths(columns) == 0L)) return(NULL)
  names(groups) <- names(columns) <- vapply(bars, function(bar) group_name(bar[[3L]]), "")
  levels <- level_numbers(groups)
  if (any(diff(levels) > 0L)) {
    order <- rev(order(levels))
    groups <- groups[order]
    columns <- columns[order]
    diagonal <- diagonal[order]
  }
  flist <- groups[!duplicated(names(groups))]
  attr(flist, "assign") <- match(names(groups), names(flist))
  split_diagonal(list(flist = flist, cnms = lapply(columns, `[[`, "names"), z = unname(lapply(columns, `[[`, "z"))), diagonal)
}

group_name <- function(expression) if (is.name(expression)) as.character(expression) else deparse1(expression)

level_numbers <- function(flist) vapply(flist, function(group) length(attr(group, "levels")), 0L, USE.NAMES = FALSE)

# A factor with all its levels in use, from a name or an interaction of names; NULL for any other expression.
grouping_factor <- function(expression, frame) {
  if (is.name(expression)) return(used_levels(.subset2(frame, as.character(expression))))
  if (!is.call(expression) || !identical(expression[[1L]], quote(`:`))) return(NULL)
  left <- grouping_factor(expression[[2L]], frame)
  right <- grouping_factor(expression[[3L]], frame)
  if (is.null(left) || is.null(right)) return(NULL)
  interaction_factor(left, right)
}

used_levels <- function(group) {
  if (is.factor(group) && is_plain_factor(group)) return(group)
  if (is.null(group) || !is.null(dim(group)) || anyNA(group)) return(NULL)
  if (is.integer(group) && is.null(attributes(group))) integer_factor(group) else factor(group, exclude = NA)
}

# factor() of integers, which sorts as text what the engine only counts.
integer_factor <- function(x) {
  numbered <- engine_number_levels(x)
  structure(numbered$codes, levels = as.character(numbered$levels), class = "factor")
}

# Levels "a:b" that occur, ordered by the left factor and within it by the right one, as in lme4.
interaction_factor <- function(left, right) {
  cell <- (as.numeric(left) - 1) * nlevels(right) + as.numeric(right)
  present <- sort(unique(cell))
  first <- match(present, cell)
  levels <- paste(left[first], right[first], sep = ":")
  if (anyDuplicated(levels)) return(NULL)
  structure(match(cell, present), levels = levels, class = "factor")
}

# Names and values of a term's columns. A sum of numeric variables needs no model.matrix().
effect_columns <- function(bar, frame, x = NULL, threads = NULL) {
  if (identical(bar[[2L]], 1)) return(list(names = "(Intercept)", z = NULL))
  names <- numeric_columns(bar[[2L]], frame)
  if (!is.null(names)) {
    z <- if (identical(names, colnames(x))) x else side_by_side(names, frame, threads)
  } else {
    if (any(all.vars(bar[[2L]]) %in% all.vars(bar[[3L]]))) return(NULL)
    z <- stats::model.matrix(eval(call("~", bar[[2L]])), frame)
    if (!ncol(z)) return(NULL)
    names <- colnames(z)
    dimnames(z)[1L] <- list(NULL)
    attr(z, "assign") <- attr(z, "contrasts") <- NULL
  }
  list(names = names, z = if (length(names) > 1L || !all(z == 1)) z)
}

# The names of the columns of a sum of numeric variables; NULL for anything else.
numeric_columns <- function(expression, frame) {
  parts <- sum_parts(expression)
  numbers <- vapply(parts, is.numeric, NA)
  intercept <- 1
  for (value in parts[numbers]) {
    if (!value %in% c(0, 1)) return(NULL)
    intercept <- value
  }
  if (sum(numbers) > 1L || !all(numbers | vapply(parts, is.name, NA))) return(NULL)
  names <- unique(as.character(parts[!numbers]))
  for (name in names) if (!is_plain_number(.subset2(frame, name))) return(NULL)
  if (any(make.names(names) != names)) return(NULL)
  names <- c(if (intercept == 1) "(Intercept)", names)
  if (length(names)) names
}

# The columns of those names as a matrix of doubles.
side_by_side <- function(names, frame, threads) {
  columns <- unclass(frame)[names]
  columns[names == "(Intercept)"] <- 1
  n <- .row_names_info(frame, 2L)
  z <- engine_side_by_side(columns, n, threads_for(n, threads))
  dimnames(z) <- list(NULL, names)
  z
}

is_plain_number <- function(x) is.numeric(x) && !is.object(x) && is.null(dim(x))

sum_parts <- function(expression) {
  if (is.call(expression) && identical(expression[[1L]], quote(`+`)) && length(expression) == 3L) {
    return(c(sum_parts(expression[[2L]]), sum_parts(expression[[3L]])))
  }
  list(expression)
}

# How many parameters a term's covariance has: of so many columns, independent or not.
parameters_of <- function(columns, diagonal) as.integer(ifelse(diagonal, columns, columns * (columns + 1L) / 2L))

# lme4's lower bounds on theta for terms with these numbers of columns: 0 on the diagonal of each factor.
theta_lower <- function(columns) {
  unlist(lapply(columns, function(k) {
    lower <- rep.int(-Inf, k * (k + 1) / 2)
    lower[cumsum(c(1L, k + 1L - seq_len(k - 1L)))] <- 0
    lower
  }), use.names = FALSE)
}
