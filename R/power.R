#' Power of a test over sample sizes and effect sizes
#'
#' Draws responses from a fitted model, refits the model to each and counts how often a test rejects. The design is made larger or smaller
#' along a grouping factor, and the tested effects take the values that are asked for. All refits of a design are one call of the engine.
#'
#' @section How a design grows:
#' A level of `along` brings all of its rows. Where more levels are asked for than there are, the design is repeated with new levels; where
#' fewer, those are taken whose mean of the fixed effects' columns stays nearest to that of all levels, so that groups of subjects stay as
#' balanced as they were. A factor whose levels lie within levels of `along` gets new levels with them; one that is crossed with it
#' keeps its own.
#'
#' @param fit a fitted linear mixed model: its design, variances and fixed effects are those of the population, unless `effects` or
#'   `newparams` say otherwise.
#' @param test what is tested to be zero: names of coefficients or of terms of the fixed effects (several are tested jointly), or a
#'   contrast matrix with a column per coefficient.
#' @param along name of the grouping factor to change the number of levels of; `NULL` for the design as it is.
#' @param sizes numbers of levels of `along`.
#' @param effects a named list of values that coefficients may have, in the units of `fixef(fit)`: all combinations are tried.
#' @param nsim number of responses for each combination.
#' @param method `"t"`: t or F test with Satterthwaite's degrees of freedom; `"z"`: Wald test with the normal or chi-squared distribution;
#'   `"lrt"`: likelihood ratio test of both models' fits by maximum likelihood, with the chi-squared distribution.
#' @param alpha level of the test.
#' @param newparams a list that may have `beta`, `theta` and `sigma` of the population, as [getME()] gives them.
#' @param conf.level of the interval for the power.
#' @param seed one whole number, drawn from R's generator when it is `NULL`. Every response has a random stream of its own, as with
#'   `rng = "pcg64"` in [bootMer()]: the result depends on the seed alone.
#' @param threads threads to compute on, as in [bootMer()].
#' @return An object of class `power_table`, a data frame with a row per combination: the number of levels, the values of `effects`, `nsim`,
#'   the `power` (share of rejections; a response that can't be fitted doesn't reject) with its Clopper-Pearson interval `conf.low` and
#'   `conf.high`, `singular` and `failed`, the shares of singular and of failed fits.
#'   [autoplot()][autoplot.power_table] and `plot()` draw it.
#' @references Clopper, C. J. and Pearson, E. S. (1934) The use of confidence or fiducial limits illustrated in the case of the binomial.
#'   *Biometrika* 26, 404-413. \doi{10.1093/biomet/26.4.404}
#' @examples
#' fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#' power <- simulate_power(
#'   fit, "Days", along = "Subject", sizes = c(6, 12, 18), effects = list(Days = c(3, 6)),
#'   nsim = 100, seed = 1
#' )
#' power
#' if (requireNamespace("ggplot2")) plot(power)
#' @export
simulate_power <- function(fit, test, along = NULL, sizes = NULL, effects = NULL, nsim = 1000, method = c("t", "z", "lrt"), alpha = 0.05,
                           newparams = NULL, conf.level = 0.95, seed = NULL, threads = default_threads()) {
  method <- match.arg(method)
  refuse_without_rows(fit, "simulate_power()")
  record <- engine_of(fit)
  if (is.null(record)) fail("argument", "'fit' must be a linear mixed model")
  check_share(alpha, "alpha")
  check_share(conf.level, "conf.level")
  record <- power_record(record, newparams)
  plan <- list(
    contrast = tested_contrast(test, fit, record$x), nsim = checked_nsim(nsim), method = method, alpha = alpha, seed = pcg_seed(seed),
    threads = threads, tested = if (is.character(test)) test
  )
  sizes <- power_sizes(record, along, sizes)
  effects <- power_effects(record, effects)
  cells <- expand.grid(effect = seq_along(effects$beta), size = seq_along(sizes))
  progress <- progress_bar("none", list(), nrow(cells) * plan$nsim)
  on.exit(progress$close())
  counts <- lapply(seq_along(sizes), function(s) {
    design <- grown_record(record, along, sizes[[s]])
    lapply(which(cells$size == s), function(cell) {
      report <- function(done) progress$set((cell - 1) * plan$nsim + done)
      power_counts(design, effects$beta[[cells$effect[[cell]]]], plan, report, progress$shown)
    })
  })
  design <- if (!is.null(along)) stats::setNames(data.frame(sizes[cells$size]), along)
  new_power_table(unlist(counts, recursive = FALSE), design, effects$values[cells$effect, , drop = FALSE], plan, fit, conf.level)
}

