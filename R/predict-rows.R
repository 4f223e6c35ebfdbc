# What predict() makes of new data: the columns of X and of the random-effects terms, and which level of its grouping factor each row is in.
# Variables are evaluated as model.frame() would with the fit's `predvars`, which hold the knots and coefficients of poly(), ns() and their
# like, and with the levels that factors had in the fit.
#
# What isn't certain to be what lme4 makes of it, errors included, is not our way (see not_ours()): lme4 then predicts, or says what is
# wrong.

# What is found out once per model and kept with it: a list of
#   terms      the frame's terms, by which a changed frame is told
#   split      the formula in its parts
#   fixed      terms of the fixed effects, without the response
#   predvars   the expression of each variable, by its name in the frame
#   offsets    names of the variables that are offset()s
prediction_recipe <- function(object) {
  cache <- engine_mark(object)$cache
  terms <- attr(object@frame, "terms")
  recipe <- cache$recipe
  if (!is.null(recipe) && identical(recipe$terms, terms)) return(recipe)
  split <- split_formula(attr(object@frame, "formula"))
  if (is.null(split)) not_ours()
  predvars <- as.list(attr(terms, "predvars"))[-1L]
  names(predvars) <- variable_names(terms)
  fixed <- stats::delete.response(stats::terms(split$fixed))
  recipe <- list(terms = terms, split = split, fixed = fixed, predvars = predvars, offsets = variable_names(fixed)[attr(fixed, "offset")])
  if (!is.null(cache)) cache$recipe <- recipe
  recipe
}

# New data as a source of variables, each of which is evaluated once. `newdata` is NULL for the fit's own rows.
new_variables <- function(object, newdata, threads = NULL) {
  source <- list2env(list(
    recipe = prediction_recipe(object), frame = object@frame, newdata = newdata, known = list(),
    n = .row_names_info(newdata %||% object@frame, 2L), environment = environment(attr(object@frame, "formula")), threads = threads
  ), parent = emptyenv())
  if (source$n == 0L) not_ours()
  source
}

new_variable <- function(source, name) {
  known <- source$known[[name]]
  if (!is.null(known)) return(known)
  if (is.null(source$newdata)) return(source$frame[[name]])
  expression <- source$recipe$predvars[[name]]
  if (is.null(expression)) not_ours()
  value <- if (is.name(expression)) .subset2(source$newdata, as.character(expression))
  # A variable that isn't in the data is looked for where the formula was written, with lme4's errors.
  if (is.null(value)) value <- eval(expression, source$newdata, source$environment)
  value <- as_in_fit(value, source$frame[[name]], source$n)
  source$known[[name]] <- value
  value
}

# A variable of new data with the levels that it has in the fit; a level that it hasn't is NA there, with the text in attribute `texts`.
as_in_fit <- function(value, old, n) {
  if (NROW(value) != n || is.null(old)) not_ours()
  if (is.factor(old)) {
    if (!is.factor(value) && !is.character(value)) not_ours()
    codes <- level_codes(value, attr(old, "levels"))
    new <- structure(codes, levels = attr(old, "levels"), class = oldClass(old), contrasts = attr(old, "contrasts"))
    if (anyNA(codes)) attr(new, "texts") <- as.character(value)
    return(new)
  }
  if (!is.null(dim(value)) && !identical(ncol(value), ncol(old))) not_ours()
  if (!identical(stats::.MFclass(value), stats::.MFclass(old))) not_ours()
  value
}

# Which of the levels each value is; NA for none of them.
level_codes <- function(value, levels) {
  if (!is.factor(value)) return(match(value, levels))
  own <- attr(value, "levels")
  # to compare many levels, or to make a hash table of them, takes long beside a few rows
  if (length(value) == 1L) return(match(own[as.integer(value)], levels))
  if (identical(own, levels)) return(as.integer(value))
  if (length(value) < length(own)) match(own[as.integer(value)], levels) else match(own, levels)[as.integer(value)]
}

# A data frame of variables, of which model.matrix() need not ask where they come from.
variables_frame <- function(source, names) {
  columns <- lapply(stats::setNames(names, names), function(name) {
    value <- new_variable(source, name)
    if (!is.null(attr(value, "texts"))) {
      # a factor's level that the fit hasn't seen: for a fixed effect lme4 says so
      if (anyNA(value) && !all(is.na(attr(value, "texts")[is.na(value)]))) not_ours()
      attr(value, "texts") <- NULL
    }
    value
  })
  structure(columns, class = "data.frame", row.names = c(NA, -source$n), terms = source$recipe$fixed)
}

