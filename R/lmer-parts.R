# From the user's call (see evaluated_once()) to the parts of a model, each made once: a list of
#   frame, formula         the model frame with lme4's attributes, the formula with `||` expanded
#   x, flist, cnms, z      the columns of the fixed effects (a matrix or `absorbed_columns`) and the random-effects terms
#                          (see random_terms())
#   threads                how many the caller has named, if any
#   y, weights, offset     the response; weights and offset are NULL where there are none
#   design                 the cross-products, where they were already needed
#
# There are two ways. The fast one makes them itself and gives up (NULL) on anything unusual: an error, a warning, a failed
# check, an expression it doesn't know. lme4's lFormula() then does the work, so that errors, warnings and messages are its own.
# NULL for a model that is lme4's altogether.
model_parts <- function(formula, data, once, control, contrasts) {
  parts <- tryCatch(fast_parts(formula, data, once, control, contrasts), error = identity, warning = identity)
  if (!is.null(parts) && !inherits(parts, "condition")) return(check_fixed(parts, control))
  theirs <- parts_of_lformula(once, control)
  reveal(parts)
  theirs
}

fast_parts <- function(formula, data, once, control, contrasts) {
  formula <- split_formula(formula)
  if (is.null(formula) || !(is.null(data) || is.list(data))) return(NULL)
  frame <- mixed_model_frame(formula, data, once)
  n <- if (is.null(frame)) 0L else .row_names_info(frame, 2L)
  if (n == 0L) return(NULL)
  response <- response_of(frame, n)
  checks_scale <- !identical(control$checkControl$check.scaleX, "ignore")
  x <- plain_matrix(formula$fixed, frame, contrasts, if (checks_scale) character(), once$threads)
  terms <- random_terms(formula$bars, frame, x, formula$diagonal, once$threads)
  if (is.null(response) || is.null(terms) || !passes_checks(terms, n, control$checkControl)) return(NULL)
  x <- x %||% absorbed_columns(formula$fixed, frame, contrasts) %||% stats::model.matrix(formula$fixed, frame, contrasts)
  if (!is.finite(sum(if (is_absorbed(x)) x$dense else x))) return(NULL)
  for (z in terms$z) if (!is.null(z) && !is.finite(sum(z))) return(NULL)
  c(list(frame = frame, formula = formula$formula, x = x, threads = once$threads), terms, response)
}

# model.matrix() of a sum of numeric variables, which needs no more than putting them side by side; NULL for anything else. The
# message about scales that lme4 attaches is put there at once: to change an attribute later is to copy the matrix.
plain_matrix <- function(fixed, frame, contrasts, message = NULL, threads = NULL) {
  if (!is.null(contrasts)) return(NULL)
  names <- if (identical(fixed[[3L]], 1)) "(Intercept)" else numeric_columns(fixed[[3L]], frame)
  if (is.null(names) || any(all.vars(fixed[[2L]]) %in% names)) return(NULL)
  x <- side_by_side(names, frame, threads)
  attributes(x) <- list(
    dim = dim(x), dimnames = list(as.character(attr(frame, "row.names")), names),
    assign = if (names[1L] == "(Intercept)") seq_along(names) - 1L else seq_along(names),
    msgScaleX = message
  )
  x
}

# What lme4's lFormula() makes of the same call.
parts_of_lformula <- function(once, control) {
  refuse_inner_bars(once$formula)
  call <- once$call
  silent <- scale_severity(control$checkControl) == "none"
  if (silent) control$checkControl$check.scaleX <- "ignore"
  call$control <- control
  call[[1L]] <- quote(lme4::lFormula)
  lmod <- eval(call, once$caller)
  if (silent) attr(lmod$X, "msgScaleX") <- character()
  frame <- engine_copy(lmod$fr, 1L)
  attr(frame, "offset") <- once$offset
  terms <- lmod$reTrms
  if (is.null(stats::model.response(frame)) || !is.null(attr(lmod$X, "scaled:scale"))) return(NULL)
  diagonal <- independent_terms(lmod$formula, terms)
  if (is.null(diagonal) || any(vapply(terms$flist, anyNA, NA))) return(NULL)
  refuse_int64(frame, lmod$formula)
  z <- term_columns(terms$Zt, terms$flist, lengths(terms$cnms), terms$Gp)
  if (!all(is.finite(lmod$X))) fail("data", "NA/NaN/Inf in 'X' (fixed-effects model matrix)")
  if (!all(is.finite(unlist(z)))) fail("data", "NA/NaN/Inf in 'Z' (random-effects model matrix)")
  c(
    list(frame = frame, formula = lmod$formula, x = lmod$X, threads = once$threads),
    split_diagonal(list(flist = engine_copy(terms$flist, 1L), cnms = terms$cnms, z = z), diagonal),
    response_of(frame, nrow(frame)) %||% checked_response(frame)
  )
}

# Which terms of lme4's have independent columns; NULL where one has a covariance that is neither that nor unstructured.
independent_terms <- function(formula, terms) {
  columns <- lengths(terms$cnms)
  if (!bars_are_plain(formula[[length(formula)]])) return(NULL)
  diagonal <- if (is.null(terms$reCovs)) NULL else diagonal_terms(structure(list(), reCovs = terms$reCovs), NULL)
  if (anyNA(diagonal)) return(NULL)
  diagonal <- diagonal %||% logical(length(columns))
  if (length(terms$theta) == sum(parameters_of(columns, diagonal))) diagonal
}

# Per term its columns, read back from lme4's Zt; NULL for a column of ones.
term_columns <- function(Zt, flist, columns, Gp) {
  row <- Zt@i
  observation <- rep.int(seq_len(ncol(Zt)), diff(Zt@p))
  lapply(seq_along(columns), function(term) {
    mine <- row >= Gp[term] & row < Gp[term + 1L]
    z <- matrix(0, ncol(Zt), columns[term])
    z[cbind(observation[mine], (row[mine] - Gp[term]) %% columns[term] + 1L)] <- Zt@x[mine]
    if (ncol(z) == 1L && all(z == 1)) NULL else z
  })
}

# The response where it, its weights and its offset are simply finite numbers; else NULL.
response_of <- function(frame, n) {
  terms <- attr(frame, "terms")
  y <- if (attr(terms, "response")) .subset2(frame, 1L)
  weights <- .subset2(frame, "(weights)")
  offset <- if (!is.null(attr(terms, "offset")) || "(offset)" %in% names(frame)) stats::model.offset(frame)
  if (!is_vector(y, n) || !(is.null(weights) || is_vector(weights, n)) || !(is.null(offset) || is_vector(offset, n))) return(NULL)
  if (!is.null(weights) && any(weights <= 0)) return(NULL)
  list(y = as.numeric(y), weights = if (!is.null(weights)) as.numeric(weights), offset = if (!is.null(offset)) as.numeric(offset))
}

is_vector <- function(x, n) is.numeric(x) && length(x) == n && is.finite(sum(x))
