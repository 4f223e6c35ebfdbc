# The two reference objects of a fit, `pp` (class merPredD) and `resp` (lmerResp), which are made here without their C++ halves.
#
# `$` on a reference object looks into its environment first. So a promise there is a field made at first use, and a function
# there stands in for the class's method. The engine's answers (unsc, RX, ldL2, ldRX2) are such functions; the fields, Zt, Lambdat
# and the rest of lme4's workspace among them, are promises; when the C++ object is asked for (`ptr`), lme4's own methods take over
# for good. Everything that such an object holds has lme4's namespace as its parent, not ours, so that a saved fit opens where only lme4
# is installed. lme4's C++ writes into the vectors of pp and resp in place: none may be shared with a slot or another field.

# The response module. Its C++ half is rebuilt by lme4 itself from a nil pointer.
new_resp <- function(fit, parts, classes) {
  mu <- fit$fitted
  if (!is.null(parts$offset)) mu <- mu + parts$offset
  env <- classes$resp_source(
    classes$resp_fields, classes$resp, classes$resp_ptr, mu, parts$y, parts$weights, parts$offset, if (fit$reml) ncol(parts$x) else 0L
  )
  with_environment(classes$resp_shell, env)
}

# The predictor module. `.fastlmer` in its environment is the mark of an engine fit: an environment with what the engine needs
# beside the object's slots. It goes where the object goes and is gone from whatever lme4 makes out of it.
new_pp <- function(fit, parts, resp, classes) {
  cache <- new.env(hash = FALSE, parent = emptyenv())
  cache$design <- fit$design
  cache$refitted <- parts$refitted
  if (is_absorbed(parts$x)) fit[c("unsc", "rx")] <- NULL # formed when they are asked for
  env <- classes$pp_source(
    classes$pp_fields, classes$pp, classes$functions, attr(resp, ".xData"), parts$flist, parts$z, fit$theta, fit$beta, fit$u,
    fit$unsc, fit$rx, fit$ldL2, fit$ldRX2, cache
  )
  if (!is.null(parts$structure)) assign("diagonal", parts$structure$diagonal, envir = get(".fastlmer", envir = env))
  if (is_absorbed(parts$x)) absorb(env, parts$x) else env$X <- parts$x
  object <- with_environment(classes$pp_shell, env)
  if (classes$pp_is_known) object else eager_pp(get(".fastlmer", envir = env))
}

# Dummy columns of a factor of many levels, and what is made of them, are formed when they are first asked for.
absorb <- function(env, columns) {
  mark <- get(".fastlmer", envir = env)
  mark$absorbed <- columns
  for (name in c("form_fixed_factor", "all_columns", "model_matrix")) {
    assign(name, `environment<-`(lme4_classes()$functions[[name]], mark), envir = mark)
  }
  # a promise that knows of nothing but the mark
  eval(call("delayedAssign", "X", quote(model_matrix()), mark, env))
}

# Evaluates `expr`, in which lme4 asks for X only to read its attributes, with a matrix without rows in its place (unless X is there:
# lme4's C++ may be using it).
without_columns <- function(object, expr) {
  mark <- if (is_fastlmer(object)) engine_mark(object)
  columns <- mark$absorbed
  if (is.null(columns) || isTRUE(mark$formed)) return(expr)
  env <- attr(object@pp, ".xData")
  empty <- matrix(0, 0L, ncol(columns), dimnames = list(NULL, colnames(columns)))
  on.exit(absorb(env, columns))
  env$X <- structure(empty, assign = columns$assign, contrasts = columns$contrasts, msgScaleX = character())
  expr
}

with_environment <- function(object, env) {
  attr(object, ".xData") <- env
  env$.self <- object
  object
}

# The environments of pp and resp are those of calls of these functions, which is R's quickest way to make one: an argument is a
# promise, so a field of that name is computed when it is first asked for. What it is computed from is the call of the function below,
# whose own arguments are used at once, for as promises they would hold our environments.
pp_fields <- function(theta, beta0, delb, u0, delu, Xwts, Zt, Lambdat, LamtUt, Lind, RZX, Ut, Utr, V, VtV, Vtr, Ptr, unsc, RX, ldL2, ldRX2,
                      ptr, .refClassDef, .fastlmer) {
  environment()
}

