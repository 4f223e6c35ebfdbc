# The vocabulary of bootstrap statistics: per word `is`, the function it must be, and `value`, a function of the call's unevaluated
# arguments. See boot-vocabulary.R.
words <- function() {
  if (is.null(cache$words)) cache$words <- c(model_words(), value_words(), syntax_words())
  cache$words
}

word <- function(is, value) list(is = is, value = value)

# What is read off a fit ---------------------------------------------------------------------------------------------------------------

model_words <- function() {
  list(
    fixef = word(lme4::fixef, of_fit(function(x, batch, ...) batch_value(batch$beta, lme4::fixef(x)))),
    sigma = word(stats::sigma, of_fit(function(x, batch, ...) batch_value(rbind(batch$sigma), stats::sigma(x)))),
    getME = word(lme4::getME, function(arguments, where, model) {
      require_fit(arguments[[1L]], where, model)
      name <- value_of(arguments[[2L]], where, model)
      batch <- model$batch
      m <- switch(name, theta = batch$theta, beta = , fixef = batch$beta, sigma = rbind(batch$sigma), not_ours())
      batch_value(m, lme4::getME(model$x, name))
    }),
    isSingular = word(lme4::isSingular, of_fit(function(x, batch, ...) batch_value(rbind(batch$singular), lme4::isSingular(x)))),
    logLik = word(stats::logLik, of_fit(function(x, batch, ...) batch_value(rbind(-batch$criterion / 2), stats::logLik(x)))),
    REMLcrit = word(lme4::REMLcrit, of_fit(function(x, batch, record, ...) {
      if (!record$reml) not_ours()
      batch_value(rbind(batch$criterion), lme4::REMLcrit(x))
    })),
    deviance = word(stats::deviance, of_fit(function(x, batch, record, ...) {
      if (record$reml) not_ours()
      batch_value(rbind(batch$criterion), stats::deviance(x))
    })),
    AIC = word(stats::AIC, of_fit(function(x, batch, ...) information_criterion(x, batch, 2, stats::AIC))),
    BIC = word(stats::BIC, of_fit(function(x, batch, ...) information_criterion(x, batch, log(stats::nobs(x)), stats::BIC))),
    VarCorr = word(lme4::VarCorr, of_fit(function(x, batch, record, ...) batch_covariances(x, batch, record))),
    ranef = word(lme4::ranef, function(arguments, where, model) {
      require_fit(arguments[[1L]], where, model)
      if (length(arguments) > 1L && !all(names(arguments)[-1L] %in% "condVar")) not_ours()
      batch_modes(model)
    }),
    predict = word(stats::predict, function(arguments, where, model) batch_predictions(arguments, where, model))
  )
}

# A word whose only argument is the fit.
of_fit <- function(value) {
  function(arguments, where, model) {
    if (length(arguments) != 1L) not_ours()
    require_fit(arguments[[1L]], where, model)
    value(model$x, model$batch, model$record)
  }
}

require_fit <- function(argument, where, model) if (!inherits(value_of(argument, where, model), "batch_fit")) not_ours()

information_criterion <- function(x, batch, penalty, f) {
  batch_value(rbind(batch$criterion + penalty * attr(stats::logLik(x), "df")), f(x))
}

# VarCorr(f): a list of covariance matrices. Their standard deviations and correlations are attributes, and as.data.frame() makes a table of
# them: both are kept beside.
batch_covariances <- function(x, batch, record) {
  t <- lme4::VarCorr(x)
  columns <- lengths(record$cnms)
  last <- cumsum(columns * (columns + 1L) / 2L)
  of_term <- function(k, last) {
    size <- k * (k + 1L) / 2L
    term_covariance(batch$theta[last - size + seq_len(size), , drop = FALSE], k, batch$sigma)
  }
  terms <- Map(of_term, columns, last)
  plain <- lapply(t, function(v) structure(as.numeric(v), dim = dim(v), dimnames = dimnames(v)))
  value <- batch_value(do.call(rbind, lapply(terms, `[[`, "covariance")), plain)
  structure(value, class = c("batch_covariances", "batch_value"), terms = terms, original = t, sigma = batch$sigma)
}

