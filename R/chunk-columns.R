# A chunk as the engine takes it: columns of the fixed effects that need no knowledge of other chunks ("raw"), and the columns and
# levels of the random effects.
#
# A term of the fixed effects has one raw column for each cell of its factors that occurs: the product of its numeric variables there,
# zero elsewhere. A cell that turns up late was zero so far, so that columns may come at any time. Every column of a model matrix
# is a linear combination of them, with coefficients that model.matrix() itself gives for one row per cell.

# The cross-products' request: what doesn't depend on the data.
stream_request <- function(formula, extras, na.action, contrasts, levels) {
  if (!inherits(formula, "formula")) formula <- stats::as.formula(formula)
  parts <- split_formula(formula)
  if (is.null(parts)) {
    fail("unsupported", "for data in chunks the formula needs a response, random-effects terms such as (1 | g), and no '.'")
  }
  check_formula(parts, extras)
  check_levels(levels)
  variables <- unique(c(all.vars(parts$combined), unlist(lapply(extras, all.vars))))
  list(parts = parts, extras = extras, na.action = na_action_name(na.action), contrasts = contrasts, levels = levels, variables = variables)
}

check_levels <- function(levels) {
  if (is.null(levels)) return(invisible())
  named <- is.list(levels) && !is.null(names(levels)) && all(nzchar(names(levels)))
  if (!named || !all(vapply(levels, is.atomic, NA))) {
    fail("argument", "'levels' must be a named list with a vector of levels for each variable")
  }
}

na_action_name <- function(na.action) {
  if (is.null(na.action)) na.action <- getOption("na.action")
  if (is.function(na.action)) {
    for (name in c("na.omit", "na.exclude", "na.fail")) {
      if (identical(na.action, get(name, envir = asNamespace("stats")))) return(name)
    }
  }
  if (is.character(na.action) && length(na.action) == 1L && na.action %in% c("na.omit", "na.exclude", "na.fail")) return(na.action)
  fail("unsupported", "for data in chunks 'na.action' must be na.omit, na.exclude or na.fail")
}

# What a chunk tells, and its columns: a list of `recipe` and the engine's `arguments`; NULL when no row is left.
read_chunk <- function(chunk, request) {
  frame <- chunk_frame(chunk, request)
  omitted <- attr(frame, "omitted")
  if (!nrow(frame)) return(list(omitted = omitted))
  terms <- attr(frame, "terms")
  expressions <- as.list(attr(terms, "variables"))[-1L]
  names(expressions) <- variable_names(terms)
  fixed <- stats::terms(request$parts$fixed)
  columns <- unique(c(variable_names(fixed), effect_variables(request$parts)))
  columns <- setdiff(columns, c(names(frame)[attr(terms, "response")], names(expressions)[attr(terms, "offset")]))
  kinds <- lapply(stats::setNames(columns, columns), function(name) {
    variable_kind(frame[[name]], name, expressions[[name]], chunk)
  })
  groups <- unique(unlist(lapply(request$parts$bars, function(bar) interaction_parts(bar[[3L]]))))
  values <- lapply(stats::setNames(groups, groups), function(name) group_values(frame[[name]], name))
  recipe <- list(
    kinds = kinds, inside = inner_factors(expressions, chunk), types = lapply(values, `[`, c("type", "levels")),
    frame = empty_frame(frame), n = as.numeric(nrow(frame))
  )
  effects <- chunk_effects(request$parts, frame, kinds)
  recipe[c("cnms", "groups", "block")] <- effects[c("cnms", "groups", "block")]
  list(recipe = recipe, omitted = omitted, shape = effects$shape, arguments = c(
    raw_columns(frame, fixed, kinds), chunk_response(frame), grouping(effects$groups, request$parts$bars, values), list(z = effects$z)
  ))
}

# The variables of a formula's terms by the names that they have in a model frame.
variable_names <- function(terms) vapply(as.list(attr(terms, "variables"))[-1L], deparse1, "")

# Which of them each term has, by these names.
term_factors <- function(terms) {
  factors <- attr(terms, "factors")
  if (!is.matrix(factors)) factors <- matrix(0L, length(variable_names(terms)), 0L)
  rownames(factors) <- variable_names(terms)
  factors
}

# The variables of the random effects' columns.
effect_variables <- function(parts) unique(unlist(lapply(parts$bars, side_variables)))

side_variables <- function(bar) variable_names(stats::terms(eval(call("~", bar[[2L]]))))

