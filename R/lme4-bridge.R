# The one file that knows what lme4 looks like inside. A fit is an object of lme4's class "lmerMod" whose two reference objects,
# `pp` (class merPredD) and `resp` (lmerResp), are made here without their C++ halves.
#
# `$` on a reference object looks into its environment first. So a promise there is a field made at first use, and a function
# there stands in for the class's method. The engine's answers (unsc, RX, ldL2, ldRX2) are such functions; Zt, Lambdat and the
# rest of lme4's workspace are promises; and when the C++ object is asked for (`ptr`), lme4's own methods take over for good.
# Everything that such an object holds has lme4's namespace as its parent, not ours, so that a saved fit opens where only lme4
# is installed. lme4's C++ writes into the vectors of pp and resp in place: none may be shared with a slot or another field.

lme4_internal <- function(name) get(name, envir = asNamespace("lme4"))

# Structured covariances came with lme4 2.0.
has_structures <- function() {
  if (is.null(cache$structures)) cache$structures <- package_version(getNamespaceVersion("lme4")) >= "2.0"
  cache$structures
}

# `fit` is what find_optimum() returns, `parts` the model's parts, `call` the user's call. For a refit the parts may have Gp and dims.
new_lmermod <- function(fit, parts, call) {
  classes <- lme4_classes()
  resp <- new_resp(fit, parts, classes)
  object <- classes$object
  attributes(object) <- list(
    resp = resp,
    Gp = parts$Gp %||% first_effects(parts),
    call = call, frame = parts$frame, flist = parts$flist, cnms = parts$cnms, lower = fit$lower + 0,
    theta = as.numeric(fit$theta), beta = as.numeric(fit$beta), u = as.numeric(fit$u),
    devcomp = list(cmp = criterion_parts(fit, parts), dims = parts$dims %||% dimensions(fit, parts)),
    pp = new_pp(fit, parts, resp, classes), optinfo = fit$optinfo, class = attr(classes$object, "class")
  )
  object
}

# Where each term's random effects begin, from 0, and where the last one's end.
first_effects <- function(parts) {
  levels <- level_numbers(parts$flist)
  c(0L, cumsum(levels[attr(parts$flist, "assign")] * lengths(parts$cnms, use.names = FALSE)))
}

# Prototypes of the three classes, and whether pp's fields are the ones we know.
lme4_classes <- function() {
  if (is.null(cache$classes)) {
    namespace <- asNamespace("lme4")
    known <- c("Lambdat", "LamtUt", "Lind", "Ptr", "RZX", "Ut", "Utr", "V", "VtV", "Vtr", "X", "Xwts", "Zt", "beta0", "delb",
      "delu", "theta", "u0")
    pp <- methods::getClass("merPredD", where = namespace)
    cache$classes <- list(
      object = methods::new("lmerMod"),
      pp = pp, pp_shell = lme4::merPredD$new(), pp_is_known = setequal(names(pp@fieldClasses), known),
      resp = methods::getClass("lmerResp", where = namespace), resp_shell = methods::new("lmerResp"),
      resp_ptr = methods::new("externalptr"),
      has_npar = "npar" %in% all.names(body(get("mkMerMod", envir = namespace)))
    )
  }
  cache$classes
}

dimensions <- function(fit, parts) {
  n <- nrow(parts$x)
  p <- ncol(parts$x)
  dims <- c(
    N = n, n = n, p = p, nmp = n - p, q = length(fit$u), nth = length(fit$theta), useSc = 1L, reTrms = length(parts$cnms),
    spFe = 0L, REML = if (fit$reml) p else 0L, GLMM = 0L, NLMM = 0L
  )
  if (lme4_classes()$has_npar) dims <- c(dims, npar = length(fit$theta))
  storage.mode(dims) <- "integer"
  dims
}

criterion_parts <- function(fit, parts) {
  n <- parts$n %||% nrow(parts$x)
  c(
    ldL2 = fit$ldL2, ldRX2 = fit$ldRX2, wrss = fit$wrss, ussq = fit$ussq, pwrss = fit$pwrss, drsum = NA,
    REML = if (fit$reml) fit$criterion else NA, dev = if (fit$reml) NA else fit$criterion,
    sigmaML = sqrt(fit$pwrss / n), sigmaREML = sqrt(fit$pwrss / (n - ncol(parts$x)))
  )
}

# The response module. Its C++ half is rebuilt by lme4 itself from a nil pointer.
new_resp <- function(fit, parts, classes) {
  n <- length(parts$y)
  offset <- if (is.null(parts$offset)) numeric(n) else parts$offset + 0
  weights <- if (is.null(parts$weights)) rep.int(1, n) else parts$weights + 0
  mu <- as.numeric(fit$fitted) + offset
  root <- sqrt(weights)
  object <- classes$resp_shell
  env <- new.env(parent = asNamespace("lme4"))
  attr(object, ".xData") <- env
  list2env(list(
    Ptr = classes$resp_ptr, mu = mu, offset = offset, sqrtXwt = root, sqrtrwt = root + 0, weights = weights,
    wtres = root * (parts$y - mu), y = parts$y + 0, REML = if (fit$reml) ncol(parts$x) else 0L,
    .self = object, .refClassDef = classes$resp
  ), env)
  object
}