# Covariances (k x k), standard deviations and correlations of one term from theta, a column per replicate.
term_covariance <- function(theta, k, sigma) {
  position <- matrix(0L, k, k)
  position[lower.tri(position, diag = TRUE)] <- seq_len(nrow(theta))
  scaled <- theta * rep(sigma, each = nrow(theta))
  entry <- function(i, j) {
    common <- seq_len(min(i, j))
    colSums(scaled[position[i, common], , drop = FALSE] * scaled[position[j, common], , drop = FALSE])
  }
  cells <- expand.grid(i = seq_len(k), j = seq_len(k))
  covariance <- t(matrix(mapply(entry, cells$i, cells$j), ncol = nrow(cells)))
  sd <- sqrt(covariance[(seq_len(k) - 1L) * k + seq_len(k), , drop = FALSE])
  correlation <- covariance / sd[cells$i, , drop = FALSE] / sd[cells$j, , drop = FALSE]
  correlation[cells$i == cells$j, ] <- 1
  list(covariance = covariance, stddev = sd, correlation = correlation)
}

covariance_table <- function(value) {
  t <- as.data.frame(attr(value, "original"))
  terms <- attr(value, "terms")
  sigma <- attr(value, "sigma")
  below <- lapply(terms, function(term) which(lower.tri(diag(nrow(term$stddev)))))
  vcov <- Map(function(term, below) rbind(term$stddev^2, term$covariance[below, , drop = FALSE]), terms, below)
  sdcor <- Map(function(term, below) rbind(term$stddev, term$correlation[below, , drop = FALSE]), terms, below)
  batch_value(rbind(do.call(rbind, vcov), sigma^2, do.call(rbind, sdcor), sigma, deparse.level = 0), t)
}

# ranef(f): a data frame per grouping factor. The batch has b by term, level and column.
batch_modes <- function(model) {
  model$memo$modes <- TRUE
  record <- model$record
  columns <- lengths(record$cnms)
  sizes <- record$nlev[record$asgn] * columns
  first <- cumsum(c(0L, sizes))
  rows <- unlist(lapply(seq_along(record$flist), function(i) {
    lapply(which(record$asgn == i), function(term) {
      k <- columns[[term]]
      first[[term]] + unlist(lapply(seq_len(k), function(column) (seq_len(record$nlev[i]) - 1L) * k + column))
    })
  }))
  t <- lapply(unclass(lme4::ranef(model$x, condVar = FALSE)), function(modes) modes)
  value <- batch_value(model$batch$b[rows, , drop = FALSE], t)
  value
}

# predict(f, newdata = , re.form = ): linear in beta and b. The coefficients are lme4's own predictions from unit vectors.
batch_predictions <- function(arguments, where, model) {
  names <- names(arguments) %||% rep("", length(arguments))
  names[names == ""] <- setdiff(c("object", "newdata"), names)[seq_len(sum(names == ""))]
  names(arguments) <- names
  if (!"newdata" %in% names || !all(names %in% c("object", "newdata", "re.form", "allow.new.levels", "type"))) not_ours()
  require_fit(arguments$object, where, model)
  arguments <- arguments[names != "object"]
  map <- remembered(model, arguments, function() {
    prediction_map(model, lapply(arguments, value_of, where = where, model = model))
  })
  m <- map$constant + map$beta %*% model$batch$beta
  if (!is.null(map$modes)) {
    model$memo$modes <- TRUE
    m <- m + as.matrix(Matrix::crossprod(map$modes, rbind(0, model$batch$b)[map$rows + 1L, , drop = FALSE]))
  }
  batch_value(m, map$t)
}

# A value computed once for the same code, in the interpreter's memory.
remembered <- function(model, code, compute) {
  key <- paste(deparse(code), collapse = "")
  if (is.null(model$memo[[key]])) assign(key, compute(), envir = model$memo)
  model$memo[[key]]
}

prediction_map <- function(model, given) {
  if (!is.data.frame(given$newdata)) not_ours()
  x <- model$x
  ask <- function(x, ...) do.call(stats::predict, c(list(x), utils::modifyList(given, list(...), keep.null = TRUE)))
  t <- ask(x)
  p <- length(x@beta)
  at <- function(beta) {
    x@beta <- beta
    as.numeric(ask(x, re.form = NA))
  }
  constant <- at(numeric(p))
  beta <- vapply(seq_len(p), function(j) at(replace(numeric(p), j, 1)) - constant, numeric(length(constant)))
  map <- list(t = t, constant = constant, beta = matrix(beta, length(constant), p))
  if (is.null(given$re.form) || !keeps_none(given$re.form)) c(map, mode_map(model, given)) else map
}

