# Bootstrap statistics without a fit per replicate.
#
# A statistic like function(f) c(fixef(f), sd = sigma(f)) is a function of theta, beta, sigma and perhaps the random effects alone. Its body
# is evaluated here once for all replicates of a batch: a small interpreter, in which what depends on the fit is a *batch value*, a list of
#   m   a matrix with a column per replicate
#   t   the value on the original fit, for its names and dimensions; the elements of `t`, in order, are the rows of `m`
# and everything else an ordinary R value. A body with anything unknown in it makes the interpreter give up, and the statistic then runs as
# R code on each replicate's fit. Names are looked up where FUN was written, and a function counts as known only if it is the one
# that the name should mean. The vocabulary is in boot-words.R.

# NULL, or a function of a batch (see refit_batch()) that returns a matrix with a column per replicate. It is checked on the
# original fit, where it must give `t0`.
vectorised_statistic <- function(FUN, x, record, t0) {
  if (!isTRUE(getOption("fastlmer.vocabulary", TRUE)) || !is.null(dim(t0)) || is.object(t0) || !is.null(record$structure)) return(NULL)
  body <- statistic_body(FUN)
  if (is.null(body)) return(NULL)
  model <- list(x = x, record = record, memo = new.env(parent = emptyenv()))
  on_batch <- function(batch) interpret(body, c(model, list(batch = batch)))
  original <- tryCatch(on_batch(original_batch(x, record)), error = identity)
  reveal(original)
  if (!is_batch_value(original) || !identical(names(original$t), names(t0)) || !agrees(original, t0)) return(NULL)
  list(values = function(batch) on_batch(batch)$m, modes = isTRUE(model$memo$modes))
}

agrees <- function(value, t0) {
  is.numeric(value$m) && nrow(value$m) == length(t0) && isTRUE(all.equal(as.numeric(value$m), as.numeric(t0), tolerance = 1e-10)) &&
    isTRUE(all.equal(as.numeric(value$t), as.numeric(t0), tolerance = 1e-10))
}

# The original fit as a batch of one.
original_batch <- function(x, record) {
  criterion <- x@devcomp$cmp[[if (record$reml) "REML" else "dev"]]
  list(
    theta = cbind(record$theta), beta = cbind(record$beta), sigma = record$sigma, criterion = criterion,
    singular = singular_columns(cbind(record$theta), record$lower), b = cbind(effects_of(x@u, record))
  )
}

# b = Lambda(theta) u, in the order of the record's terms.
effects_of <- function(u, record) {
  columns <- lengths(record$cnms)
  u <- split(in_engine_order(u, record), rep.int(seq_along(columns), record$nlev[record$asgn] * columns))
  unlist(Map(function(u, factor) factor %*% matrix(u, ncol(factor)), u, relative_factors(record$theta, columns)), use.names = FALSE)
}

# The expression, the name of its argument and where its other names are looked up.
statistic_body <- function(FUN) {
  for (name in c("fixef", "sigma", "logLik", "AIC", "BIC", "deviance", "REMLcrit")) {
    if (identical(FUN, words()[[name]]$is)) {
      return(list(code = call(name, quote(fit)), fit = "fit", env = asNamespace("fastlmer"), locals = list()))
    }
  }
  if (!is.function(FUN) || is.primitive(FUN) || !length(formals(FUN))) return(NULL)
  list(code = body(FUN), fit = names(formals(FUN))[1L], env = environment(FUN), locals = list(), hidden = names(formals(FUN))[-1L])
}

is_batch_value <- function(value) inherits(value, "batch_value")

batch_value <- function(m, t) structure(list(m = m, t = t), class = "batch_value")

# The value of a body. `model` is a list of x, record, memo and batch.
interpret <- function(body, model) {
  scope <- list2env(body$locals, parent = emptyenv())
  value_of(body$code, list(fit = body$fit, env = body$env, scope = scope, hidden = body$hidden), model)
}

value_of <- function(code, where, model) {
  if (is.name(code)) return(value_of_name(as.character(code), where))
  if (!is.call(code)) return(code)
  word <- word_of(code[[1L]], where)
  if (is.null(word)) return(value_of_user_function(code, where, model))
  word$value(as.list(code)[-1L], where, model)
}

# The mark of the fit itself.
the_fit <- structure(list(), class = "batch_fit")

value_of_name <- function(name, where) {
  if (!is.null(where$scope[[name]])) return(where$scope[[name]])
  if (identical(name, where$fit)) return(the_fit)
  if (name %in% where$hidden) not_ours()
  value <- get(name, envir = where$env)
  if (!is.atomic(value) && !is.data.frame(value) && !inherits(value, "formula")) not_ours()
  value
}

# The word that a call's head stands for, if the function found under that name is the one it should be.
word_of <- function(head, where) {
  found <- function_of(head, where)
  word <- words()[[found$name]]
  if (is.null(word)) return(NULL)
  if (!identical(found$is, word$is)) not_ours()
  word
}

function_of <- function(head, where) {
  if (is.name(head)) {
    name <- as.character(head)
    if (!is.null(where$scope[[name]]) || name %in% c(where$fit, where$hidden)) not_ours()
    return(list(name = name, is = get(name, envir = where$env, mode = "function")))
  }
  if (!is.call(head) || !identical(head[[1L]], quote(`::`))) not_ours()
  list(name = as.character(head[[3L]]), is = getExportedValue(as.character(head[[2L]]), as.character(head[[3L]])))
}

# A function of the user's own: its body, with the arguments as local values.
value_of_user_function <- function(code, where, model) {
  user <- function_of(code[[1L]], where)$is
  if (is.primitive(user) || isNamespace(topenv(environment(user)))) not_ours()
  arguments <- as.list(match.call(user, code))[-1L]
  if ("..." %in% names(formals(user))) not_ours()
  locals <- lapply(arguments, value_of, where = where, model = model)
  hidden <- setdiff(names(formals(user)), names(locals))
  interpret(list(code = body(user), fit = "", env = environment(user), locals = locals, hidden = hidden), model)
}

# The elements of a value numbered in order: what a function that only picks and orders elements makes of it says which rows to take.
# In a list or a data frame with columns of text the numeric parts are numbered.
numbered <- function(t, first = 0L) {
  if (!is.list(t)) {
    t[] <- first + seq_along(t)
    return(t)
  }
  for (i in which(vapply(t, function(part) is.numeric(part) || is.list(part), NA))) {
    t[[i]] <- numbered(t[[i]], first)
    first <- first + length(numbers_of(t[[i]]))
  }
  t
}

numbers_of <- function(t) {
  if (is.list(t)) unlist(lapply(t, numbers_of), use.names = FALSE) else if (is.numeric(t)) as.vector(t)
}

# Applies a function that only picks and orders.
rearranged <- function(f, value, ...) {
  if (!is_batch_value(value)) return(f(value, ...))
  rows <- f(numbered(value$t), ...)
  t <- f(value$t, ...)
  rows <- numbers_of(rows)
  if (is.null(rows)) t else batch_value(value$m[as.integer(rows), , drop = FALSE], t)
}