checked_nsim <- function(nsim) {
  if (!is.numeric(nsim) || length(nsim) != 1L || is.na(nsim) || nsim < 1) fail("argument", "'nsim' must be a positive number")
  as.integer(nsim)
}

# The population: the fit's design with the parameters that responses are drawn from.
power_record <- function(record, newparams) {
  known <- c("beta", "theta", "sigma")
  if (!is.null(newparams) && (!is.list(newparams) || !all(names(newparams) %in% known) || is.null(names(newparams)))) {
    fail("argument", "'newparams' must be a list with names among ", paste(sQuote(known), collapse = ", "))
  }
  for (name in names(newparams)) {
    value <- newparams[[name]]
    if (!is.numeric(value) || length(value) != length(record[[name]]) || !all(is.finite(value))) {
      fail("argument", sprintf("'newparams$%s' must have %d finite numbers", name, length(record[[name]])))
    }
    record[[name]] <- as.numeric(value)
  }
  if (is_absorbed(record$x)) record$x <- as.matrix(record$x)
  record
}

# A row per tested combination of coefficients.
tested_contrast <- function(test, fit, x) {
  names <- fixed_names(fit)
  if (is.numeric(test)) {
    contrast <- if (is.matrix(test)) test else rbind(test)
    if (ncol(contrast) != length(names)) {
      fail("argument", sprintf("'test' has %d columns, the model %d fixed effects", ncol(contrast), length(names)))
    }
    if (!all(is.finite(contrast)) || qr(contrast)$rank < nrow(contrast)) fail("argument", "'test' must have finite, independent rows")
    return(unname(contrast))
  }
  if (!is.character(test) || !length(test)) fail("argument", "'test' must be names of fixed effects or a contrast matrix")
  labels <- attr(stats::terms(fit), "term.labels")
  assign <- attr(x, "assign")
  columns <- lapply(test, function(name) {
    if (name %in% names) which(names == name) else which(assign == match(name, labels, nomatch = -1L))
  })
  unknown <- test[!lengths(columns)]
  if (length(unknown)) {
    fail("argument", "no fixed effect or term is called ", paste(sQuote(unknown), collapse = ", "), "; there are ",
      paste(sQuote(unique(c(names, labels))), collapse = ", "))
  }
  diag(length(names))[unique(unlist(columns)), , drop = FALSE]
}

power_sizes <- function(record, along, sizes) {
  if (is.null(along)) {
    if (!is.null(sizes)) fail("argument", "'sizes' needs 'along', the grouping factor whose levels they number")
    return(NA)
  }
  if (!is.character(along) || length(along) != 1L || !along %in% names(record$flist)) {
    fail("argument", "'along' must be the name of a grouping factor: ", paste(sQuote(names(record$flist)), collapse = ", "))
  }
  sizes <- sizes %||% record$nlev[[match(along, names(record$flist))]]
  if (!is.numeric(sizes) || !length(sizes) || anyNA(sizes) || any(sizes < 2) || any(sizes != round(sizes))) {
    fail("argument", "'sizes' must be whole numbers of at least 2")
  }
  sizes
}

# All combinations of the values that coefficients may have: `values`, a row each, and `beta`, the coefficients of each.
power_effects <- function(record, effects) {
  names <- colnames(record$x)
  if (is.null(effects)) return(list(values = data.frame(row.names = 1L), beta = list(record$beta)))
  if (is.numeric(effects)) effects <- as.list(effects)
  if (!is.list(effects) || is.null(names(effects)) || !all(vapply(effects, is.numeric, NA)) || !all(is.finite(unlist(effects)))) {
    fail("argument", "'effects' must be a named list of numbers")
  }
  unknown <- setdiff(names(effects), names)
  if (length(unknown)) {
    fail("argument", "'effects' names ", paste(sQuote(unknown), collapse = ", "), ", which is no fixed effect; there are ",
      paste(sQuote(names), collapse = ", "))
  }
  values <- expand.grid(effects, KEEP.OUT.ATTRS = FALSE)
  list(values = values, beta = lapply(seq_len(nrow(values)), function(i) {
    replace(record$beta, match(names(values), names), as.numeric(values[i, ]))
  }))
}

