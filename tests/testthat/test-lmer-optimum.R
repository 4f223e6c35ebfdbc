sleep <- sleep_data()

test_that("an optimizer that the user names is the one that runs", {
  for (name in c("bobyqa", "Nelder_Mead", "nloptwrap")) {
    fits <- both(Reaction ~ Days + (Days | Subject), sleep, control = lmerControl(optimizer = name))
    expect_same_fit(fits)
    expect_equal(fits$ours$value@optinfo[c("optimizer", "control", "conv")], fits$theirs$value@optinfo[c("optimizer", "control", "conv")])
  }
  own <- function(fn, par, lower, upper, control) list(par = c(1, 0, 0.25), fval = fn(c(1, 0, 0.25)), conv = 0, message = "mine")
  fit <- suppressWarnings(lmer(Reaction ~ Days + (Days | Subject), sleep, control = lmerControl(optimizer = own, calc.derivs = FALSE)))
  expect_identical(fit@theta, c(1, 0, 0.25))
  expect_identical(fit@optinfo$message, "mine")
})

test_that("without an optimizer the fit stands at the start", {
  fits <- both(Reaction ~ Days + (Days | Subject), sleep, control = lmerControl(optimizer = NULL), start = c(1, 0.2, 0.5))
  expect_same_fit(fits)
  expect_identical(fits$ours$value@theta, c(1, 0.2, 0.5))
  expect_equal(fits$ours$value@optinfo, fits$theirs$value@optinfo)
  expect_same_fit(both(Reaction ~ Days + (1 | Subject), sleep, control = lmerControl(optimizer = NULL)))
})

test_that("the engine's own optimiser reports as lme4's default does", {
  ours <- lmer(Reaction ~ Days + (Days | Subject), sleep)@optinfo
  theirs <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleep)@optinfo
  expect_named(ours, names(theirs))
  expect_equal(ours[c("optimizer", "control", "conv", "warnings")], theirs[c("optimizer", "control", "conv", "warnings")])
  expect_equal(ours$derivs$Hessian, theirs$derivs$Hessian, tolerance = 1e-3)
  expect_equal(ours$derivs$gradient, c(0, 0, 0), tolerance = 1e-4)
})

test_that("starting values are read as lme4 reads them", {
  fits <- both(Reaction ~ Days + (Days | Subject), sleep, start = list(theta = c(1, 0, 0.3)))
  expect_same_fit(fits)
  refused <- list(
    c(1, 0), list(theta = c(1, 0)), "a", list(sigma = 1), list(Theta = c(1, 0, 1)), list(theta = "a"), list(theta = c(1, 0, 1), beta = 1),
    c(-1, 0, 1)
  )
  for (start in refused) {
    fits <- both(Reaction ~ Days + (Days | Subject), sleep, start = start)
    expect_identical(fits$ours$conditions, fits$theirs$conditions)
    expect_match(fits$ours$conditions, "^error: ")
  }
  # what one version takes and another refuses
  for (start in list(list(par = c(1, 0, 0.3)), list(beta = c(250, 10)), list(fixef = c(250, 10)), list(c(1, 0, 0.3)))) {
    fits <- both(Reaction ~ Days + (Days | Subject), sleep, start = start)
    expect_identical(fits$ours$conditions, fits$theirs$conditions)
    expect_identical(is.null(fits$ours$value), is.null(fits$theirs$value))
  }
})

test_that("optinfo has derivatives where lme4's has them", {
  has_derivs <- function(...) {
    fits <- both(...)
    expect_identical(is.null(fits$ours$value@optinfo$derivs), is.null(fits$theirs$value@optinfo$derivs))
    expect_identical(fits$ours$value@optinfo$conv$lme4, fits$theirs$value@optinfo$conv$lme4)
    !is.null(fits$ours$value@optinfo$derivs)
  }
  has_derivs(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2)
  expect_true(has_derivs(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2, control = lmerControl(calc.derivs = TRUE)))
  expect_true(has_derivs(Reaction ~ Days + (Days | Subject), sleep))
  expect_false(has_derivs(Reaction ~ Days + (Days | Subject), sleep, control = lmerControl(calc.derivs = FALSE)))
  has_derivs(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2, control = lmerControl(optimizer = "bobyqa"))
  expect_true(has_derivs(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2, control = lmerControl(optimizer = "bobyqa", calc.derivs = TRUE)))
  singular <- refit(lmer(Yield ~ 1 + (1 | Batch), lme4::Dyestuff), lme4::Dyestuff2$Yield)
  theirs <- refit(lme4::lmer(Yield ~ 1 + (1 | Batch), lme4::Dyestuff), lme4::Dyestuff2$Yield)
  expect_identical(is.null(singular@optinfo$derivs), is.null(theirs@optinfo$derivs))
  without <- lmerControl(calc.derivs = FALSE)
  ours <- refitML(fastlmer::lmer(Yield ~ 1 + (1 | Batch), lme4::Dyestuff, control = without))
  theirs <- refitML(lme4::lmer(Yield ~ 1 + (1 | Batch), lme4::Dyestuff, control = without))
  expect_identical(is.null(ours@optinfo$derivs), is.null(theirs@optinfo$derivs))
  skip_if_not(lme4_takes("lmerControl", "check.conv.nobsmax"), "this lme4 has no limits of size")
  expect_false(has_derivs(Reaction ~ Days + (Days | Subject), sleep, control = lmerControl(check.conv.nobsmax = 100)))
  expect_false(has_derivs(Reaction ~ Days + (Days | Subject), sleep, control = lmerControl(check.conv.nparmax = 3)))
  expect_true(has_derivs(Reaction ~ Days + (Days | Subject), sleep, control = lmerControl(check.conv.nparmax = 4)))
  expect_true(has_derivs(Reaction ~ Days + (Days | Subject), sleep, control = lmerControl(check.conv.nobsmax = 100, calc.derivs = TRUE)))
})

