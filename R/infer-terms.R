# Tests of the terms of the fixed effects where package lmerTest isn't installed: which linear functions of the coefficients a term stands
# for, by SAS's three types (SAS Institute 1978, Tests of hypotheses in fixed-effects linear models, technical report R-101), in the rows
# that lmerTest gives them, for the degrees of freedom of several rows depend on them.

# A list of matrices with a column per fixed effect, named by the terms; `type` is "1", "2" or "3". Where no term contains another, and
# factors have treatment contrasts, a term's functions by types II and III are its coefficients, and X needn't be there. (Of a single term
# lmerTest takes those of type I: the same test.)
term_contrasts <- function(fit, type) {
  facts <- column_facts(fit)
  terms <- stats::terms(fit)
  places <- columns_of_terms(facts, terms)
  identity <- named_identity(facts$names)
  contained <- containing_terms(fit, terms)
  has_rows <- is.null(engine_mark(fit)$absorbed) && !is_streamed(fit)
  plain <- type == "2" || all(unlist(facts$contrasts) %in% "contr.treatment")
  if (type != "1" && plain && !any(lengths(contained)) && (length(places) > 1L || !has_rows)) return(lapply(places, taken_rows, identity))
  refuse_without_rows(fit, "anova(type = ) of this model")
  x <- stats::model.matrix(fit)
  if (type == "1" || length(places) < 2L) return(lapply(places, taken_rows, sequential_contrasts(x)))
  if (type == "3") return(type_3_contrasts(fit, x, terms, contained))
  lapply(stats::setNames(nm = names(places)), function(term) {
    if (!length(contained[[term]])) return(taken_rows(places[[term]], identity))
    later <- unlist(places[c(term, contained[[term]])], use.names = FALSE)
    order <- c(setdiff(seq_len(ncol(x)), later), later)
    sequential_contrasts(x[, order, drop = FALSE])[match(places[[term]], order), colnames(x), drop = FALSE]
  })
}

# Names, terms and codings of the columns of X, also where X isn't formed.
column_facts <- function(fit) {
  absorbed <- engine_mark(fit)$absorbed
  if (!is.null(absorbed)) return(unclass(absorbed)[c("names", "assign", "contrasts")])
  x <- get("X", envir = attr(fit@pp, ".xData"))
  list(names = colnames(x), assign = attr(x, "assign"), contrasts = attr(x, "contrasts"))
}

columns_of_terms <- function(facts, terms) {
  labels <- attr(terms, "term.labels")
  lapply(stats::setNames(seq_along(labels), labels), function(term) which(facts$assign == term))
}

taken_rows <- function(rows, matrix) matrix[rows, , drop = FALSE]

named_identity <- function(names) structure(diag(1, length(names)), dimnames = list(names, names))

# Each column after those before it: rows of R'R = X'X, with ones on the diagonal.
sequential_contrasts <- function(x) {
  if (!ncol(x)) return(named_identity(character()))
  root <- qr.R(qr(x, LAPACK = FALSE, tol = 0))
  structure(root / diag(root), dimnames = list(colnames(x), colnames(x)))
}

# Per term those that contain it: with more factors, and the same numeric variables.
containing_terms <- function(fit, terms) {
  labels <- attr(terms, "term.labels")
  classes <- attr(stats::terms(fit, fixed.only = FALSE), "dataClasses")
  table <- attr(terms, "factors")
  variables <- lapply(stats::setNames(nm = labels), function(term) rownames(table)[table[, term] == 1L])
  numeric <- lapply(variables, function(names) names[classes[names] %in% "numeric"])
  contains <- function(term, other) {
    all(variables[[term]] %in% variables[[other]]) && length(variables[[other]]) > length(variables[[term]]) &&
      setequal(numeric[[term]], numeric[[other]])
  }
  lapply(stats::setNames(nm = labels), function(term) Filter(function(other) contains(term, other), labels))
}