pp_source <- function(fields, class, functions, resp, flist, z, theta, beta, u, unsc, rx, ldL2, ldRX2, cache,
                      workspace = bind("workspace"), transposed_model_matrix = bind("transposed_model_matrix"),
                      relative_factor = bind("relative_factor"), bind = NULL) {
  list(class, functions, resp, flist, z, theta, beta, u, unsc, rx, ldL2, ldRX2, cache)
  mark <- environment()
  bind <- function(name) `environment<-`(functions[[name]], mark)
  pp <- fields(
    theta = theta + 0, beta0 = numeric(length(beta)), delb = beta + 0, u0 = numeric(length(u)), delu = u + 0, Xwts = resp$sqrtXwt + 0,
    Zt = workspace()$Zt, Lambdat = workspace()$Lambdat, LamtUt = workspace()$LamtUt, Lind = workspace()$Lind, RZX = workspace()$RZX,
    Ut = workspace()$Ut, Utr = workspace()$Utr, V = workspace()$V, VtV = workspace()$VtV, Vtr = workspace()$Vtr, Ptr = workspace()$Ptr,
    unsc = bind("engine_unsc"), RX = bind("engine_RX"), ldL2 = bind("engine_ldL2"), ldRX2 = bind("engine_ldRX2"), ptr = bind("engine_ptr"),
    .refClassDef = class, .fastlmer = mark
  )
  pp
}

resp_fields <- function(Ptr, offset, sqrtXwt, sqrtrwt, weights, wtres, y, REML, .refClassDef) environment()

resp_source <- function(fields, class, pointer, mu, response, prior, shift, reml) {
  list(class, pointer, response, prior, shift, reml)
  n <- length(response)
  resp <- fields(
    Ptr = pointer, offset = if (is.null(shift)) numeric(n) else shift + 0, sqrtXwt = if (is.null(prior)) rep.int(1, n) else sqrt(prior),
    sqrtrwt = if (is.null(prior)) rep.int(1, n) else sqrt(prior), weights = if (is.null(prior)) rep.int(1, n) else prior + 0,
    wtres = if (is.null(prior)) response - resp$mu else sqrt(prior) * (response - resp$mu), y = response + 0, REML = reml,
    .refClassDef = class
  )
  resp$mu <- mu
  resp
}

# For a version of lme4 with other fields: its own object at once, marked.
eager_pp <- function(mark) {
  object <- mark$workspace()
  assign(".fastlmer", mark, envir = attr(object, ".xData"))
  mark$pp <- attr(object, ".xData")
  object
}