# The design with another number of levels of a grouping factor.
grown_record <- function(record, along, size) {
  if (is.null(along)) return(record)
  own <- as.integer(record$flist[[along]])
  number <- nlevels(record$flist[[along]])
  chosen <- c(rep(seq_len(number), size %/% number), spread_levels(record$x, own, number, size %% number))
  rows_of_level <- split(seq_along(own), factor(own, seq_len(number)))
  rows <- rows_of_level[chosen]
  new_level <- rep(seq_along(chosen), lengths(rows))
  copy <- (new_level - 1L) %/% number
  rows <- unlist(rows, use.names = FALSE)
  labels <- lapply(record$flist, function(factor) {
    inner <- is_nested(factor, record$flist[[along]])
    as.integer(factor)[rows] + if (inner) copy * nlevels(factor) else 0L
  })
  labels[[along]] <- new_level
  design <- record_of_rows(record, rows, labels)
  margin <- tryCatch(engine_rank_margin(engine_pointer(design)), fastlmer_engine_error = function(e) 0)
  if (any(margin < 1e-7)) {
    fail("data", sprintf("with %d levels of '%s' the fixed effects can't be told apart; ask for larger 'sizes'", size, along))
  }
  design
}

# `count` levels whose mean of the columns of X stays nearest to that of all levels: each next one is the best of those that are left, the
# first of equals.
spread_levels <- function(x, codes, levels, count) {
  if (count == 0L) return(integer())
  means <- rowsum(x, codes) / tabulate(codes, levels)
  means <- scale(means)
  means <- means[, colSums(is.na(means)) == 0L, drop = FALSE]
  chosen <- integer()
  total <- numeric(ncol(means))
  for (i in seq_len(count)) {
    left <- setdiff(seq_len(levels), chosen)
    distance <- rowSums((means[left, , drop = FALSE] + rep(total, each = length(left)))^2)
    best <- left[which(distance <= min(distance) * (1 + 1e-9) + 1e-12)[1L]]
    chosen <- c(chosen, best)
    total <- total + means[best, ]
  }
  sort(chosen)
}

# How many of the responses drawn from a design are rejected, and how many of their fits are singular or failed.
power_counts <- function(design, beta, plan, report, shown) {
  recipe <- list(mean = as.numeric(design$x %*% beta), sigma = design$sigma, theta = design$theta)
  pieces <- chunk_bounds(plan$nsim, 1L, plan$threads, if (shown) 25L else 1L)
  counts <- lapply(pieces, function(piece) {
    responses <- c(recipe, list(rng = list(seed = plan$seed, first = piece[[1L]], count = piece[[2L]])))
    tested <- power_tests(design, responses, plan)
    report(piece[[1L]] + piece[[2L]] - 1)
    c(
      rejected = sum(tested$p < plan$alpha, na.rm = TRUE), singular = sum(tested$singular, na.rm = TRUE), failed = sum(is.na(tested$p))
    )
  })
  Reduce(`+`, counts)
}

# The p-value of each response, and whether its fit is singular.
power_tests <- function(design, responses, plan) {
  if (plan$method == "lrt") return(likelihood_ratio_tests(design, responses, plan))
  batch <- refit_batch(design, responses, plan$threads, covariance = TRUE, degrees_of_freedom = plan$method == "t")
  p_value <- if (plan$method == "t") satterthwaite_p else wald_p
  fitted <- which(!is.na(batch$converged))
  p <- rep(NA_real_, length(batch$converged))
  p[fitted] <- vapply(fitted, function(i) p_value(batch, i, plan$contrast), 0)
  list(p = p, singular = batch$singular)
}

