# The columns of the fixed effects where one factor has very many levels: an object of class `absorbed_columns` stands for the model
# matrix, and the engine takes the factor's constants out like random effects without a variance, so that its dummy columns are
# never formed. A list of
#   dense       the other columns but for the intercept, a matrix
#   factor      the factor
#   first       the place of its first column among all columns
#   intercept   is there one?
#   names, assign, contrasts   of all columns, as model.matrix() has them

# Dummy columns are cheaper for factors of fewer levels, and better where a random effect's standard deviation is so many times that
# of the residuals.
many_levels <- 100L
large_effects <- 1e4

# For a formula in which a factor of many levels is a term of its own and in no other, with treatment contrasts; else NULL.
absorbed_columns <- function(fixed, frame, contrasts) {
  wide <- vapply(unclass(frame), function(column) is.factor(column) && nlevels(column) >= many_levels, NA)
  if (!any(wide) || !identical(getOption("contrasts")[[1L]], "contr.treatment")) return(NULL)
  terms <- stats::delete.response(stats::terms(fixed))
  variables <- variable_names(terms)
  own <- which(vapply(seq_along(variables), is_absorbable, NA, variables, attr(terms, "factors"), frame, names(contrasts)))
  # Without an intercept only the first term has a column for every level.
  intercept <- attr(terms, "intercept") == 1L
  if (!intercept) own <- own[term_of(own, terms) == 1L]
  if (!length(own)) return(NULL)
  own <- own[which.max(vapply(frame[variables[own]], nlevels, 1L))]
  columns_beside(terms, own, variables, frame, contrasts)
}

# Is a variable an unordered factor, all of whose levels occur, that is a term and in no other?
is_absorbable <- function(variable, variables, table, frame, other_contrasts) {
  name <- variables[variable]
  if (!name %in% names(frame) || name %in% other_contrasts || !length(table) || sum(table[variable, ] > 0L) != 1L) return(FALSE)
  factor <- frame[[name]]
  is.factor(factor) && nlevels(factor) >= many_levels && sum(table[, table[variable, ] > 0L] > 0L) == 1L && !is.ordered(factor) &&
    is.null(attr(factor, "contrasts")) && has_all_levels(factor)
}

# Which term a variable is.
term_of <- function(variables, terms) {
  vapply(variables, function(variable) which(attr(terms, "factors")[variable, ] > 0L), 1L)
}

columns_beside <- function(terms, variable, variables, frame, contrasts) {
  own <- term_of(variable, terms)
  intercept <- attr(terms, "intercept") == 1L
  factor <- frame[[variables[variable]]]
  dense <- stats::model.matrix(terms_without(terms, variable, own), frame, contrasts)
  assign <- attr(dense, "assign")
  assign <- assign + (assign >= own)
  names <- colnames(dense)
  before <- assign < own & (intercept | assign > 0L)
  after <- assign > own
  own_names <- paste0(attr(terms, "term.labels")[own], if (intercept) levels(factor)[-1L] else levels(factor))
  coding <- c(stats::setNames(list("contr.treatment"), variables[variable]), attr(dense, "contrasts"))
  structure(list(
    dense = dense[, assign > 0L, drop = FALSE], factor = factor, first = sum(before) + 1L, intercept = intercept,
    names = c(names[before], own_names, names[after]),
    assign = c(assign[before], rep.int(own, length(own_names)), assign[after]),
    contrasts = coding[intersect(variables, names(coding))], msgScaleX = character()
  ), class = "absorbed_columns")
}

# The terms without one that is a variable, and with an intercept. (drop.terms() would put the others' variables in another order.)
terms_without <- function(terms, variable, own) {
  factors <- attr(terms, "factors")[-variable, -own, drop = FALSE]
  attr(terms, "factors") <- if (length(factors)) factors else integer()
  attr(terms, "term.labels") <- attr(terms, "term.labels")[-own]
  attr(terms, "order") <- attr(terms, "order")[-own]
  attr(terms, "variables") <- attr(terms, "variables")[-(variable + 1L)]
  attr(terms, "offset") <- NULL
  attr(terms, "intercept") <- 1L
  terms
}

