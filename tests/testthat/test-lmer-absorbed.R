# A fixed factor of many levels: the fit of lme4, without dummy columns.

wide_data <- function() {
  set.seed(7)
  n <- 660
  d <- data.frame(
    f = factor(rep_len(sprintf("l%03d", 1:110), n)), g = factor(sample(23, n, TRUE)), h = factor(sample(9, n, TRUE)),
    b = factor(sample(4, n, TRUE)), x = rnorm(n, 50), w = 0.5 + seq_len(n) %% 5
  )
  d$t <- d$x - 50
  d$y <- rnorm(110)[d$f] + rnorm(23)[d$g] + (0.3 + rnorm(23, 0, 0.8)[d$g]) * d$t + rnorm(9)[d$h] + rnorm(n)
  d
}

is_absorbing <- function(fit) !is.null(fastlmer:::engine_mark(fit)$absorbed)

test_that("the fit is lme4's", {
  d <- wide_data()
  for (fits in list(
    both(y ~ x + f + (1 | g), d), both(y ~ f + b * x + (1 + t | g) + (1 | h), d, REML = FALSE), both(y ~ f + (1 | g), d, weights = w),
    both(y ~ 0 + f + x + (1 | g), d), both(y ~ poly(x, 2) + f + offset(x) + (1 | g) + (1 | h), d, subset = x > 49),
    both(y ~ f + (t || g), d), both(y ~ f + x + (1 | g:b), d)
  )) {
    expect_same_fit(fits)
    expect_true(is_absorbing(fits$ours$value))
    ours <- fits$ours$value
    for (name in c("X", "RX", "RZX", "Zt", "beta", "theta", "L", "cnms", "n", "p", "fixef", "b")) {
      expect_equal(lme4::getME(ours, name), lme4::getME(fits$there, name), tolerance = 1e-7, label = name)
    }
    expect_identical(attributes(lme4::getME(ours, "X"))[1:4], attributes(lme4::getME(fits$there, "X"))[1:4])
    expect_equal(coef(summary(ours)), coef(summary(fits$there)), tolerance = 1e-6)
    expect_equal(ranef(ours, condVar = TRUE), ranef(fits$there, condVar = TRUE), tolerance = 1e-6)
  }
})

test_that("columns and names are those of model.matrix()", {
  d <- wide_data()
  d$`the f` <- d$f
  d$labelled <- structure(d$f, label = "a label")
  for (formula in list(
    y ~ b:h + f + h + (1 | g), y ~ h:b + f + b + (1 | g), y ~ t:x + f + x + (1 | g), y ~ `the f` + b * h + (1 | g),
    y ~ labelled + x + (1 | g), y ~ factor(as.integer(f)) + offset(w) + (1 | g),
    y ~ poly(x, 2) + f + splines::ns(sin(t), 3) + b + (1 | g), y ~ 0 + f + b + (1 | g)
  )) {
    fit <- lmer(formula, d)
    expect_true(is_absorbing(fit))
    expect_identical(lme4::getME(fit, "X"), lme4::getME(lme4::lmer(formula, d, control = lmerControl(optimizer = NULL)), "X"))
    expect_equal(predict(fit, d), predict(fit), tolerance = 1e-10)
  }
  coded <- lmer(y ~ f + b * x + (1 | g), d, contrasts = list(b = "contr.sum"))
  expect_true(is_absorbing(coded))
  theirs <- lme4::lmer(y ~ f + b * x + (1 | g), d, contrasts = list(b = "contr.sum"), control = lmerControl(optimizer = NULL))
  expect_identical(lme4::getME(coded, "X"), lme4::getME(theirs, "X"))
  unchecked <- lmerControl(check.scaleX = "ignore")
  expect_identical(
    attributes(lme4::getME(lmer(y ~ f + x + (1 | g), d, control = unchecked), "X")),
    attributes(lme4::getME(lme4::lmer(y ~ f + x + (1 | g), d, control = unchecked), "X"))
  )
})

test_that("a variance that the factor leaves undetermined stays where it is", {
  d <- wide_data()
  d$wider <- factor(as.integer(d$f) %/% 10)
  for (formula in list(y ~ t + f + (1 | wider), y ~ t + f + (1 | f) + (1 | g), y ~ t + f + (1 | f / b), y ~ t + f + (t | wider))) {
    fit <- suppressMessages(suppressWarnings(lmer(formula, d)))
    theirs <- suppressMessages(suppressWarnings(lme4::lmer(formula, d)))
    expect_true(is_absorbing(fit))
    expect_lt(lme4::REMLcrit(fit), lme4::REMLcrit(theirs) + 1e-6)
    expect_lt(max(fit@theta), 100)
  }
})

test_that("where absorbing would cost digits or the covariance, dummy columns are used", {
  d <- wide_data()
  set.seed(2)
  d$y <- rnorm(110)[d$f] + rnorm(23)[d$g] + rnorm(9)[d$h] + d$t + 1e-5 * rnorm(660)
  fit <- lmer(y ~ t + f + (1 | g) + (1 | h), d)
  expect_false(is_absorbing(fit))
  expect_true(is_fastlmer(fit))
  expect_identical(is_absorbing(refit(lmer(y ~ t + f + (1 | g) + (1 | h), wide_data()), d$y)), FALSE)

  # a likelihood without a maximum
  few <- data.frame(f = factor(c(1:150, sample(150, 10))), g = factor(sample(20, 160, TRUE)), x = rnorm(160), y = rnorm(160))
  unbounded <- suppressMessages(suppressWarnings(lmer(y ~ x + f + (1 | g), few, REML = FALSE)))
  expect_identical(dim(vcov(unbounded)), c(151L, 151L))
})