likelihood_ratio_tests <- function(design, responses, plan) {
  y <- engine_simulate(engine_pointer(design), design$x, design$codes, design$z, design$weights, responses)
  design$reml <- FALSE
  large <- refit_batch(design, list(y = y), plan$threads)
  small <- refit_batch(without_contrast(design, plan$contrast), list(y = y), plan$threads)
  statistic <- pmax(small$criterion - large$criterion, 0)
  list(p = stats::pchisq(statistic, nrow(plan$contrast), lower.tail = FALSE), singular = large$singular)
}

# The model in which the contrast is zero: its columns span what is left of the design's.
without_contrast <- function(design, contrast) {
  x <- design$x
  single <- rowSums(contrast != 0) == 1L
  design$x <- if (all(single)) {
    x[, colSums(contrast != 0) == 0L, drop = FALSE]
  } else {
    x %*% qr.Q(qr(t(contrast)), complete = TRUE)[, -seq_len(nrow(contrast)), drop = FALSE]
  }
  design$cache <- new.env(parent = emptyenv())
  design
}

wald_p <- function(batch, i, contrast) {
  estimate <- contrast %*% batch$beta[, i]
  covariance <- contrast %*% replicate_covariance(batch, i) %*% t(contrast)
  stats::pchisq(sum(estimate * solve(covariance, estimate)), nrow(contrast), lower.tail = FALSE)
}

# NA where the covariance parameters of a replicate are fitted so badly that nothing is known of them.
satterthwaite_p <- function(batch, i, contrast) {
  p <- nrow(batch$beta)
  number <- nrow(batch$theta)
  covariance <- replicate_covariance(batch, i)
  jacobian <- lapply(seq_len(number), function(k) matrix(batch$jacobian[(k - 1L) * p^2 + seq_len(p^2), i], p))
  parts <- list(
    vcov_beta = covariance, vcov_varpar = matrix(batch$vcov_varpar[, i], number + 1L),
    Jac_list = c(jacobian, list(2 / batch$sigma[[i]] * covariance))
  )
  if (anyNA(parts$vcov_varpar)) return(NA_real_)
  tested <- satterthwaite_f(contrast, batch$beta[, i], parts)
  stats::pf(tested$f, nrow(contrast), tested$df, lower.tail = FALSE)
}

replicate_covariance <- function(batch, i) batch$sigma[[i]]^2 * matrix(batch$unsc[, i], nrow(batch$beta))

new_power_table <- function(counts, design, effects, plan, fit, conf.level) {
  counts <- do.call(rbind, counts)
  nsim <- plan$nsim
  rejected <- counts[, "rejected"]
  tail <- (1 - conf.level) / 2
  table <- data.frame(
    nsim = nsim, power = rejected / nsim,
    conf.low = ifelse(rejected == 0, 0, stats::qbeta(tail, rejected, nsim - rejected + 1)),
    conf.high = ifelse(rejected == nsim, 1, stats::qbeta(1 - tail, rejected + 1, nsim - rejected)),
    singular = counts[, "singular"] / nsim, failed = counts[, "failed"] / nsim
  )
  parts <- list(design, if (length(effects)) effects, table)
  structure(
    do.call(cbind, parts[lengths(parts) > 0L]), row.names = seq_len(nrow(table)), class = c("power_table", "data.frame"),
    along = names(design), effects = names(effects), test = plan$contrast, method = plan$method, alpha = plan$alpha, seed = plan$seed,
    formula = stats::formula(fit), tested = plan$tested, conf.level = conf.level,
    coefficients = fixed_names(fit)[colSums(plan$contrast != 0) > 0]
  )
}

#' @export
#' @noRd
print.power_table <- function(x, digits = 3L, ...) {
  words <- c(t = "t or F test with Satterthwaite's degrees of freedom", z = "Wald test", lrt = "likelihood ratio test")
  if (!is.null(attr(x, "method")) && nrow(x)) {
    cat(sprintf("Power of the %s at level %s\n", words[[attr(x, "method")]], format(attr(x, "alpha"))))
    cat("Model:", deparse1(attr(x, "formula")), "\n")
  }
  print(as.data.frame(x), digits = digits, row.names = FALSE, ...)
  invisible(x)
}

#' @export
#' @noRd
as.data.frame.power_table <- function(x, ...) {
  structure(unclass(x)[seq_along(x)], names = names(x), row.names = attr(x, "row.names"), class = "data.frame")
}
