# A fit is an object of lme4's class "lmerMod" with every slot in place; its two reference objects are made in lme4-lazy.R.

# `fit` is what find_optimum() returns, `parts` the model's parts, `call` the user's call. For a refit the parts may have Gp and dims.
new_lmermod <- function(fit, parts, call) {
  classes <- lme4_classes()
  if (!is.null(parts$structure)) {
    fit$u <- fit$u[effect_order(parts)]
    parts <- merge_diagonal(parts)
  }
  resp <- new_resp(fit, parts, classes)
  object <- classes$object
  attributes(object) <- list(
    resp = resp,
    Gp = parts$Gp %||% first_effects(parts),
    call = call, frame = parts$frame, flist = parts$flist, cnms = parts$cnms, lower = fit$lower + 0,
    theta = fit$theta, beta = fit$beta, u = fit$u,
    devcomp = list(cmp = criterion_parts(fit, parts), dims = parts$dims %||% dimensions(fit, parts)),
    pp = new_pp(fit, parts, resp, classes), optinfo = fit$optinfo, class = attr(object, "class")
  )
  if (!is.null(classes$covariances)) {
    attr(object, "upper") <- rep.int(Inf, length(fit$theta))
    columns <- lengths(parts$cnms, use.names = FALSE)
    attr(object, "reCovs") <- term_structures(fit$theta, columns, parts$structure$diagonal, classes$covariances)
  }
  object
}

# lme4 2.x's objects for the covariance of each term. (They are made of their attributes, for new() takes a tenth of a small fit's time.)
term_structures <- function(theta, columns, diagonal, prototypes) {
  diagonal <- diagonal %||% logical(length(columns))
  number <- parameters_of(columns, diagonal)
  last <- cumsum(number)
  lapply(seq_along(columns), function(term) {
    covariance <- if (diagonal[term]) prototypes$diagonal else prototypes$unstructured
    attr(covariance, "nc") <- as.integer(columns[term])
    attr(covariance, "par") <- theta[last[term] - number[term] + seq_len(number[term])]
    covariance
  })
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
      pp_fields = `environment<-`(pp_fields, namespace), pp_source = `environment<-`(pp_source, namespace),
      resp_fields = `environment<-`(resp_fields, namespace), resp_source = `environment<-`(resp_source, namespace),
      functions = lapply(c(pp_functions, list(all_columns = all_columns)), `environment<-`, namespace),
      covariances = covariance_prototypes(namespace),
      dims = dimension_template(), checks = convergence_rules()
    )
  }
  cache$classes
}

# NULL where lme4 knows no structures.
covariance_prototypes <- function(namespace) {
  if (!methods::isClass("Covariance.us", where = namespace)) return(NULL)
  new <- function(name) methods::new(methods::getClass(name, where = namespace))
  list(unstructured = new("Covariance.us"), diagonal = new("Covariance.diag"))
}

# What lme4 keeps in devcomp$dims grows with its versions. What has a name known here is computed; the rest is what lme4 gives any
# linear mixed model.
dimensions <- function(fit, parts) {
  n <- nrow(parts$x)
  p <- ncol(parts$x)
  number <- length(fit$theta)
  dims <- lme4_classes()$dims
  dims[known_dimensions] <- c(
    n, n, p, n - p, length(fit$u), number, 1L, length(parts$cnms), 0L, if (fit$reml) p else 0L, 0L, 0L
  )
  if ("npar" %in% names(dims)) dims[["npar"]] <- number
  dims
}

criterion_parts <- function(fit, parts) {
  n <- parts$n %||% nrow(parts$x)
  pwrss <- fit$pwrss
  values <- c(fit$ldL2, fit$ldRX2, fit$wrss, fit$ussq, pwrss, NA, NA, NA, sqrt(pwrss / n), sqrt(pwrss / (n - ncol(parts$x))))
  names(values) <- c("ldL2", "ldRX2", "wrss", "ussq", "pwrss", "drsum", "REML", "dev", "sigmaML", "sigmaREML")
  values[if (fit$reml) 7L else 8L] <- fit$criterion
  values
}

# The names of the fixed effects.
fixed_names <- function(object) {
  colnames(engine_mark(object)$absorbed %||% get("X", envir = attr(object@pp, ".xData")))
}

# Is the model in a fit's slots the one that the engine would make of its grouping factors and columns? Packages that take lme4's modular
# functions (gamm4, pedigreemm and others with relatedness matrices, multiple membership or spatial terms) put another Zt, Lambda,
# weights or offset into an object of the same class, which then says nothing of it.
is_model_of_slots <- function(fit, diagonal) {
  pp <- fit@pp
  resp <- fit@resp
  if (!identical(class(pp)[1L], "merPredD") || !identical(class(resp)[1L], "lmerResp")) return(FALSE)
  z <- term_columns(pp$Zt, fit@flist, lengths(fit@cnms), fit@Gp)
  known <- list(pp = list(X = pp$X, theta = fit@theta), flist = fit@flist, z = z, diagonal = diagonal)
  source <- list2env(known, parent = asNamespace("lme4"))
  make <- function(name) {
    assign(name, `environment<-`(pp_functions[[name]], source), envir = source)
    source[[name]]()
  }
  relative <- make("relative_factor")
  identical(relative$Lind, pp$Lind) && has_same_entries(relative$Lambdat, pp$Lambdat, values = FALSE) &&
    has_same_entries(make("transposed_model_matrix"), drop0(pp$Zt)) &&
    all(resp$weights == (fit@frame[["(weights)"]] %||% 1)) && all(resp$offset == (stats::model.offset(fit@frame) %||% 0))
}

has_same_entries <- function(a, b, values = TRUE) {
  identical(a@Dim, b@Dim) && identical(a@p, b@p) && identical(a@i, b@i) && (!values || identical(a@x, b@x))
}

# The environment `.fastlmer` of an engine fit, or NULL.
engine_mark <- function(fit) {
  get0(".fastlmer", envir = attr(fit@pp, ".xData"), mode = "environment", inherits = FALSE)
}
