#' Bootstrap likelihood ratio test of nested linear mixed models
#'
#' Draws responses from the smaller model, fits both models to each by maximum likelihood and compares the likelihood ratio statistic of
#' the data with those of the draws. It needs no asymptotic theory, and so holds in small samples and, for variances, at the boundary of the
#' parameter space, where the chi-squared distribution is wrong. The result is laid out as that of [pbkrtest::PBmodcomp()].
#'
#' @param large,small nested linear mixed models of the same data. Models fitted by REML are refitted by maximum likelihood. `small` may
#'   also be a formula, for `update(large, small)`.
#' @param nsim number of responses.
#' @param seed as in [bootMer()]: it resets R's random numbers, so that in a loop which simulates data sets it has to be left out or to
#'   be another each time; else all data sets after the first are alike.
#' @param rng,threads as in [bootMer()].
#' @return An object of class `boot_lrt`: `test` is a data frame with the statistic, its degrees of freedom and chi-squared p-value (`LRT`)
#'   and the bootstrap p-value (`PBtest`), (1 + number of draws with a larger statistic) / (1 + number of draws with a positive one); `ref`
#'   holds the statistics of the draws. [autoplot()][autoplot.boot_lrt] and `plot()` draw it.
#' @references Halekoh, U. and Hojsgaard, S. (2014) A Kenward-Roger approximation and parametric bootstrap methods for tests in linear mixed
#'   models: the R package pbkrtest. *Journal of Statistical Software* 59(9). \doi{10.18637/jss.v059.i09}
#' @examples
#' large <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#' boot_lrt(large, . ~ . - Days, nsim = 200, seed = 1)
#'
#' # is there a random slope?
#' boot_lrt(large, lmer(Reaction ~ Days + (1 | Subject), sleepstudy), nsim = 200, seed = 1)
#' @export
boot_lrt <- function(large, small, nsim = 1000, seed = NULL, rng = c("R", "pcg64"), threads = default_threads()) {
  rng <- match.arg(rng)
  refuse_without_rows(large, "boot_lrt()")
  began <- proc.time()[["elapsed"]]
  if (inherits(small, "formula")) small <- stats::update(large, small)
  models <- lapply(list(large = large, small = small), ml_model)
  same_response(models)
  df <- degrees_of_models(models$large$fit) - degrees_of_models(models$small$fit)
  if (df <= 0L) fail("argument", "'large' must have more parameters than 'small'")
  if (rng == "R" && !is.null(seed)) set.seed(seed)
  if (rng == "pcg64") seed <- pcg_seed(seed)

  plan <- list(x = models$small$fit, record = models$small$record, nsim = as.integer(nsim), threads = threads, draws = FALSE)
  source <- response_source(plan, "parametric", NA, rng, seed)
  statistics <- unlist(lapply(seq_along(source$chunks), function(i) {
    record <- plan$record
    y <- engine_simulate(engine_pointer(record), record$x, record$codes, record$z, record$weights, source$responses(i))
    refitted <- function(model) refit_batch(model$record, list(y = with_offset_of(y, record, model$record)), threads)$criterion
    refitted(models$small) - refitted(models$large)
  }))
  observed <- stats::deviance(models$small$fit) - stats::deviance(models$large$fit)
  new_boot_lrt(observed, df, statistics, models, proc.time()[["elapsed"]] - began)
}

ml_model <- function(fit) {
  record <- engine_of(fit)
  if (is.null(record)) fail("argument", "'large' and 'small' must be linear mixed models")
  if (record$reml) fit <- suppressMessages(refitML.lmerMod(fit))
  fit <- as_engine_fit(fit, engine_of(fit))
  list(fit = fit, record = engine_of(fit))
}

same_response <- function(models) {
  if (!isTRUE(all.equal(models$large$record$y, models$small$record$y))) fail("data", "the two models have different responses")
}

degrees_of_models <- function(fit) attr(stats::logLik(fit), "df")

# Responses are without the offset of the model they were drawn from.
with_offset_of <- function(y, from, to) {
  if (!is.null(from$offset)) y <- y + from$offset
  if (is.null(to$offset)) y else y - to$offset
}

new_boot_lrt <- function(observed, df, statistics, models, seconds) {
  positive <- statistics[!is.na(statistics) & statistics > 0]
  extreme <- sum(observed < positive)
  p_chisq <- engine_chi_squared_tail(observed, df)
  test <- data.frame(
    stat = c(observed, observed), df = c(df, NA), p.value = c(p_chisq, (1 + extreme) / (1 + length(positive))),
    row.names = c("LRT", "PBtest")
  )
  formula_of <- function(model) `attributes<-`(stats::formula(model$fit), NULL)
  structure(list(
    test = test, type = "X2test", samples = c(nsim = length(statistics), npos = length(positive)), n.extreme = extreme, ctime = seconds,
    LRTstat = c(tobs = observed, df = df, p = p_chisq), ref = statistics, formula.large = formula_of(models$large),
    formula.small = formula_of(models$small)
  ), class = c("boot_lrt", "PBmodcomp"), tested = tested_parameters(models))
}

# By how many fixed effects, variances and covariances the larger model is larger.
tested_parameters <- function(models) {
  numbers <- vapply(models, function(model) {
    lower <- model$record$lower
    c(fixed = ncol(model$record$x), variances = sum(lower == 0), covariances = sum(lower != 0))
  }, numeric(3))
  numbers[, "large"] - numbers[, "small"]
}

#' @export
#' @noRd
print.boot_lrt <- function(x, ...) {
  cat("Bootstrap likelihood ratio test;\n")
  cat(sprintf("samples: %d; positive: %d; extremes: %d;\n", x$samples[["nsim"]], x$samples[["npos"]], x$n.extreme))
  cat("large :", deparse1(x$formula.large), "\n")
  cat("small :", deparse1(x$formula.small), "\n")
  stats::printCoefmat(x$test, tst.ind = 1L, na.print = "", has.Pvalue = TRUE)
  invisible(x)
}