# Type III: a column of the model that has one for every level and combination of levels is a combination of those of X with treatment
# contrasts; the coefficients of a term's columns, less what those of the terms that contain it explain, are its functions.
type_3_contrasts <- function(fit, x, terms, contained) {
  plain <- treatment_columns(fit, x, terms)
  general <- every_column(stats::model.frame(fit), terms)
  functions <- zapsmall(t(combinations_of(plain, general)))
  dimnames(functions) <- list(colnames(general), colnames(plain))
  places <- columns_of_terms(attributes(plain), terms)
  for (term in names(places)[order(attr(terms, "order"), decreasing = TRUE)]) {
    others <- unlist(places[contained[[term]]], use.names = FALSE)
    own <- places[[term]]
    if (!length(others)) next
    left <- stats::lm.fit(functions[, others, drop = FALSE], functions[, own, drop = FALSE])$residuals
    functions[, own] <- zapsmall(left)
  }
  functions <- functions[colnames(plain), , drop = FALSE]
  to_x <- if (identical(plain, x)) NULL else zapsmall(combinations_of(plain, x))
  lapply(places, function(own) {
    rows <- t(functions[, own, drop = FALSE])
    rows <- rows[rowSums(abs(rows)) > 1e-8, , drop = FALSE]
    if (is.null(to_x)) rows else structure(rows %*% to_x, dimnames = list(rownames(rows), colnames(x)))
  })
}

# The columns of `x` (of full rank) that those of `y` are made of.
combinations_of <- function(x, y) {
  decomposed <- qr(x)
  coefficients <- qr.coef(decomposed, y)
  dim(coefficients) <- c(ncol(x), ncol(y))
  coefficients
}

# X with treatment contrasts for every factor, of full rank.
treatment_columns <- function(fit, x, terms) {
  codings <- unlist(attr(x, "contrasts"))
  if (length(codings) && all(codings %in% "contr.treatment")) return(x)
  frame <- stats::model.frame(fit)
  factors <- stats::.getXlevels(terms, frame)
  factors[] <- "contr.treatment"
  plain <- stats::model.matrix(terms, frame, contrasts.arg = factors)
  decomposed <- qr(plain, tol = 1e-7)
  kept <- sort(decomposed$pivot[seq_len(decomposed$rank)])
  structure(plain[, kept, drop = FALSE], assign = attr(plain, "assign")[kept])
}

# An intercept, and per term a column for every level or combination of levels.
every_column <- function(frame, terms) {
  columns <- lapply(seq_along(attr(terms, "term.labels")), function(i) {
    term <- terms[i]
    attr(term, "intercept") <- 0L
    stats::model.matrix(stats::delete.response(term), frame)
  })
  all <- do.call(cbind, c(if (attr(terms, "intercept")) list(cbind(`(Intercept)` = rep.int(1, nrow(frame)))), columns))
  empty <- colnames(all)[colSums(all != 0) == 0]
  if (length(empty)) message("Missing cells for: ", paste(empty, collapse = ", "), ".  \nInterpret type III hypotheses with care.")
  all
}

# A table of the terms' F tests as lmerTest has it; `tests` are own_tests(). The sums of squares belong to F as it was before it was scaled.
term_tests <- function(fit, tests, contrasts) {
  rows <- lapply(contrasts, function(contrast) {
    if (!nrow(contrast)) return(rep(NA_real_, 6L))
    test <- tests$hypothesis(contrast)
    square <- test$f * stats::sigma(fit)^2
    f <- test$f * test$scale
    c(square * test$rank, square, test$rank, test$df, f, stats::pf(f, test$rank, test$df, lower.tail = FALSE))
  })
  table <- as.data.frame(matrix(unlist(rows), ncol = 6L, byrow = TRUE))
  dimnames(table) <- list(names(contrasts), c("Sum Sq", "Mean Sq", "NumDF", "DenDF", "F value", "Pr(>F)"))
  structure(table, hypotheses = contrasts, class = c("anova", "data.frame"))
}

# Combinations of the rows that are uncorrelated, without those that have no variance.
independent_rows <- function(contrast, covariance) {
  if (nrow(contrast) < 2L) return(contrast)
  axes <- eigen(contrast %*% covariance %*% t(contrast), symmetric = TRUE)
  kept <- axes$values > max(sqrt(.Machine$double.eps) * axes$values[1L], 0)
  if (all(kept)) contrast else crossprod(axes$vectors[, kept, drop = FALSE], contrast)
}
