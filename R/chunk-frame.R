# The model frame of a chunk. It must be what the rows' part of the whole data's model frame would be, so that every expression has to
# look at one row at a time, and what isn't known before the last chunk (the levels of text) is put together from all of them.

# Functions whose value in a row depends on that row alone.
rowwise_functions <- c(
  "I", "offset", "(", "+", "-", "*", "/", "^", "%%", "%/%", "==", "!=", "<", ">", "<=", ">=", "!", "&", "|", "xor", "%in%", "~",
  "is.element", "log", "log2", "log10", "log1p", "exp", "expm1", "sqrt", "abs", "sign", "floor", "ceiling", "round", "trunc", "signif",
  "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "pmin", "pmax", "ifelse", "is.na", "is.finite", "plogis",
  "qlogis", "pnorm", "qnorm", "dnorm", "gamma", "lgamma", "beta", "choose", "factorial", "c", ":", "as.numeric", "as.double", "as.integer",
  "as.logical", "as.character", "nchar", "substr", "substring", "tolower", "toupper", "paste", "paste0", "startsWith", "endsWith", "grepl",
  "cbind", "sub", "gsub", "as.Date", "format", "weekdays", "months", "factor", "as.factor", "ordered", "relevel", "cut", "findInterval"
)

# Functions that make a factor; without `levels` its levels are those of the rows they see.
factor_functions <- c("factor", "as.factor", "ordered")

check_rowwise <- function(expression, top = TRUE) {
  if (!is.call(expression)) return(invisible())
  head <- expression[[1L]]
  if (is.call(head) && length(head) == 3L && as.character(head[[1L]]) %in% c("::", ":::")) head <- head[[3L]]
  name <- if (is.name(head)) as.character(head) else deparse1(head)
  if (!name %in% rowwise_functions && !is_raw_polynomial(name, expression)) {
    fail("data", sprintf(
      paste0(
        "'%s' can't be computed chunk by chunk: %s() may look at other rows too. Compute it as a column of the chunks (in the ",
        "function that makes them, or by dplyr::mutate() in the database)"
      ),
      deparse1(expression), name
    ))
  }
  if (name %in% factor_functions && !top && is.null(expression$levels)) {
    fail("data", sprintf(
      "'%s' can't be computed chunk by chunk: its levels are those of the rows it sees. Give it the argument 'levels'", deparse1(expression)
    ))
  }
  for (part in as.list(expression)[-1L]) if (!missing(part)) check_rowwise(part, top = FALSE)
}

# Powers of a row's own values, unlike orthogonal polynomials.
is_raw_polynomial <- function(name, expression) name == "poly" && isTRUE(eval_constant(expression$raw))

# TRUE or T as it is written in a formula.
eval_constant <- function(value) if (identical(value, as.name("T"))) TRUE else value

check_formula <- function(parts, extras) {
  variables <- as.list(attr(stats::terms(parts$combined), "variables"))[-1L]
  for (expression in c(variables, extras)) check_rowwise(expression)
  for (bar in parts$bars) {
    if (!is_interaction(bar[[3L]])) {
      fail("data", sprintf(
        "the grouping factor '%s' must be a variable or an interaction a:b of variables when data come in chunks: compute it as a column",
        deparse1(bar[[3L]])
      ))
    }
  }
}

is_interaction <- function(expression) {
  if (!is.call(expression)) return(is.name(expression))
  identical(expression[[1L]], quote(`:`)) && is_interaction(expression[[2L]]) && is_interaction(expression[[3L]])
}

# A chunk's model frame, without the rows that have missing values; their number is the attribute `omitted`.
chunk_frame <- function(chunk, request) {
  chunk <- with_given_levels(chunk, request$levels)
  env <- environment(request$parts$formula)
  refuse_foreign(setdiff(request$variables, names(chunk)), env)
  combined <- request$parts$combined
  arguments <- c(list(formula = combined, data = chunk, na.action = quote(stats::na.pass)), request$extras)
  frame <- eval(as.call(c(quote(stats::model.frame.default), arguments)), env)
  missing <- !stats::complete.cases(frame)
  for (column in frame[vapply(frame, is_int64, NA)]) {
    need_packages("bit64", "64-bit integers")
    missing <- missing | is.na(column)
  }
  if (any(missing)) {
    if (request$na.action == "na.fail") fail("data", "missing values in object")
    frame <- structure(frame[!missing, , drop = FALSE], terms = attr(frame, "terms"))
  }
  attr(frame, "omitted") <- sum(missing)
  frame
}