# X for new data, a matrix or where the fit absorbed a factor such columns.
new_fixed_columns <- function(source, object) {
  fixed <- source$recipe$fixed
  mark <- engine_mark(object)
  own <- mark$absorbed %||% get("X", envir = attr(object@pp, ".xData"))
  if (is.null(source$newdata)) return(own)
  columns <- if (is_absorbed(own)) {
    frame <- variables_frame(source, setdiff(variable_names(fixed), source$recipe$offsets))
    term <- own$assign[own$first]
    variable <- which(attr(fixed, "factors")[, term] > 0L)
    variables <- variable_names(fixed)
    columns_beside(fixed, variable, variables, frame, own$contrasts[setdiff(names(own$contrasts), variables[variable])])
  } else {
    plain_fixed_columns(source, own) %||% matrix_of_terms(source, fixed, attr(own, "contrasts"), attr(own, "col.dropped"))
  }
  if (!identical(colnames(columns), colnames(own))) not_ours()
  columns
}

# The columns of a sum of numeric variables.
plain_fixed_columns <- function(source, own) {
  right <- source$recipe$split$fixed[[3L]]
  names <- if (identical(right, 1)) "(Intercept)" else numeric_columns(right, source$frame)
  if (identical(names, colnames(own))) numeric_matrix(source, names)
}

numeric_matrix <- function(source, names) {
  for (name in names[names != "(Intercept)"]) if (!is_plain_number(new_variable(source, name))) not_ours()
  frame <- if (is.null(source$newdata)) source$frame else source$known
  columns <- unclass(frame)[names]
  columns[names == "(Intercept)"] <- 1
  x <- engine_side_by_side(columns, source$n, threads_for(source$n, source$threads))
  dimnames(x) <- list(NULL, names)
  x
}

matrix_of_terms <- function(source, fixed, contrasts, dropped) {
  frame <- variables_frame(source, setdiff(variable_names(fixed), source$recipe$offsets))
  columns <- stats::model.matrix.default(without_offsets(fixed), frame, contrasts)
  if (is.numeric(dropped) && length(dropped)) columns <- columns[, -dropped, drop = FALSE]
  columns
}

without_offsets <- function(terms) {
  at <- attr(terms, "offset")
  if (is.null(at)) return(terms)
  attr(terms, "variables") <- attr(terms, "variables")[-(at + 1L)]
  if (length(attr(terms, "factors"))) attr(terms, "factors") <- attr(terms, "factors")[-at, , drop = FALSE]
  attr(terms, "offset") <- NULL
  terms
}

# The offset()s of the formula and the argument `offset`.
new_offsets <- function(source, object) {
  frame <- object@frame
  if (is.null(source$newdata)) return(stats::model.offset(frame) %||% 0)
  offset <- 0
  for (name in source$recipe$offsets) {
    expression <- source$recipe$predvars[[name]]
    # lme4 looks elsewhere for what isn't there
    if (!all(all.vars(expression) %in% names(source$newdata))) not_ours()
    value <- eval(expression, source$newdata, source$environment)
    if (length(value) != source$n || !is.numeric(value)) not_ours()
    offset <- offset + value
  }
  if ("(offset)" %in% names(frame)) offset <- offset + new_offset(object, source$newdata)
  offset
}

# Per term of the fit, in lme4's order: NULL where it is left out, else a list of
#   z       its columns, n x k, zero where `re.form` leaves one out
#   level   each row's level; NA for one that the fit hasn't seen, and for a missing value
new_effects <- function(source, object, bars, exact, allow_new) {
  effects <- vector("list", length(object@cnms))
  for (bar in bars) {
    name <- group_name(bar[[3L]])
    columns <- new_effect_columns(source, bar)
    places <- effect_places(object@cnms, name, colnames(columns), if (exact) lengths(effects) > 0L else logical(length(effects)))
    level <- new_levels_of(source, bar[[3L]], object@flist[[name]])
    if (anyNA(level) && !allow_new) not_ours()
    for (j in seq_along(places$term)) {
      term <- places$term[j]
      effects[[term]] <- effects[[term]] %||% list(z = matrix(0, source$n, length(object@cnms[[term]])), level = level)
      effects[[term]]$z[, places$column[j]] <- effects[[term]]$z[, places$column[j]] + columns[, j]
    }
  }
  effects
}

# Which of the fit's columns the columns of a term are: those of a term with the same columns where there is one that isn't `taken`, else
# the first of that name in the factor's terms.
effect_places <- function(cnms, group, names, taken) {
  own <- which(names(cnms) == group)
  same <- own[vapply(cnms[own], identical, NA, names) & !taken[own]]
  if (length(same)) return(list(term = rep.int(same[1L], length(names)), column = seq_along(names)))
  terms <- rep.int(own, lengths(cnms[own]))
  at <- match(names, unlist(cnms[own]))
  if (anyNA(at)) not_ours()
  list(term = terms[at], column = sequence(lengths(cnms[own]))[at])
}

new_effect_columns <- function(source, bar) {
  right <- bar[[2L]]
  if (identical(right, 1)) return(matrix(1, source$n, 1L, dimnames = list(NULL, "(Intercept)")))
  names <- numeric_columns(right, source$frame)
  if (!is.null(names)) return(numeric_matrix(source, names))
  if (any(all.vars(right) %in% all.vars(bar[[3L]]))) not_ours()
  formula <- eval(call("~", right))
  stats::model.matrix.default(formula, variables_frame(source, variable_names(stats::terms(formula))))
}

