#' Bootstraps of linear mixed models: parametric, residual, case, wild and random-effect block
#'
#' One function for the kinds of bootstrap that are used with mixed models. They differ in what they assume.
#'
#' | `type` | new data | assumes | grouping factors |
#' |---|---|---|---|
#' | `"parametric"` | drawn from the fitted model, as [bootMer()] | the model with normal errors | any |
#' | `"residual"` | modes and residuals, reflated to the estimated variances | the model, but not normality | any, each by itself |
#' | `"case"` | whole groups, and rows in them if asked | independent groups | nested; crossed factors each by itself |
#' | `"wild"` | each group's residuals times a random number | the fixed part, but not equal variances | one, or factors nested in one |
#' | `"reb"` | group means and within-group residuals, drawn in blocks | the model, but not normality or independence within groups | one |
#'
#' **Residual** (Carpenter, Goldstein and Rasbash 2003). Conditional modes vary less than the random effects they estimate, so per term
#' their matrix is multiplied such that its empirical covariance is the estimated one, and residuals likewise.
#'
#' **Case** (Davison and Hinkley 1997, section 3.8; van der Leeden, Meijer and Busing 2008). `resample` says for every grouping factor, and
#' for `.obs`, the rows within the finest groups, whether it is drawn with replacement; what isn't is kept whole. By default the groups that
#' aren't nested in others are drawn. A factor nested in another is drawn within each drawn group of that; crossed factors are drawn each by
#' itself and a row is repeated as often as all its levels demand (the pigeonhole bootstrap of Owen 2007, which is conservative). A group
#' that is drawn twice counts as two groups.
#'
#' **Wild** (Modugno and Giannerini 2015). Residuals are divided by the root of 1 - h (`hccme = "hc2"`) or by 1 - h (`"hc3"`), h
#' the leverage in the fixed part; the group's number has mean 0 and variance 1: `"mammen"` takes two values with third moment 1,
#' `"rademacher"` is a sign, `"normal"` standard normal.
#'
#' **Random-effect block** (Chambers and Chandra 2013). A group's effects are the least-squares coefficients of its marginal residuals on
#' its random-effects columns; groups' effects, and one group's remaining residuals for another group's, are drawn with replacement.
#' `reb_type` 0 takes them as they are, 1 centres and scales them to the estimated variances first, 2 adjusts the replicates' estimates
#' afterwards: they are centred at the original estimates, and the logarithms of the variances made uncorrelated (for a random intercept,
#' and a statistic of the vocabulary in [bootMer()]).
#'
#' @param fit a fitted linear mixed model.
#' @param FUN a function of a fit that returns a numeric vector, as for [bootMer()].
#' @param nsim number of replicates.
#' @param type the kind of bootstrap.
#' @param seed a seed for [set.seed()], or `NULL`. As in lme4 the session's random numbers go on from there: within a loop that makes data,
#'   leave it out, or all data sets are alike.
#' @param resample for `"case"`: a named logical vector, of grouping factors and `.obs`.
#' @param hccme,aux for `"wild"`: the leverage correction and the distribution of the groups' numbers.
#' @param reb_type for `"reb"`: 0, 1 or 2.
#' @param threads as in [bootMer()].
#' @param ... for `"parametric"`: other arguments of [bootMer()].
#' @return An object of class `c("bootMer", "boot")` as that of [bootMer()], with the kind in its element `resampling`.
#' @references Carpenter, J. R., Goldstein, H. and Rasbash, J. (2003) A novel bootstrap procedure for assessing the relationship between
#'   class size and achievement. *Applied Statistics* 52, 431-443. \doi{10.1111/1467-9876.00415}
#'
#'   Chambers, R. and Chandra, H. (2013) A random effect block bootstrap for clustered data. *Journal of Computational and Graphical
#'   Statistics* 22, 452-470. \doi{10.1080/10618600.2012.681216}
#'
#'   Davison, A. C. and Hinkley, D. V. (1997) *Bootstrap Methods and Their Application*. Cambridge University Press.
#'
#'   Modugno, L. and Giannerini, S. (2015) The wild bootstrap for multilevel models. *Communications in Statistics - Theory and Methods* 44,
#'   4812-4825. \doi{10.1080/03610926.2013.802807}
#'
#'   Owen, A. B. (2007) The pigeonhole bootstrap. *Annals of Applied Statistics* 1, 386-411. \doi{10.1214/07-AOAS122}
#'
#'   van der Leeden, R., Meijer, E. and Busing, F. M. T. A. (2008) Resampling multilevel models. In de Leeuw and Meijer (eds) *Handbook of
#'   Multilevel Analysis*, 401-433. Springer. \doi{10.1007/978-0-387-73186-5_11}
#' @seealso [boot_intervals()] for confidence intervals, [bootMer()]
#' @examples
#' fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#' kinds <- c("parametric", "residual", "case", "wild", "reb")
#' se <- sapply(kinds, function(kind) apply(boot_resample(fit, fixef, 200, kind, seed = 1)$t, 2, sd))
#' se
#'
#' # crossed factors
#' crossed <- lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)
#' boot_resample(crossed, fixef, 50, "residual", seed = 1)
#' boot_resample(crossed, fixef, 50, "case", resample = c(plate = TRUE, sample = FALSE), seed = 1)
#' @export
boot_resample <- function(fit, FUN, nsim, type = c("parametric", "residual", "case", "wild", "reb"), seed = NULL, resample = NULL,
                          hccme = c("hc3", "hc2"), aux = c("mammen", "rademacher", "normal"), reb_type = 0,
                          threads = default_threads(), ...) {
  call <- match.call()
  type <- match.arg(type)
  FUN <- match.fun(FUN)
  refuse_without_rows(fit, "boot_resample()")
  record <- engine_of(fit)
  if (is.null(record)) fail("argument", "'fit' must be a linear mixed model")
  stopifnot((nsim <- as.integer(nsim[1L])) > 0L)
  if (type == "parametric") {
    boot <- bootMer(fit, FUN, nsim, seed = seed, threads = threads, ...)
    boot$call <- call
    boot$resampling <- type
    return(boot)
  }
  if (...length()) fail("argument", "only type = \"parametric\" has other arguments, those of bootMer()")
  if (!is.null(seed)) set.seed(seed)
  state <- generator_state()
  t0 <- FUN(fit)
  if (!is.numeric(t0)) fail("argument", "'FUN' must return a numeric vector")
  plan <- list(
    x = as_engine_fit(fit, record), record = record, FUN = FUN, t0 = t0, nsim = nsim, threads = threads, verbose = FALSE,
    control = call_control(fit, parent.frame()), draws = !identical(state, generator_state())
  )
  progress <- progress_bar("none", list(), nsim)
  result <- if (type == "case") {
    run_cases(plan, case_levels(record, resample), progress)
  } else {
    plan$statistic <- vectorised_statistic(FUN, plan$x, record, t0)
    draw <- switch(type,
      residual = residual_draws(plan), wild = wild_draws(plan, match.arg(hccme), match.arg(aux)), reb = reb_draws(plan, reb_type)
    )
    chunks <- chunk_bounds(nsim, length(record$y), threads)
    if (type == "reb" && reb_type == 2) {
      plan <- adjusting_plan(plan)
      chunks <- list(c(1, nsim))
    }
    source <- drawn_source(chunks, NULL, draw, plan$draws, function(first, second) list(y = second))
    run_replicates(plan, source, list(count = 1L), progress)
  }
  boot <- new_bootmer(fit, plan, result, call, generator_state(), sim = "ordinary", ran.gen = type)
  boot$resampling <- type
  boot
}