test_that("dummy columns are formed where a factor isn't one that can be absorbed", {
  d <- wide_data()
  d$o <- factor(d$f, ordered = TRUE)
  contrasts(d$b) <- contr.sum(4)
  fits <- list(
    both(y ~ f:x + (1 | g), d), both(y ~ f + x + (1 | g), d, contrasts = list(f = "contr.sum")), both(y ~ 0 + x + f + (1 | g), d),
    both(y ~ f + b + as.integer(f) + (1 | g), d), both(y ~ b + x + (1 | f), d)
  )
  for (fit in fits) {
    expect_same_fit(fit)
    expect_false(is_absorbing(fit$ours$value))
  }
  few <- both(y ~ h + x + (1 | g), d)
  expect_false(is_absorbing(few$ours$value))
})

test_that("what comes after the fit is what dummy columns give", {
  d <- wide_data()
  pair <- both(y ~ x + f + (1 | g), d)
  ours <- pair$ours$value
  there <- pair$there
  other <- d$y + sin(seq_len(660) * 0.9)
  expect_equal(fixef(refit(ours, other)), fixef(refit(there, other)), tolerance = 1e-6)
  expect_equal(logLik(refitML(ours)), logLik(lme4::lmer(y ~ x + f + (1 | g), d, REML = FALSE)), tolerance = 1e-9)
  expect_equal(simulate(ours, 2, seed = 3), simulate(there, 2, seed = 3), tolerance = 1e-6)
  expect_equal(simulate(ours, 1, seed = 3, re.form = ~0), simulate(there, 1, seed = 3, re.form = ~0), tolerance = 1e-6)
  expect_equal(predict(ours), predict(there), tolerance = 1e-6)
  expect_equal(predict(ours, d[1:7, ]), predict(there, d[1:7, ]), tolerance = 1e-6)
  expect_equal(predict(ours, d[1:7, ], re.form = NA), predict(there, d[1:7, ], re.form = NA), tolerance = 1e-6)
  expect_equal(model.matrix(ours), model.matrix(there))
  expect_equal(drop1(ours, "x"), drop1(there, "x"), tolerance = 1e-5)
  expect_identical(capture.output(ours), capture.output(print(ours)))

  set.seed(1)
  fast <- bootMer(ours, function(m) fixef(m)[1:3], nsim = 4)
  set.seed(1)
  slow <- lme4::bootMer(there, function(m) fixef(m)[1:3], nsim = 4)
  expect_equal(fast$t, slow$t, tolerance = 1e-4)

  batch <- refit(ours, cbind(d$y, other))
  skip_if_not_installed("generics")
  table <- generics::tidy(batch)
  expect_equal(table$std.error[seq_along(fixef(ours))], unname(coef(summary(ours))[, 2]), tolerance = 1e-6)
})

test_that("reading a fit does not form the dummy columns", {
  d <- wide_data()
  fit <- lmer(y ~ x + f + (1 | g), d)
  formed <- FALSE
  env <- attr(fit@pp, ".xData")
  rm("X", envir = env)
  delayedAssign("X", formed <<- TRUE, assign.env = env)
  capture.output(print(fit), print(summary(fit), correlation = FALSE), fit)
  for (read in list(fixef, vcov, VarCorr, ranef, logLik, fitted, residuals, sigma, nobs, formula, predict, lme4::isSingular)) read(fit)
  refit(fit, d$y + 1)
  anova(fit, refitML(fit))
  simulate(fit, seed = 1)
  confint(fit, method = "Wald")
  expect_false(formed)
})

test_that("a saved fit has its covariance with this package and without it", {
  skip_on_cran()
  data <- wide_data()
  fit <- eval(quote(fastlmer::lmer(y ~ x + f + (1 | g), data)), list2env(list(data = data), parent = globalenv()))
  file <- tempfile(fileext = ".rds")
  saveRDS(fit, file)
  expect_equal(as.matrix(vcov(readRDS(file))), as.matrix(vcov(fit)), tolerance = 1e-12)
  script <- sprintf(
    "library(lme4); fit <- readRDS('%s'); cat(requireNamespace('fastlmer', quietly = TRUE), sum(vcov(fit)), sum(getME(fit, 'X')))", file
  )
  output <- system2(
    file.path(R.home("bin"), "Rscript"), c("--vanilla", "-e", shQuote(script)), stdout = TRUE, stderr = FALSE, env = "R_LIBS="
  )
  answers <- strsplit(output, " ")[[1L]]
  skip_if_not(answers[1L] == "FALSE", "fastlmer is in R's own library")
  expect_equal(as.numeric(answers[2:3]), c(sum(vcov(fit)), sum(lme4::getME(fit, "X"))), tolerance = 1e-6)
})

test_that("a model matrix that would not fit in memory is refused", {
  columns <- structure(list(factor = integer(1e6), names = character(1e8)), class = "absorbed_columns")
  skip_if_not(file.exists("/proc/meminfo"))
  expect_error(as.matrix(columns), "model matrix of the fixed effects .1000000 x 100000000., which would take 800000.0 GB")
})