# The columns are this or a matrix.
is_absorbed <- function(x) is.list(x)

#' @export
#' @noRd
dim.absorbed_columns <- function(x) c(length(.subset2(x, "factor")), length(.subset2(x, "names")))

#' @export
#' @noRd
dimnames.absorbed_columns <- function(x) list(rownames(.subset2(x, "dense")), .subset2(x, "names"))

#' @export
#' @noRd
as.matrix.absorbed_columns <- function(x, ...) all_columns(x)

# What model.matrix() returns. (A fit carries this function: it has to work without this package.)
all_columns <- function(x) {
  n <- length(x$factor)
  size <- 8 * n * length(x$names)
  memory <- if (file.exists("/proc/meminfo")) grep("^MemAvailable", readLines("/proc/meminfo"), value = TRUE)
  # What is computed of it takes as much again, and twice.
  if (length(memory) && 3 * size > 1024 * as.numeric(gsub("[^0-9]", "", memory))) {
    stop(sprintf("this needs the model matrix of the fixed effects (%d x %d), which would take %.1f GB", n, length(x$names), size / 1e9),
      call. = FALSE)
  }
  levels <- nlevels(x$factor)
  own <- x$first - 1L + seq_len(levels - x$intercept)
  out <- matrix(0, n, length(x$names), dimnames = list(rownames(x$dense), x$names))
  if (x$intercept) out[, 1L] <- 1
  out[, setdiff(seq_along(x$names), c(if (x$intercept) 1L, own))] <- x$dense
  column <- (if (x$intercept) c(0L, own) else own)[as.integer(x$factor)]
  rows <- which(column > 0L)
  out[cbind(rows, column[rows])] <- 1
  attr(out, "assign") <- x$assign
  attr(out, "contrasts") <- x$contrasts
  attr(out, "msgScaleX") <- x$msgScaleX
  out
}

# The engine's fit of columns that it absorbs, or, where it finds none or random effects so large beside the residuals that their sum
# with the factor's constants costs digits, that of all columns, which it then returns as `x`. (Not where these would not fit in memory.)
fit_expanding <- function(x, fit_columns) {
  if (!is_absorbed(x)) return(fit_columns(x))
  failure <- NULL
  fit <- tryCatch(fit_columns(x), fastlmer_engine_error = function(e) if (is_final(e)) stop(e) else failure <<- e)
  if (is.null(failure) && fit$largest <= large_effects) return(fit)
  columns <- tryCatch(as.matrix(x), error = function(e) NULL)
  if (!is.null(columns)) return(c(fit_columns(columns), list(x = columns)))
  if (is.null(failure)) fit else stop(failure)
}

# X beta.
columns_times <- function(x, beta) {
  if (!is_absorbed(x)) return(drop(x %*% beta))
  own <- x$first - 1L + seq_len(nlevels(x$factor) - x$intercept)
  constants <- if (x$intercept) beta[1L] + c(0, beta[own]) else beta[own]
  drop(x$dense %*% beta[-c(if (x$intercept) 1L, own)]) + constants[as.integer(x$factor)]
}

# RX and the unscaled covariance of the fixed effects, at the theta of a fit whose mark this is.
fixed_factor_of_mark <- function(mark) {
  weights <- mark$resp$weights
  terms <- list(flist = mark$flist, z = mark$z)
  if (!is.null(mark$diagonal)) {
    # of the columns' names only their number counts
    terms$cnms <- lapply(mark$z, function(z) character(if (is.null(z)) 1L else ncol(z)))
    terms <- split_diagonal(terms, mark$diagonal)
  }
  fixed_factor(list(
    x = mark$absorbed, codes = terms$flist, nlev = level_numbers(terms$flist), asgn = attr(terms$flist, "assign"), z = terms$z,
    weights = if (any(weights != 1)) weights + 0, theta = mark$pp$theta + 0, cache = mark$cache
  ))
}

fixed_factor <- function(record) {
  engine_fixed_factor(
    engine_pointer(record), record$x, record$codes, record$z, record$weights, record$theta,
    threads_for(nrow(record$x), record$threads)
  )
}