# Which conditional modes a prediction takes, and times what: lme4's own answer for the model whose modes are 1, 2, 3, ...
mode_map <- function(model, given) {
  x <- model$x
  x@theta <- as.numeric(model$record$lower == 0)
  x@u <- as.numeric(seq_along(x@u))
  kept <- given$re.form %||% stats::formula(x, random.only = TRUE)[-2L]
  new_levels <- isTRUE(given$allow.new.levels)
  terms <- new_terms(x, given$newdata, kept, new_levels)
  list(modes = terms$Zt, rows = as.integer(round(terms$b)))
}

# What is computed from values -------------------------------------------------------------------------------------------------------

value_words <- function() {
  pick <- function(f) {
    word(f, function(arguments, where, model) {
      values <- lapply(arguments, value_of, where = where, model = model)
      if (any(vapply(values[-1L], is_batch_value, NA))) not_ours()
      do.call(rearranged, c(list(f), unname(values[1L]), values[-1L]))
    })
  }
  elementwise <- function(f) {
    word(f, function(arguments, where, model) {
      values <- lapply(arguments, value_of, where = where, model = model)
      do.call(elementwise_value, c(list(f), unname(values)))
    })
  }
  shape <- function(f) {
    word(f, function(arguments, where, model) {
      values <- lapply(arguments, value_of, where = where, model = model)
      do.call(f, lapply(values, function(value) if (is_batch_value(value)) value$t else value))
    })
  }
  summary <- function(f, columns) {
    word(f, function(arguments, where, model) {
      values <- lapply(arguments, value_of, where = where, model = model)
      if (length(values) != 1L || !is_batch_value(values[[1L]])) return(constant_value(f, values))
      batch_value(rbind(columns(values[[1L]]$m)), f(values[[1L]]$t))
    })
  }
  constant <- function(f) {
    word(f, function(arguments, where, model) {
      constant_value(f, lapply(arguments, value_of, where = where, model = model))
    })
  }
  by_column <- function(f) function(m) apply(m, 2L, f)
  picks <- list(unname = unname, setNames = stats::setNames, as.vector = as.vector, as.numeric = as.numeric, as.double = as.double,
    drop = drop, t = t, rev = rev, head = utils::head, tail = utils::tail, diag = diag, unlist = unlist, as.matrix = as.matrix)
  elements <- list(`+` = `+`, `-` = `-`, `*` = `*`, `/` = `/`, `^` = `^`, `>` = `>`, `<` = `<`, `>=` = `>=`, `<=` = `<=`, sqrt = sqrt,
    exp = exp, log = log, log2 = log2, log10 = log10, log1p = log1p, expm1 = expm1, abs = abs, tanh = tanh, atanh = atanh,
    plogis = stats::plogis, pnorm = stats::pnorm)
  shapes <- list(names = names, length = length, nrow = nrow, ncol = ncol, dim = dim, rownames = rownames, colnames = colnames,
    seq_along = seq_along, lower.tri = lower.tri, upper.tri = upper.tri)
  constants <- list(`:` = `:`, `==` = `==`, `!=` = `!=`, `&` = `&`, `|` = `|`, `!` = `!`, is.na = is.na, `%in%` = `%in%`, which = which,
    paste = paste, paste0 = paste0, grepl = grepl, grep = grep, seq_len = seq_len, seq = seq, rep = rep, data.frame = data.frame,
    expand.grid = expand.grid, factor = factor)
  c(
    lapply(picks, pick), lapply(elements, elementwise), lapply(shapes, shape), lapply(constants, constant),
    list(
      sum = summary(sum, colSums), mean = summary(mean, colMeans), prod = summary(prod, by_column(prod)),
      max = summary(max, by_column(max)), min = summary(min, by_column(min)),
      c = word(c, function(arguments, where, model) combined(lapply(arguments, value_of, where = where, model = model))),
      attr = word(attr, attribute_value),
      as.data.frame = word(as.data.frame, function(arguments, where, model) {
        value <- value_of(arguments[[1L]], where, model)
        if (length(arguments) > 1L || !inherits(value, "batch_covariances")) not_ours()
        covariance_table(value)
      })
    )
  )
}

constant_value <- function(f, values) {
  if (any(vapply(values, is_batch_value, NA)) || any(vapply(values, inherits, NA, "batch_fit"))) not_ours()
  do.call(f, values)
}

# Element by element, with R's recycling.
elementwise_value <- function(f, ...) {
  values <- list(...)
  batches <- vapply(values, is_batch_value, NA)
  if (!any(batches)) return(f(...))
  if (any(vapply(values, inherits, NA, "batch_fit"))) not_ours()
  t <- do.call(f, lapply(values, function(value) if (is_batch_value(value)) value$t else value))
  if (!is.atomic(t)) not_ours()
  rows <- lapply(values, function(value) {
    if (is_batch_value(value)) value$m[rep_len(seq_len(nrow(value$m)), length(t)), , drop = FALSE] else rep_len(as.vector(value), length(t))
  })
  batch_value(do.call(f, rows), t)
}