# Factors that an expression looks into must have the same levels in all chunks: as.integer(f) depends on them.
inner_factors <- function(expressions, chunk) {
  names <- unique(unlist(lapply(expressions[vapply(expressions, is.call, NA)], all.vars)))
  factors <- names[vapply(names, function(name) is.factor(chunk[[name]]), NA)]
  lapply(stats::setNames(factors, factors), function(name) levels(chunk[[name]]))
}

empty_frame <- function(frame) {
  columns <- lapply(frame, function(column) if (is.null(dim(column))) column[0L] else column[0L, , drop = FALSE])
  structure(columns, class = "data.frame", row.names = integer(), names = names(frame), terms = attr(frame, "terms"))
}

chunk_response <- function(frame) {
  # model.response() would name every value
  y <- plain(frame[[attr(attr(frame, "terms"), "response")]])
  if (!is.numeric(y) || !is.null(dim(y)) || is.object(y)) fail("data", "response must be numeric")
  weights <- frame[["(weights)"]]
  offset <- stats::model.offset(frame)
  if (!is.null(weights) && !is.numeric(weights)) fail("argument", "'weights' must be a numeric vector")
  if (!is.null(weights) && any(weights < 0)) fail("data", "negative weights not allowed")
  if (!is.null(weights) && any(weights == 0)) {
    fail("data", "zero weights make the likelihood zero: leave these observations out by 'subset'")
  }
  list(y = as.numeric(if (is.null(offset)) y else y - offset), weights = if (!is.null(weights)) as.numeric(weights))
}

# Raw columns ---------------------------------------------------------------------------------------------------------------

raw_columns <- function(frame, fixed, kinds) {
  factors <- term_factors(fixed)
  columns <- lapply(attr(fixed, "term.labels"), function(label) {
    term_columns_of_chunk(label, rownames(factors)[factors[, label] > 0L], frame, kinds)
  })
  columns <- unlist(columns, recursive = FALSE)
  list(columns = names(columns) %||% character(), v = as.numeric(unlist(columns, use.names = FALSE)))
}

# One column per cell and column of a matrix, named by the term's label, the cell's levels and the matrix column's number.
term_columns_of_chunk <- function(label, variables, frame, kinds) {
  kind <- vapply(kinds[variables], `[[`, "", "kind")
  numbers <- kind == "number"
  values <- Reduce(`*`, lapply(frame[variables[numbers]], as.numeric), rep.int(1, nrow(frame)))
  if (all(numbers)) return(stats::setNames(list(values), label))
  pieces <- lapply(frame[variables[!numbers & kind != "matrix"]], cell_values)
  matrices <- variables[kind == "matrix"]
  places <- expand.grid(lapply(kinds[matrices], function(kind) seq_len(kind$k)))
  columns <- lapply(seq_len(max(1L, nrow(places))), function(i) {
    for (name in matrices) {
      values <- values * as.numeric(frame[[name]][, places[[name]][i]])
      pieces[[name]] <- list(codes = rep.int(1L, length(values)), names = as.character(places[[name]][i]))
    }
    cells <- group_codes(variables[!numbers], pieces)
    columns <- lapply(seq_along(cells$names), function(cell) values * (cells$codes == cell))
    stats::setNames(columns, paste(label, cells$names, sep = separator))
  })
  unlist(columns, recursive = FALSE)
}

cell_values <- function(value) {
  if (is.factor(value)) return(list(codes = as.integer(value), names = levels(value)))
  values <- unique(value)
  list(codes = match(value, values), names = as.character(values))
}

# The matrix C with X = V C, a row per raw column, X as one row of missing values with its names and attributes, and which of its
# columns have zeros and ones only.
design_columns <- function(raw, fixed, kinds, contrasts) {
  labels <- attr(fixed, "term.labels")
  pieces <- strsplit(raw[-1L], separator, fixed = TRUE)
  own <- c("(Intercept)", vapply(pieces, `[`, "", 1L))
  wanted <- own %in% c("(Intercept)", labels)
  fixed <- stats::delete.response(fixed)
  cells <- cell_frame(c(list(character()), pieces)[wanted], own[wanted], fixed, kinds)
  x <- stats::model.matrix(fixed, cells, contrasts.arg = contrasts[intersect(names(contrasts), names(cells))])
  assign <- attr(x, "assign")
  from <- match(own[wanted], labels, nomatch = 0L)
  c <- matrix(0, length(raw), ncol(x))
  c[wanted, ] <- x * outer(from, assign, `==`)
  unknown <- matrix(NA_real_, 1L, ncol(x), dimnames = list(NULL, colnames(x)))
  attr(unknown, "assign") <- assign
  attr(unknown, "contrasts") <- attr(x, "contrasts")
  numeric <- vapply(labels, function(label) any(is_number(fixed, label, kinds)), NA)
  indicator <- c(TRUE, !numeric)[assign + 1L] & colSums(c != 0 & c != 1) == 0
  list(c = c, x = unknown, indicator = indicator)
}

