# One model frame for response, fixed and random effects; lme4 evaluates three, of which the other two are parts of the first.
#
# `call` is the user's call, whose `subset`, `weights`, `na.action` and `offset` are evaluated where model.frame() evaluates
# them: in the data, then in the formula's environment.
mixed_model_frame <- function(parts, data, call, caller) {
  extras <- as.list(call)[intersect(c("subset", "weights", "na.action", "offset"), names(call))]
  combined <- parts$combined
  environment(combined) <- extras_environment(environment(parts$formula), names(extras), caller)
  arguments <- c(list(formula = combined), if ("data" %in% names(call)) list(data = data), extras, drop.unused.levels = TRUE)
  frame <- frame_without_missing(arguments, caller, data) %||% make_frame(arguments, caller)
  frame <- characters_to_factors(frame, all.vars(combined[[3L]]))
  terms <- frame_terms(frame, parts)
  if (is.null(terms)) return(NULL)
  attr(frame, "terms") <- terms
  attr(frame, "formula") <- parts$formula
  attr(frame, "offset") <- extras$offset
  frame
}

make_frame <- function(arguments, caller) eval(as.call(c(quote(stats::model.frame.default), arguments)), caller)

# na.omit() copies all columns even where nothing is missing: look first. NULL where something is, or another na.action holds.
frame_without_missing <- function(arguments, caller, data) {
  omits <- is.null(arguments$na.action) && identical(getOption("na.action"), "na.omit") && is.null(attr(data, "na.action"))
  if (!omits) return(NULL)
  frame <- make_frame(c(arguments, na.action = quote(stats::na.pass)), caller)
  if (!any(vapply(frame, anyNA, NA))) frame
}

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
