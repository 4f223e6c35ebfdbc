# The method of lme4 itself on the same fit.
by_lme4 <- function(fit, ...) getFromNamespace("summary.merMod", "lme4")(fit, ...)

test_that("the summary is the object that lme4 makes of the fit", {
  data <- sleep_data()
  fits <- list(
    lmer(Reaction ~ Days + (Days | Subject), data),
    lmer(Reaction ~ Days + three + (1 | Subject) + (0 + Days | Subject), data, weights = w, REML = FALSE),
    lmer(Reaction ~ 1 + (1 | Subject), data, na.action = na.exclude, subset = Days > 2),
    suppressMessages(lmer(Reaction ~ with_na + (1 | Subject) + (1 | half), data, na.action = na.exclude))
  )
  for (fit in fits) {
    ours <- summary(fit)
    theirs <- by_lme4(fit)
    expect_identical(names(ours), names(theirs))
    rest <- setdiff(names(ours), "vcov")
    expect_identical(lapply(ours[rest], attributes), lapply(theirs[rest], attributes))
    expect_identical(class(ours$vcov), class(theirs$vcov))
    expect_equal(ours, theirs, tolerance = 1e-12)
    expect_identical(class(ours), class(theirs))
    expect_identical(capture.output(print(ours)), capture.output(print(theirs)))
    expect_equal(summary(fit, correlation = FALSE), by_lme4(fit, correlation = FALSE), tolerance = 1e-12)
  }
})

test_that("arguments and fits that aren't the engine's go to lme4", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  expect_warning(summary(fit, unknown = TRUE), "additional arguments ignored")
  expect_error(summary(fit, use.hessian = TRUE), "Hessian is unavailable")
  theirs <- lme4::lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  expect_equal(summary(theirs), by_lme4(theirs))
  empty <- lmer(Reaction ~ 0 + (1 | Subject), lme4::sleepstudy)
  expect_equal(summary(empty), by_lme4(empty))
})

test_that("lmerTest's summary of the fit has its own columns", {
  skip_if_no_lmerTest()
  fit <- lmerTest::as_lmerModLmerTest(lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy))
  expect_named(as.data.frame(coef(summary(fit))), c("Estimate", "Std. Error", "df", "t value", "Pr(>|t|)"))
  expect_identical(class(summary(fit))[1L], "summary.lmerModLmerTest")
  expect_identical(summary(fit)$objClass, class(fit))
})