# The levels of a grouping factor, a variable or an interaction of variables.
new_levels_of <- function(source, expression, group) {
  if (is.null(group)) not_ours()
  levels <- attr(group, "levels")
  if (!is.name(expression)) {
    texts <- new_texts(source, expression)
    return(if (length(texts) > length(levels)) match(unique(texts), levels)[match(texts, unique(texts))] else match(texts, levels))
  }
  value <- grouping_variable(source, as.character(expression))
  if (is.factor(value)) level_codes(value, levels) else match(value, levels)
}

new_texts <- function(source, expression) {
  if (is.name(expression)) {
    value <- grouping_variable(source, as.character(expression))
    return(if (is.factor(value)) attr(value, "levels")[as.integer(value)] else value)
  }
  if (!is.call(expression) || !identical(expression[[1L]], quote(`:`))) not_ours()
  left <- new_texts(source, expression[[2L]])
  right <- new_texts(source, expression[[3L]])
  texts <- paste(left, right, sep = ":")
  texts[is.na(left) | is.na(right)] <- NA
  texts
}

# A factor, or texts as factor() would make its levels of.
grouping_variable <- function(source, name) {
  value <- if (is.null(source$newdata)) source$frame[[name]] else .subset2(source$newdata, name)
  if (is.null(value)) value <- new_variable(source, name)
  if (length(value) != source$n) not_ours()
  old <- source$frame[[name]]
  texts <- (is.factor(value) || is.character(value)) && (is.factor(old) || is.character(old))
  if (texts) return(value)
  if (is.object(value) || is.object(old) || !is.numeric(value) || !is.numeric(old) || is.null(old)) not_ours()
  seen <- unique(value)
  as.character(seen)[match(value, seen)]
}

# The random effects that a formula keeps, as bars.
kept_bars <- function(recipe, re.form) {
  if (is.null(re.form)) return(recipe$split$bars)
  if (keeps_none(re.form)) return(list())
  if (!inherits(re.form, "formula") || length(re.form) != 2L) not_ours()
  right <- re.form[[2L]]
  if ("||" %in% all.names(right)) {
    if (!splits_double_bars()) not_ours()
    right <- without_double_bars(right)
  }
  parts <- take_apart(right)
  if (!length(parts$bars) || any(parts$diagonal)) not_ours()
  parts$bars
}

# The rows with all that is asked of them: a list of
#   n, names   their number and names
#   x, offset  of the fixed part; NULL where it is left out
#   effects    see new_effects()
new_rows <- function(object, newdata, re.form, random.only, allow_new, threads = NULL) {
  source <- new_variables(object, newdata, threads)
  bars <- kept_bars(source$recipe, re.form)
  list(
    n = source$n, names = as.character(attr(newdata %||% object@frame, "row.names")), source = source,
    x = if (!random.only) new_fixed_columns(source, object), offset = if (!random.only) new_offsets(source, object),
    effects = new_effects(source, object, bars, is.null(re.form), allow_new)
  )
}

# x'beta + offset + z'b.
linear_predictor <- function(rows, object) {
  value <- numeric(rows$n)
  if (!is.null(rows$x) && length(object@beta)) value <- columns_times(rows$x, object@beta)
  if (!is.null(rows$offset)) value <- value + rows$offset
  factors <- relative_factors_of(object)
  for (term in which(lengths(rows$effects) > 0L)) {
    value <- value + predicted_effects(rows$effects[[term]], object@u, object@Gp[[term]], factors[[term]])
  }
  value
}

# Lambda of each term of a fit.
relative_factors_of <- function(object) {
  columns <- lengths(object@cnms)
  diagonal <- diagonal_terms(object, engine_mark(object))
  if (is.null(diagonal)) return(relative_factors(object@theta, columns))
  number <- parameters_of(columns, diagonal)
  last <- cumsum(number)
  lapply(seq_along(columns), function(term) {
    theta <- object@theta[last[[term]] - number[[term]] + seq_len(number[[term]])]
    if (diagonal[[term]]) diag(theta, length(theta)) else relative_factors(theta, columns[[term]])[[1L]]
  })
}

# z'b of one term, whose spherical effects begin after `first`; zero for levels that the fit hasn't seen.
predicted_effects <- function(effects, u, first, factor) {
  k <- ncol(factor)
  at <- first + (effects$level - 1L) * k
  u <- u[if (k == 1L) at + 1 else rep.int(at, k) + rep(seq_len(k), each = length(at))]
  if (anyNA(u)) u[is.na(u)] <- 0
  if (k == 1L) return(factor[[1L]] * u * effects$z[, 1L])
  rowSums(tcrossprod(matrix(u, ncol = k), factor) * effects$z)
}