with_given_levels <- function(chunk, levels) {
  for (name in intersect(names(levels), names(chunk))) {
    values <- chunk[[name]]
    if (is.factor(values)) values <- as.character(values)
    unknown <- setdiff(unique(values[!is.na(values)]), levels[[name]])
    if (length(unknown)) {
      fail("data", sprintf("the column '%s' has a value that is not among its 'levels': %s", name, unknown[1L]))
    }
    chunk[[name]] <- factor(values, levels = levels[[name]])
  }
  chunk
}

# What a chunk doesn't have must be a constant: a vector of the workspace can't belong to one chunk after the other.
refuse_foreign <- function(names, env) {
  for (name in names) {
    value <- get0(name, envir = env, mode = "numeric") %||% get0(name, envir = env, mode = "character") %||%
      get0(name, envir = env, mode = "logical")
    if (is.null(value)) fail("data", sprintf("object '%s' not found: the chunks have no such column", name))
    if (length(value) != 1L) {
      fail("data", sprintf("'%s' is not a column of the chunks, and in the formula's environment it is not a single value", name))
    }
  }
}

# Kinds of variables -------------------------------------------------------------------------------------------------------

# What is known of a variable: a list of
#   kind      "number"; "matrix", of numbers, with `k` columns of the names `columns`; "levels", a factor whose levels are
#             known (those of a logical are FALSE and TRUE); "open", whose levels are the values in the data
#   levels, contrasts, ordered, logical   of a factor
#   numeric   are an open variable's values numbers?
#   observed  the levels met so far
variable_kind <- function(value, name, expression, chunk) {
  if (is.matrix(value) && is.numeric(value)) return(list(kind = "matrix", k = ncol(value), columns = colnames(value)))
  if (!is.null(dim(value))) refuse_variable(name, "is a matrix, but not of numbers")
  value <- plain(value)
  if (is_int64(value)) refuse_variable(name, "is a 64-bit integer: use as.numeric() on it")
  if (is.logical(value)) return(factor_kind("levels", factor(value, levels = c(FALSE, TRUE)), logical = TRUE))
  if (is.character(value)) return(factor_kind("open", factor(value), numeric = FALSE))
  if (is.factor(value)) {
    makes <- is.call(expression) && as.character(expression[[1L]])[1L] %in% factor_functions && is.null(expression$levels)
    if (!makes) return(factor_kind("levels", value))
    of <- eval(expression[[2L]], chunk, environment())
    if (is.factor(of)) value <- factor(value, levels(of), ordered = is.ordered(value)) # has lost the contrasts, as in memory
    return(factor_kind(if (is.factor(of)) "levels" else "open", value, numeric = is.numeric(of)))
  }
  if (is.numeric(value) && !is.object(value)) return(list(kind = "number"))
  refuse_variable(name, paste0("is of class ", class(value)[1L], ": use as.numeric() or as.character() on it"))
}

# What I() was given.
plain <- function(value) {
  if (inherits(value, "AsIs")) class(value) <- setdiff(oldClass(value), "AsIs")
  value
}

factor_kind <- function(kind, value, numeric = FALSE, logical = FALSE) {
  list(
    kind = kind, levels = if (kind == "levels") levels(value), contrasts = attr(value, "contrasts"), ordered = is.ordered(value),
    logical = logical, numeric = numeric,
    observed = levels(value)[tabulate(value, nlevels(value)) > 0L]
  )
}

refuse_variable <- function(name, what) fail("data", sprintf("the variable '%s' %s", name, what))

# The kind of a variable in two sets of chunks.
common_kind <- function(one, other, name) {
  if (one$kind != other$kind || !identical(one$logical, other$logical)) {
    refuse_variable(name, "is of another type in another chunk: make it the same in all of them")
  }
  if (one$kind == "number") return(one)
  if (one$kind == "matrix") {
    if (!identical(one, other)) refuse_variable(name, "is a matrix with other columns in another chunk")
    return(one)
  }
  if (one$kind == "levels" && !identical(one[c("levels", "contrasts", "ordered")], other[c("levels", "contrasts", "ordered")])) {
    why <- "is a factor with other levels or contrasts in another chunk: give it the same levels in all of them, or make it text"
    refuse_variable(name, why)
  }
  if (one$numeric != other$numeric) refuse_variable(name, "is a number in some chunks and text in others")
  one$observed <- union(one$observed, other$observed)
  one
}

# The levels in use, in the order in which factor() has them.
used_levels_of <- function(kind, name) {
  if (kind$kind == "levels") return(if (kind$logical) kind$levels else intersect(kind$levels, kind$observed))
  if (!kind$numeric) return(sort(kind$observed))
  numbers <- as.numeric(kind$observed)
  if (anyDuplicated(numbers)) refuse_variable(name, "has whole numbers that are stored as integers in some chunks and as doubles in others")
  kind$observed[order(numbers)]
}

