# The columns of the fixed effects where one factor has very many levels: an object of class `absorbed_columns` stands for the model
# matrix, and the engine takes the factor's constants out like random effects without a variance, so that its dummy columns are
# never formed. A list of
#   dense       the other columns but for the intercept, a matrix
#   factor      the factor
#   first       the place of its first column among all columns
#   intercept   is there one?
#   names, assign, contrasts   of all columns, as model.matrix() has them

# Dummy columns are cheaper for factors of fewer levels.
many_levels <- 100L

# For a formula in which a factor of many levels is a term of its own and in no other, with treatment contrasts; else NULL.
absorbed_columns <- function(fixed, frame, contrasts) {
  wide <- vapply(unclass(frame), function(column) is.factor(column) && nlevels(column) >= many_levels, NA)
  if (!any(wide) || !is.null(contrasts) || !identical(getOption("contrasts")[["unordered"]], "contr.treatment")) return(NULL)
  terms <- stats::delete.response(stats::terms(fixed))
  table <- attr(terms, "factors")
  intercept <- attr(terms, "intercept") == 1L
  own <- which(vapply(seq_along(attr(terms, "term.labels")), is_absorbable, NA, table, frame))
  # Without an intercept only the first term has a column for every level.
  if (!intercept) own <- intersect(own, 1L)
  if (!length(own)) return(NULL)
  levels <- vapply(frame[colnames(table)[own]], nlevels, 1L)
  own <- own[which.max(levels)]
  columns_beside(terms, own, intercept, frame)
}

# Is a term an unordered factor alone, all of whose levels occur, that no other term has?
is_absorbable <- function(term, table, frame) {
  name <- colnames(table)[term]
  if (!name %in% rownames(table) || !name %in% names(frame) || sum(table[name, ] > 0L) != 1L || sum(table[, term] > 0L) != 1L) return(FALSE)
  factor <- frame[[name]]
  is.factor(factor) && nlevels(factor) >= many_levels && is_plain_factor(factor)
}

columns_beside <- function(terms, own, intercept, frame) {
  name <- attr(terms, "term.labels")[own]
  factor <- frame[[name]]
  others <- if (length(attr(terms, "term.labels")) > 1L) stats::drop.terms(terms, own) else stats::terms(~1)
  attr(others, "intercept") <- 1L
  dense <- stats::model.matrix(others, frame)
  assign <- attr(dense, "assign")
  assign <- assign + (assign >= own)
  names <- colnames(dense)
  before <- assign < own & (intercept | assign > 0L)
  after <- assign > own
  own_names <- paste0(name, if (intercept) levels(factor)[-1L] else levels(factor))
  coding <- c(stats::setNames(list("contr.treatment"), name), attr(dense, "contrasts"))
  structure(list(
    dense = dense[, assign > 0L, drop = FALSE], factor = factor, first = sum(before) + 1L, intercept = intercept,
    names = c(names[before], own_names, names[after]),
    assign = c(assign[before], rep.int(own, length(own_names)), assign[after]),
    contrasts = coding[intersect(rownames(attr(terms, "factors")), names(coding))]
  ), class = "absorbed_columns")
}

is_absorbed <- function(x) inherits(x, "absorbed_columns")

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
  if (length(memory) && size > 1024 * as.numeric(gsub("[^0-9]", "", memory))) {
    stop(sprintf("this needs the model matrix of the fixed effects (%d x %d), which would take %.1f GB", n, length(x$names), size / 1e9),
      call. = FALSE)
  }
  levels <- nlevels(x$factor)
  own <- x$first - 1L + seq_len(levels - x$intercept)
  out <- matrix(0, n, length(x$names), dimnames = list(rownames(x$dense), x$names))
  if (x$intercept) out[, 1L] <- 1
  out[, setdiff(seq_along(x$names), c(if (x$intercept) 1L, own))] <- x$dense
  place <- if (x$intercept) c(NA, own) else own
  cells <- cbind(seq_len(n), place[as.integer(x$factor)])
  out[cells[!is.na(cells[, 2L]), , drop = FALSE]] <- 1
  attr(out, "assign") <- x$assign
  attr(out, "contrasts") <- x$contrasts
  attr(out, "msgScaleX") <- character()
  out
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
  fixed_factor(list(
    x = mark$absorbed, codes = mark$flist, nlev = level_numbers(mark$flist), asgn = attr(mark$flist, "assign"), z = mark$z,
    weights = if (any(weights != 1)) weights + 0, theta = mark$pp$theta + 0, cache = mark$cache
  ))
}

fixed_factor <- function(record) {
  engine_fixed_factor(
    engine_pointer(record), record$x, record$codes, record$z, record$weights, record$theta, threads_for(nrow(record$x))
  )
}