# The predictor module. `.fastlmer` in its environment is the mark of an engine fit: an environment with what the engine needs
# beside the object's slots. It goes where the object goes and is gone from whatever lme4 makes out of it.
new_pp <- function(fit, parts, resp, classes) {
  namespace <- asNamespace("lme4")
  env <- new.env(parent = namespace)
  mark <- list2env(list(
    pp = env, resp = attr(resp, ".xData"), class = classes$pp, flist = parts$flist, z = parts$z,
    unsc = as_matrix(fit$unsc), rx = as_matrix(fit$rx), ldL2 = fit$ldL2, ldRX2 = fit$ldRX2,
    cache = list2env(list(design = fit$design), parent = emptyenv())
  ), parent = namespace)
  functions <- lapply(pp_functions, `environment<-`, mark)
  list2env(functions, mark)

  object <- classes$pp_shell
  attr(object, ".xData") <- env
  list2env(list(
    X = parts$x, theta = fit$theta + 0, beta0 = numeric(ncol(parts$x)), delb = fit$beta + 0, u0 = numeric(length(fit$u)),
    delu = fit$u + 0, Xwts = mark$resp$sqrtXwt + 0, .self = object, .refClassDef = classes$pp, .fastlmer = mark
  ), env)
  if (!classes$pp_is_known) return(eager_pp(mark))
  list2env(list(
    unsc = functions$engine_unsc, RX = functions$engine_RX, ldL2 = functions$engine_ldL2, ldRX2 = functions$engine_ldRX2,
    ptr = functions$engine_ptr
  ), env)
  promise_fields(mark, env)
  object
}

# delayedAssign("Zt", workspace()$Zt, mark, env) and so on. delayedAssign() quotes its second argument, so the calls are written out.
utils::globalVariables("workspace")
promise_fields <- function(mark, env) NULL
body(promise_fields) <- as.call(c(quote(`{`), lapply(
  c("Zt", "Lambdat", "LamtUt", "Lind", "RZX", "Ut", "Utr", "V", "VtV", "Vtr", "Ptr"),
  function(name) call("delayedAssign", name, call("$", quote(workspace()), as.name(name)), quote(mark), quote(env))
)))

as_matrix <- function(x) matrix(as.numeric(x), nrow(x), ncol(x))

# For a version of lme4 with other fields: its own object at once, marked.
eager_pp <- function(mark) {
  object <- mark$workspace()
  assign(".fastlmer", mark, envir = attr(object, ".xData"))
  mark$pp <- attr(object, ".xData")
  object
}

# The functions in the environment `.fastlmer`. They run with lme4's namespace alone, so they call nothing of this package.
pp_functions <- list(
  engine_unsc = function() unsc + 0,
  engine_RX = function() rx + 0,
  engine_ldL2 = function() ldL2,
  engine_ldRX2 = function() ldRX2,

  # C++ takes over: from here on lme4's own methods answer.
  engine_ptr = function() {
    for (name in c("Zt", "Lambdat", "LamtUt", "Lind", "RZX", "Ut", "Utr", "V", "VtV", "Vtr", "Ptr")) get(name, envir = pp)
    rm(list = c("unsc", "RX", "ldL2", "ldRX2", "ptr"), envir = pp)
    for (name in c("initializePtr", "ptr")) assign(name, `environment<-`(class@refMethods[[name]], pp), envir = pp)
    pp$ptr()
  },

  # lme4's own object for the same model, made once. It shares its vectors with pp, for C++ writes into them.
  workspace = function() {
    if (!exists("built", inherits = FALSE)) {
      relative <- relative_factor()
      built <- merPredD$new(
        X = pp$X, Zt = transposed_model_matrix(), Lambdat = relative$Lambdat, Lind = relative$Lind, theta = pp$theta,
        n = nrow(pp$X), delb = pp$delb, delu = pp$delu, beta0 = pp$beta0, u0 = pp$u0, Xwts = pp$Xwts
      )
      built$updateRes(resp$sqrtrwt * (resp$y - resp$offset))
      assign("built", built, envir = environment(workspace))
    }
    built
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
    numbers <- vapply(groups, nlevels, 1L)
    first <- cumsum(c(0L, numbers * columns))
    first_theta <- cumsum(c(0L, columns * (columns + 1L) / 2L))
    pieces <- lapply(seq_along(z), function(term) {
      k <- columns[term]
      position <- matrix(0L, k, k)
      position[lower.tri(position, diag = TRUE)] <- seq_len(k * (k + 1L) / 2L)
      upper <- upper.tri(position, diag = TRUE)
      list(
        i = as.integer(outer((row(position) - 1L)[upper], first[term] + (seq_len(numbers[term]) - 1L) * k, `+`)),
        lind = rep.int(first_theta[term] + t(position)[upper], numbers[term]), size = rep.int(seq_len(k), numbers[term])
      )
    })
    lind <- as.integer(unlist(lapply(pieces, function(piece) piece$lind)))
    size <- sum(numbers * columns)
    list(Lind = lind, Lambdat = methods::new("dgCMatrix",
      i = unlist(lapply(pieces, function(piece) piece$i)),
      p = c(0L, cumsum(unlist(lapply(pieces, function(piece) piece$size)))), x = pp$theta[lind], Dim = c(size, size)
    ))
  }
)

# The environment `.fastlmer` of an engine fit, or NULL.
engine_mark <- function(fit) {
  get0(".fastlmer", envir = attr(fit@pp, ".xData"), mode = "environment", inherits = FALSE)
}