# Grouping factors ---------------------------------------------------------------------------------------------------------

# Codes and names of a grouping variable's values in a chunk: numbers in one spelling whether they are stored as integers or not.
group_values <- function(value, name) {
  if (is.factor(value)) return(list(codes = as.integer(value), names = levels(value), type = "factor", levels = levels(value)))
  values <- unique(value)
  type <- if (is_int64(value)) {
    "integer64"
  } else if (is.logical(value) || is.character(value) || inherits(value, c("Date", "POSIXct"))) {
    "text"
  } else if (is.numeric(value) && !is.object(value)) {
    if (is.integer(value)) "integer" else "double"
  }
  if (is.null(type)) {
    refuse_variable(name, paste0("is of class ", class(value)[1L], " and can't be a grouping factor: use as.character() on it"))
  }
  spelt <- if (type == "double" && all(values == round(values) & abs(values) < 2^31)) as.integer(values) else values
  named_codes(match(value, values), as.character(spelt), type)
}

# Two numbers may have the same name, to 15 digits; then they are one level, as in factor().
named_codes <- function(codes, names, type) {
  if (anyDuplicated(names)) {
    distinct <- unique(names)
    codes <- match(names, distinct)[codes]
    names <- distinct
  }
  list(codes = codes, names = names, type = type)
}

# The type of a grouping variable in two sets of chunks. Factors with different levels are text.
common_type <- function(one, other, name) {
  if (identical(one, other)) return(one)
  types <- c(one$type, other$type)
  if (all(types %in% c("integer", "double"))) return(list(type = "double"))
  if (all(types %in% c("factor", "text"))) return(list(type = "text"))
  refuse_variable(name, "is a number in some chunks and text in others")
}

# Rank of each name as factor() would sort the values, and the labels it would give them.
ranked_names <- function(names, type) {
  number <- if (type$type %in% c("integer", "double", "integer64")) as.numeric(names)
  order <- if (type$type == "factor") {
    order(match(names, type$levels))
  } else if (!is.null(number)) {
    order(number, names)
  } else {
    order(names)
  }
  list(rank = order(order), labels = if (type$type == "double") as.character(number) else names)
}

separator <- "\037"

interaction_parts <- function(expression) {
  if (is.name(expression)) return(as.character(expression))
  c(interaction_parts(expression[[2L]]), interaction_parts(expression[[3L]]))
}

# Codes and names of a grouping factor in a chunk; the names of an interaction's parts stand side by side.
group_codes <- function(variables, values) {
  codes <- values[[variables[1L]]]$codes
  names <- values[[variables[1L]]]$names
  if (length(variables) > 1L) refuse_separator(values[variables])
  for (variable in variables[-1L]) {
    right <- values[[variable]]
    cell <- (codes - 1) * length(right$names) + right$codes
    cells <- unique(cell)
    first <- match(cells, cell)
    names <- paste(names[codes[first]], right$names[right$codes[first]], sep = separator)
    codes <- match(cell, cells)
  }
  used <- tabulate(codes, length(names)) > 0L
  if (!all(used)) {
    codes <- cumsum(used)[codes]
    names <- names[used]
  }
  list(codes = as.integer(codes), names = names)
}

refuse_separator <- function(values) {
  if (any(grepl(separator, unlist(lapply(values, `[[`, "names")), fixed = TRUE))) {
    fail("data", "a level that contains the character \\037 can't be part of an interaction")
  }
}

# Order and labels of a grouping factor's levels, from the names of all chunks.
group_levels <- function(names, variables, types) {
  pieces <- if (length(variables) == 1L) as.list(names) else strsplit(names, separator, fixed = TRUE)
  parts <- lapply(seq_along(variables), function(i) {
    values <- vapply(pieces, function(piece) if (length(piece) < i) "" else piece[i], "")
    distinct <- unique(values)
    ranked <- ranked_names(distinct, types[[variables[i]]])
    at <- match(values, distinct)
    list(rank = ranked$rank[at], label = ranked$labels[at])
  })
  order <- do.call(order, lapply(parts, `[[`, "rank"))
  labels <- do.call(paste, c(lapply(parts, `[[`, "label"), sep = ":"))[order]
  if (anyDuplicated(labels)) fail("data", "levels of the grouping factor ", paste(variables, collapse = ":"), " have the same name")
  list(order = order, labels = labels)
}
