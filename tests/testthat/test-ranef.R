# At a given theta, so that both may agree to rounding.
fits <- function(formula, start) {
  data <- sleep_data()
  control <- lmerControl(optimizer = NULL)
  list(
    ours = lmer(formula, data, weights = w, control = control, start = start),
    theirs = lme4::lmer(formula, data, weights = w, control = control, start = start)
  )
}

test_that("conditional modes and their variances are lme4's", {
  one <- fits(Reaction ~ Days + (Days | Subject), start = c(0.9, 0.1, 0.2))
  expect_equal(ranef(one$ours), ranef(one$theirs), tolerance = 1e-8)
  expect_equal(ranef(one$ours, condVar = FALSE), ranef(one$theirs, condVar = FALSE), tolerance = 1e-8)
  crossed <- fits(Reaction ~ Days + (Days | Subject) + (1 | three), start = c(0.9, 0.1, 0.2, 0.4))
  expect_equal(ranef(crossed$ours), ranef(crossed$theirs), tolerance = 1e-8)
  expect_equal(ranef(crossed$ours, whichel = "three", drop = TRUE), ranef(crossed$theirs, whichel = "three", drop = TRUE), tolerance = 1e-8)
})

test_that("several terms of one factor have one array each", {
  two <- fits(Reaction ~ Days + (1 | Subject) + (0 + Days | Subject), start = c(0.9, 0.2))
  expect_equal(ranef(two$ours), ranef(two$theirs), tolerance = 1e-8)
  expect_equal(coef(two$ours), coef(two$theirs), tolerance = 1e-8)
})

test_that("coef() and predict() build no C++ object", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  coef(fit)
  predict(fit, data.frame(Days = 3, Subject = c("308", "new")), allow.new.levels = TRUE)
  expect_false(exists("built", engine_mark(fit), inherits = FALSE))
})

test_that("conditional variances are computed once for a fit, unless they are large", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  first <- ranef(fit)
  expect_identical(engine_mark(fit)$cache$variances$theta, fit@theta)
  expect_identical(ranef(fit), first)
  other <- fit
  other@theta <- c(1, 0, 0.2)
  expect_false(isTRUE(all.equal(attr(ranef(other)$Subject, "postVar"), attr(first$Subject, "postVar"))))
  expect_equal(ranef(fit), first)
  again <- engine_of(lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy))
  unscaled_variances(again, most = 10)
  expect_null(again$cache$variances)
})