# Pieces that the kinds share ------------------------------------------------------------------------------------------------------------

# X beta, without the offset.
fixed_part <- function(record) as.numeric(columns_times(record$x, record$beta))

# Z b for a list of one matrix of effects (levels x columns) per term.
random_part <- function(record, effects) {
  parts <- lapply(seq_along(effects), function(term) {
    rows <- effects[[term]][record$codes[[record$asgn[term]]], , drop = FALSE]
    if (is.null(record$z[[term]])) rows[, 1L] else unname(rowSums(record$z[[term]] * rows))
  })
  Reduce(`+`, parts)
}

# The conditional modes as such a list.
term_effects <- function(record, u) {
  columns <- lengths(record$cnms)
  b <- split(effects_of(u, record), rep.int(seq_along(columns), record$nlev[record$asgn] * columns))
  unname(Map(function(b, k) matrix(b, ncol = k, byrow = TRUE), b, columns))
}

# Per term the estimated covariance of the effects.
term_covariances <- function(record) {
  lapply(relative_factors(record$theta, lengths(record$cnms)), function(factor) record$sigma^2 * tcrossprod(factor))
}

# Per row a square-root weight.
root_weights <- function(record) if (is.null(record$weights)) rep(1, length(record$y)) else sqrt(record$weights)

# The columns of `effects`, centred, times a matrix such that their empirical covariance is `target`. Directions in which the effects
# don't vary stay at zero.
reflated <- function(effects, target) {
  effects <- scale(effects, scale = FALSE)
  empirical <- crossprod(effects) / nrow(effects)
  matrix(effects %*% inverse_root(empirical) %*% root(target), nrow(effects))
}

root <- function(s) {
  e <- eigen(s, symmetric = TRUE)
  e$vectors %*% (sqrt(pmax(e$values, 0)) * t(e$vectors))
}

inverse_root <- function(s) {
  e <- eigen(s, symmetric = TRUE)
  kept <- e$values > 1e-10 * max(e$values, 0)
  e$vectors %*% (ifelse(kept, 1 / sqrt(ifelse(kept, e$values, 1)), 0) * t(e$vectors))
}

# Replicates as columns.
columns_of <- function(count, n, draw) vapply(seq_len(count), function(i) draw(), numeric(n))