is_number <- function(fixed, label, kinds) {
  factors <- term_factors(fixed)
  vapply(kinds[rownames(factors)[factors[, label] > 0L]], function(kind) kind$kind %in% c("number", "matrix"), NA)
}

# One row per raw column: its term's factors at its cell's levels, all numbers one.
cell_frame <- function(pieces, own, fixed, kinds) {
  factors <- term_factors(fixed)
  variables <- rownames(factors)
  cells <- lapply(stats::setNames(variables, variables), function(name) {
    kind <- kinds[[name]]
    # an offset has no kind
    if (is.null(kind) || kind$kind == "number") return(rep.int(1, length(own)))
    levels <- if (kind$kind == "matrix") as.character(seq_len(kind$k)) else used_levels_of(kind, name)
    values <- rep.int(levels[1L], length(own))
    for (label in colnames(factors)[factors[name, ] > 0L]) {
      parts <- rownames(factors)[factors[, label] > 0L]
      parts <- parts[vapply(kinds[parts], function(kind) kind$kind != "number", NA)]
      rows <- which(own == label)
      values[rows] <- vapply(pieces[rows], function(piece) c(piece, "")[match(name, parts) + 1L], "")
    }
    if (kind$kind == "matrix") return(structure(diag(kind$k)[as.integer(values), , drop = FALSE], dimnames = list(NULL, kind$columns)))
    if (kind$logical) return(values == "TRUE")
    value <- factor(values, levels = levels, ordered = kind$ordered)
    # contrasts that a factor carries are lost where one of its levels is left out
    if (identical(levels, kind$levels)) attr(value, "contrasts") <- kind$contrasts
    value
  })
  structure(cells, class = "data.frame", row.names = seq_along(own), terms = fixed)
}

# Random effects ------------------------------------------------------------------------------------------------------------

# Per term the names of its columns and the columns, n x k; `block` says from which bar a term comes (see split_diagonal()), and `shape` is
# what the engine needs to know of them.
chunk_effects <- function(parts, frame, kinds) {
  groups <- vapply(parts$bars, function(bar) group_name(bar[[3L]]), "")
  columns <- lapply(parts$bars, function(bar) {
    refuse_open(bar, kinds)
    # There is no other variable that the columns could be confused with, whatever the grouping factor's is.
    columns <- effect_columns(list(bar[[1L]], bar[[2L]], quote(.)), frame)
    if (is.null(columns)) fail("data", sprintf("the random-effects term (%s) has no columns", deparse1(bar)))
    columns
  })
  cnms <- lapply(columns, `[[`, "names")
  names(cnms) <- groups
  terms <- split_diagonal(list(flist = list(), cnms = cnms, z = lapply(columns, `[[`, "z")), parts$diagonal)
  list(
    z = lapply(terms$z, function(z) if (!is.null(z)) as.numeric(z)), cnms = terms$cnms, groups = unique(groups),
    block = terms$structure$block %||% seq_along(columns),
    shape = list(
      factor = match(names(terms$cnms), unique(groups)), k = lengths(terms$cnms, use.names = FALSE),
      constant = vapply(terms$cnms, match, 0L, x = "(Intercept)", nomatch = 0L, USE.NAMES = FALSE)
    )
  )
}

refuse_open <- function(bar, kinds) {
  names <- side_variables(bar)
  for (name in names[vapply(kinds[names], function(kind) kind$kind == "open", NA)]) {
    fail("data", sprintf(
      paste0(
        "the levels of '%s' must be known before the first chunk, for there is a random effect of it: make it a factor with the same ",
        "levels in all chunks, or name them in cross_products(levels = list(%s = ...))"
      ),
      name, name
    ))
  }
}

grouping <- function(groups, bars, values) {
  codes <- lapply(groups, function(group) {
    bar <- bars[[match(group, vapply(bars, function(bar) group_name(bar[[3L]]), ""))]]
    group_codes(interaction_parts(bar[[3L]]), values)
  })
  list(codes = lapply(codes, `[[`, "codes"), levels = lapply(codes, `[[`, "names"))
}
