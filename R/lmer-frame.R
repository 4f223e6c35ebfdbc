# One model frame for response, fixed and random effects; lme4 evaluates three, of which the other two are parts of the first.
#
# `once` holds the user's call (see evaluated_once()), whose `subset`, `weights`, `na.action` and `offset` are evaluated where model.frame()
# evaluates them: in the data, then in the formula's environment.
#
# The frame has memory of its own. model.frame() copies no column, and packages such as data.table write into columns in place, whoever else
# holds them: a fit would change with the user's data, or with those that these were taken from.
mixed_model_frame <- function(parts, data, once) {
  frame <- plain_frame(parts$combined, data, once$call) %||% general_frame(parts, data, once$call, once$caller)
  terms <- if (!is.null(frame)) frame_terms(frame, parts)
  if (is.null(terms)) return(NULL)
  attr(frame, "terms") <- terms
  attr(frame, "formula") <- parts$formula
  attr(frame, "offset") <- once$offset
  engine_copy(frame, threads_for(.row_names_info(frame, 2L), once$threads))
}

# Where every variable is a column of the data that model.frame() would neither convert nor shorten, the frame is these columns
# with their terms; NULL for anything else. model.frame() takes three times as long, on many rows a hundred times.
plain_frame <- function(formula, data, call) {
  if (!is.data.frame(data) || any(names(call) %in% frame_arguments) || !omits_missing(data)) return(NULL)
  names <- all.vars(formula)
  columns <- unclass(data)[names]
  n <- .row_names_info(data, 2L)
  if (!all(vapply(columns, is_plain_column, NA, n))) return(NULL)
  terms <- stats::terms.formula(formula, data = data)
  variables <- attr(terms, "variables")
  symbols <- as.list(variables)[-1L]
  if (!all(vapply(symbols, is.name, NA)) || !identical(vapply(symbols, as.character, ""), names)) return(NULL)
  attr(terms, "predvars") <- variables
  attr(terms, "dataClasses") <- vapply(columns, stats::.MFclass, "")
  row_names <- .row_names_info(data, 0L)
  if (length(row_names) == n && anyDuplicated(row_names)) row_names <- make.unique(as.character(row_names))
  attributes(columns) <- list(
    names = names, terms = terms, row.names = if (length(row_names) == n) row_names else c(NA, n), class = "data.frame"
  )
  columns
}

frame_arguments <- c("subset", "weights", "na.action", "offset")

is_plain_column <- function(x, n) {
  if (length(x) != n) return(FALSE)
  if (is.factor(x)) is_plain_factor(x) else is.numeric(x) && is.null(attributes(x)) && !anyNA(x)
}

# A factor with nothing but levels, each of them in use, and no missing value.
is_plain_factor <- function(x) {
  identical(oldClass(x), "factor") && length(attributes(x)) == 2L && has_all_levels(x)
}

# Is each level in use, and no value missing?
has_all_levels <- function(x) {
  levels <- attr(x, "levels")
  if (anyNA(levels)) return(FALSE)
  counts <- tabulate(x, length(levels))
  all(counts > 0L) && sum(counts) == length(x)
}

# By model.frame(); NULL where a column holds 64-bit integers.
general_frame <- function(parts, data, call, caller) {
  extras <- as.list(call)[intersect(frame_arguments, names(call))]
  combined <- parts$combined
  environment(combined) <- extras_environment(environment(parts$formula), names(extras), caller)
  arguments <- c(list(formula = combined), if ("data" %in% names(call)) list(data = data), extras, drop.unused.levels = TRUE)
  frame <- frame_without_missing(arguments, caller, data) %||% make_frame(arguments, caller)
  if (!has_int64(frame)) characters_to_factors(frame, all.vars(combined[[3L]]))
}

make_frame <- function(arguments, caller) eval(as.call(c(quote(stats::model.frame.default), arguments)), caller)

# na.omit() copies all columns even where nothing is missing: look first. NULL where something is, or another na.action holds.
frame_without_missing <- function(arguments, caller, data) {
  if (!is.null(arguments$na.action) || !omits_missing(data)) return(NULL)
  frame <- make_frame(c(arguments, na.action = quote(stats::na.pass)), caller)
  if (!any(vapply(frame, anyNA, NA))) as_if_omitted(frame)
}

# What model.frame() does where rows may be left out, even if none is: time series become numbers, and names of rows are made unique.
as_if_omitted <- function(frame) {
  row_names <- .row_names_info(frame, 0L)
  automatic <- length(row_names) == 2L && is.na(row_names[1L])
  if (!automatic && anyDuplicated(row_names)) attr(frame, "row.names") <- make.unique(as.character(row_names))
  series <- names(frame)[vapply(frame, inherits, NA, "ts")]
  for (name in series) frame[[name]] <- without_time(frame[[name]])
  frame
}

without_time <- function(values) {
  class <- setdiff(oldClass(values), "ts")
  attr(values, "tsp") <- NULL
  `oldClass<-`(values, if (length(class)) class)
}

# Does model.frame() leave rows with missing values out, unless it is told otherwise?
omits_missing <- function(data) identical(getOption("na.action"), "na.omit") && is.null(attr(data, "na.action"))

# model.frame() looks for weights and offset in the formula's environment, where a caller's argument `weights` isn't; lme4
# copies it there, we put it in front.
extras_environment <- function(env, given, caller) {
  given <- intersect(c("weights", "offset"), given)
  if (!length(given)) return(env)
  list2env(mget(given, envir = caller, inherits = TRUE), parent = env)
}

characters_to_factors <- function(frame, variables) {
  texts <- names(frame)[vapply(frame, is.character, NA)]
  for (name in intersect(texts, variables)) frame[[name]] <- factor(frame[[name]])
  frame
}

# The frame's terms with lme4's notes on which variables belong to the fixed and which to the random part; NULL when they
# can't be told from the one frame.
frame_terms <- function(frame, parts) {
  terms <- attr(frame, "terms")
  fixed <- variables_of(parts$fixed, terms)
  random <- variables_of(parts$random, terms)
  if (anyNA(fixed) || anyNA(random)) return(NULL)
  predvars <- attr(terms, "predvars")
  variables <- seq_len(length(predvars) - 1L)
  attr(terms, ".Environment") <- environment(parts$formula)
  attr(terms, "predvars.fixed") <- predvars[c(1L, fixed + 1L)]
  attr(terms, "varnames.fixed") <- c(names(frame)[fixed], names(frame)[-variables])
  attr(terms, "predvars.random") <- predvars[c(1L, random + 1L)]
  terms
}

# Where a formula's variables stand among those of `terms`. Without calls among them they are the formula's names.
variables_of <- function(formula, terms) {
  all <- as.list(attr(terms, "variables"))[-1L]
  if (all(vapply(all, is.name, NA))) return(match(all.vars(formula), vapply(all, as.character, "")))
  match(as.list(attr(stats::terms(formula), "variables"))[-1L], all)
}