combined <- function(values) {
  batches <- vapply(values, is_batch_value, NA)
  if (!any(batches)) return(constant_value(c, values))
  plain <- function(value) if (is_batch_value(value) && is.object(value$t)) batch_value(value$m, c(as.numeric(value$t))) else value
  values <- lapply(values, plain)
  if (!all(vapply(values, function(value) is.atomic(if (is_batch_value(value)) value$t else value), NA))) not_ours()
  count <- ncol(values[[which(batches)[1L]]]$m)
  rows <- lapply(values, function(value) if (is_batch_value(value)) value$m else matrix(as.numeric(value), length(value), count))
  batch_value(do.call(rbind, unname(rows)), do.call(c, lapply(values, function(value) if (is_batch_value(value)) value$t else value)))
}

# attr(VarCorr(f)[[1]], "stddev") and its like.
attribute_value <- function(arguments, where, model) {
  value <- value_of(arguments[[1L]], where, model)
  name <- value_of(arguments[[2L]], where, model)
  if (inherits(value, "batch_covariances") && identical(name, "sc")) {
    return(batch_value(rbind(attr(value, "sigma")), attr(attr(value, "original"), "sc")))
  }
  beside <- if (is_batch_value(value)) attr(value, "beside")
  if (is.null(beside) || !name %in% names(beside)) not_ours()
  beside[[name]]
}

# Syntax -------------------------------------------------------------------------------------------------------------------------------

syntax_words <- function() {
  list(
    `{` = word(`{`, function(arguments, where, model) {
      value <- NULL
      for (statement in arguments) {
        value <- value_of(statement, where, model)
        if (is.call(statement) && identical(statement[[1L]], as.name("return"))) break
      }
      value
    }),
    `(` = word(`(`, function(arguments, where, model) value_of(arguments[[1L]], where, model)),
    `~` = word(`~`, function(arguments, where, model) eval(as.call(c(quote(`~`), arguments)), where$env)),
    `::` = word(`::`, function(arguments, where, model) {
      value <- eval(as.call(c(quote(`::`), arguments)), baseenv())
      if (is.atomic(value) || is.data.frame(value)) value else not_ours()
    }),
    `<-` = word(`<-`, assigned),
    `=` = word(`=`, assigned),
    return = word(get("return", baseenv()), function(arguments, where, model) value_of(arguments[[1L]], where, model)),
    `[` = word(`[`, function(arguments, where, model) picked(`[`, arguments, where, model)),
    `[[` = word(`[[`, function(arguments, where, model) picked(`[[`, arguments, where, model)),
    `$` = word(`$`, function(arguments, where, model) picked(`[[`, list(arguments[[1L]], as.character(arguments[[2L]])), where, model))
  )
}

assigned <- function(arguments, where, model) {
  if (!is.name(arguments[[1L]])) not_ours()
  value <- value_of(arguments[[2L]], where, model)
  if (is.null(value)) not_ours()
  assign(as.character(arguments[[1L]]), value, envir = where$scope)
  value
}

# Indexing. Empty arguments as in v[, 1] stay empty.
picked <- function(f, arguments, where, model) {
  value <- value_of(arguments[[1L]], where, model)
  index <- lapply(arguments[-1L], function(argument) {
    if (identical(argument, quote(expr = ))) return(argument) # nolint: spaces_inside_linter.
    value_of(argument, where, model)
  })
  if (any(vapply(index, is_batch_value, NA)) || inherits(value, "batch_fit")) not_ours()
  picker <- function(value) do.call(f, c(list(value), index))
  if (!is_batch_value(value)) return(picker(value))
  result <- rearranged(picker, value)
  if (inherits(value, "batch_covariances") && identical(f, `[[`)) result <- with_beside(result, value, index[[1L]])
  result
}

# One term's covariance matrix, with what its attributes hold.
with_beside <- function(result, value, index) {
  original <- attr(value, "original")
  at <- if (is.character(index)) match(index, names(original)) else index
  term <- attr(value, "terms")[[at]]
  structure(result, beside = list(
    stddev = batch_value(term$stddev, attr(original[[at]], "stddev")),
    correlation = batch_value(term$correlation, attr(original[[at]], "correlation"))
  ))
}