test_that("a direction in which the criterion is flat is reported, whatever the predictors' units", {
  # the engine's own optimiser makes such a variance zero (see test-remarks.R)
  expect_message(lmer(Reaction ~ Subject + (1 | Subject), sleep), class = "fastlmer_undetermined")
  expect_warning(
    lmer(Reaction ~ Subject + (1 | Subject), sleep,
      control = lmerControl(optimizer = "bobyqa", calc.derivs = TRUE, check.conv.grad = "ignore")
    ),
    "parameters are not uniquely determined|unable to evaluate scaled gradient|degenerate"
  )
  sleep$seconds <- sleep$Days * 86400
  expect_no_warning(suppressMessages(lmer(Reaction ~ scale(seconds) + (seconds | Subject), sleep)))
})

test_that("verbose says what the optimisation did", {
  expect_output(lmer(Reaction ~ Days + (1 | Subject), sleep, verbose = 1), "evaluations: f = ")
})

test_that("a likelihood that has no maximum is said to have none", {
  d <- data.frame(h = factor(c(1:39, 39)), x = sin(1:40 * 1.7))
  d$y <- d$x + cos(1:39 * 2.3)[d$h]
  fits <- both(y ~ x + (1 | h), d, REML = FALSE)
  expect_match(fits$theirs$conditions, "^warning: ", all = FALSE)
  expect_match(fits$ours$conditions, "^warning: convergence code 5 .* the residual variance is all but zero", all = FALSE)
  expect_lt(sigma(fits$ours$value), 1e-6)
  suppressWarnings(expect_warning(refit(fits$ours$value, d$y), class = "fastlmer_not_converged"))
  boot <- suppressMessages(suppressWarnings(bootMer(fits$ours$value, fixef, 2)))
  expect_match(names(attr(boot, "boot.all.msgs")$`factory-warning`), "no optimum was found")
  report <- convergence(fits$ours$value)
  expect_false(report$converged)
  expect_output(print(report), "not converged: the deviance is .* ends without an optimum")
})

test_that("a residual variance that is small for a reason has its optimum", {
  d <- data.frame(g = gl(40, 50), e = sin((1:2000)^2))
  # by the closed form of the balanced one-way layout; from 3e-6 on the criterion's rounding hides the last steps
  for (sd in c(1e-4, 1e-5, 3e-6, 1e-6)) {
    d$y <- cos(1:40 * 2.3)[d$g] + sd * d$e
    expect_silent(fit <- lmer(y ~ 1 + (1 | g), d))
    expect_identical(fit@optinfo$conv, list(opt = 0, lme4 = list()))
    residual <- mean(tapply(d$y, d$g, var))
    between <- var(tapply(d$y, d$g, mean)) - residual / 50
    expect_equal(sigma(fit)^2, residual, tolerance = 1e-5)
    expect_equal(getME(fit, "theta"), sqrt(between / residual), tolerance = 1e-4, ignore_attr = TRUE)
  }
})

test_that("crossed factors' variances are right beside a tiny residual variance", {
  d <- withr::with_seed(1, data.frame(a = factor(rep_len(1:120, 1500)), b = factor(sample(80, 1500, TRUE)), e = rnorm(1500)))
  effects <- withr::with_seed(2, rnorm(120)[d$a] + rnorm(80)[d$b])
  deviations <- function(fit) vapply(VarCorr(fit), function(v) sqrt(v[[1L]]), 0)
  plain <- lmer(y ~ 1 + (1 | a) + (1 | b), transform(d, y = effects + 1e-2 * e))
  for (sd in c(3e-6, 1e-6)) {
    tiny <- transform(d, y = effects + sd * e)
    fit <- lmer(y ~ 1 + (1 | a) + (1 | b), tiny)
    theirs <- suppressWarnings(lme4::lmer(y ~ 1 + (1 | a) + (1 | b), tiny))
    # rounding of a sum of squares of which so little is left
    expect_lt(REMLcrit(fit), REMLcrit(theirs) + 1500 * .Machine$double.eps * sum(effects^2) / sum((sd * d$e)^2))
    expect_equal(deviations(fit), deviations(plain), tolerance = 0.01)
  }
})
