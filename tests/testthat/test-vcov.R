lme4_vcov <- function(...) get("vcov.merMod", envir = asNamespace("lme4"))(...)

test_that("the matrix is lme4's object", {
  fits <- resampling_fits()
  for (name in names(fits)) {
    fit <- fits[[name]]
    expect_equal(vcov(fit), lme4_vcov(fit), tolerance = 1e-10, label = name)
    expect_identical(lapply(attributes(vcov(fit)), class), lapply(attributes(lme4_vcov(fit)), class), label = name)
    expect_equal(vcov(fit, correlation = FALSE), lme4_vcov(fit, correlation = FALSE), tolerance = 1e-10)
    expect_equal(vcov(fit, sigm = 2), lme4_vcov(fit, sigm = 2), tolerance = 1e-10)
    expect_true(methods::validObject(vcov(fit), complete = TRUE))
    expect_equal(cov2cor(vcov(fit)), cov2cor(lme4_vcov(fit)), tolerance = 1e-10)
    expect_equal(solve(vcov(fit)), solve(lme4_vcov(fit)), tolerance = 1e-8)
  }
  expect_output(print(summary(fits$slopes)), "Correlation of Fixed Effects")
  none <- lmer(Reaction ~ 0 + (1 | Subject), lme4::sleepstudy)
  expect_equal(vcov(none), lme4_vcov(none))
})

test_that("other fits are lme4's", {
  theirs <- lme4::lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  expect_identical(vcov(theirs), lme4_vcov(theirs))
})