# The functions in the environment `.fastlmer`. They run with lme4's namespace alone, so they need nothing of this package.
pp_functions <- list(
  engine_unsc = function() {
    if (is.null(unsc)) form_fixed_factor()
    unsc + 0
  },
  engine_RX = function() {
    if (is.null(rx)) form_fixed_factor()
    rx + 0
  },
  engine_ldL2 = function() ldL2,
  engine_ldRX2 = function() ldRX2,

  model_matrix = function() {
    assign("formed", TRUE, envir = environment(model_matrix))
    all_columns(absorbed)
  },

  # RX and unsc where a factor of the fixed effects was absorbed: by the engine, without it by lme4's own object.
  form_fixed_factor = function() {
    mark <- environment(form_fixed_factor)
    made <- if (requireNamespace("fastlmer", quietly = TRUE)) {
      get("fixed_factor_of_mark", envir = asNamespace("fastlmer"))(mark)
    } else {
      own <- workspace()
      list(rx = own$RX(), unsc = own$unsc())
    }
    assign("rx", made$rx, envir = mark)
    assign("unsc", made$unsc, envir = mark)
  },

  # C++ takes over: from here on lme4's own methods answer.
  engine_ptr = function() {
    for (name in ls(pp, all.names = TRUE)) get(name, envir = pp)
    rm(list = c("unsc", "RX", "ldL2", "ldRX2", "ptr"), envir = pp)
    for (name in c("initializePtr", "ptr")) assign(name, `environment<-`(class@refMethods[[name]], pp), envir = pp)
    pp$ptr()
  },

  # lme4's own object for the same model, made once. It shares its vectors with pp, for C++ writes into them.
  workspace = function() {
    mark <- environment(workspace)
    if (!exists("built", envir = mark, inherits = FALSE)) {
      relative <- relative_factor()
      built <- merPredD$new(
        X = pp$X, Zt = transposed_model_matrix(), Lambdat = relative$Lambdat, Lind = relative$Lind, theta = pp$theta,
        n = nrow(pp$X), delb = pp$delb, delu = pp$delu, beta0 = pp$beta0, u0 = pp$u0, Xwts = pp$Xwts
      )
      built$updateRes(resp$sqrtrwt * (resp$y - resp$offset))
      assign("built", built, envir = mark)
    }
    get("built", envir = mark)
  },

  # Zt: per observation its terms' columns, in the rows of its level.
  transposed_model_matrix = function() {
    n <- nrow(pp$X)
    groups <- flist[attr(flist, "assign")]
    columns <- vapply(z, function(z) if (is.null(z)) 1L else ncol(z), 1L)
    effects <- vapply(groups, nlevels, 1L) * columns
    first <- cumsum(c(0L, effects))
    rows <- lapply(seq_along(z), function(term) {
      outer(seq_len(columns[term]) - 1L, first[term] + (as.integer(groups[[term]]) - 1L) * columns[term], `+`)
    })
    values <- lapply(z, function(z) if (is.null(z)) rep(1, n) else t(z))
    levels <- lapply(seq_along(z), function(term) rep(levels(groups[[term]]), each = columns[term]))
    Matrix::drop0(methods::new("dgCMatrix",
      i = as.integer(do.call(rbind, rows)), p = as.integer(seq(0, n * sum(columns), by = sum(columns))),
      x = as.numeric(do.call(rbind, values)), Dim = c(sum(effects), n), Dimnames = list(unlist(levels), rownames(pp$X))
    ))
  },

  # Lambdat: per level the transposed factor of its term; Lind: which element of theta stands where.
  relative_factor = function() {
    groups <- flist[attr(flist, "assign")]
    columns <- vapply(z, function(z) if (is.null(z)) 1L else ncol(z), 1L)
    independent <- get0("diagonal", envir = environment(relative_factor), inherits = FALSE)
    if (is.null(independent)) independent <- logical(length(columns))
    numbers <- vapply(groups, nlevels, 1L)
    first <- cumsum(c(0L, numbers * columns))
    first_theta <- cumsum(c(0L, ifelse(independent, columns, columns * (columns + 1L) / 2L)))
    pieces <- lapply(seq_along(z), function(term) {
      k <- columns[term]
      position <- matrix(0L, k, k)
      kept <- if (independent[term]) diag(k) == 1 else lower.tri(position, diag = TRUE)
      position[kept] <- seq_len(sum(kept))
      upper <- t(kept)
      list(
        i = as.integer(outer((row(position) - 1L)[upper], first[term] + (seq_len(numbers[term]) - 1L) * k, `+`)),
        lind = rep.int(first_theta[term] + t(position)[upper], numbers[term]), size = rep.int(colSums(upper), numbers[term])
      )
    })
    lind <- as.integer(unlist(lapply(pieces, function(piece) piece$lind)))
    size <- sum(numbers * columns)
    list(Lind = lind, Lambdat = methods::new("dgCMatrix",
      i = unlist(lapply(pieces, function(piece) piece$i)),
      p = as.integer(c(0L, cumsum(unlist(lapply(pieces, function(piece) piece$size))))), x = pp$theta[lind], Dim = c(size, size)
    ))
  }
)
