# pbkrtest's functions on fits by the engine, beside themselves on the same fit.
skip_if_not_installed("pbkrtest")
loadNamespace("pbkrtest")

fits <- list(
  factors = lmer(angle ~ recipe * temperature + (1 | recipe:replicate), cake),
  slopes = lmer(Reaction ~ Days + I(Days^2) + (Days | Subject), sleepstudy),
  likelihood = lmer(Reaction ~ Days + I(Days^2) + (Days || Subject), sleepstudy, REML = FALSE)
)
smaller <- list(factors = . ~ . - recipe:temperature, slopes = . ~ . - I(Days^2), likelihood = . ~ 1 + (Days || Subject))
own <- function(generic) their_method("pbkrtest", generic)

# The formula of a fit that pbkrtest updates to REML is written otherwise.
not_compared <- function(name) c("ctime", "L", if (name == "likelihood") "formula.large")
printed <- function(test) sub("time: .*", "time", capture.output(print(summary(test))))

# How often the engine is asked while an expression is evaluated.
count_calls <- function(expr, what = "kenward_roger") {
  calls <- new.env()
  calls$n <- 0L
  original <- get(what, envir = asNamespace("fastlmer"))
  counting <- function(...) {
    calls$n <- calls$n + 1L
    original(...)
  }
  replace_binding(what, counting)
  on.exit(replace_binding(what, original))
  force(expr)
  calls$n
}
replace_binding <- function(name, value) {
  namespace <- asNamespace("fastlmer")
  unlock <- get("unlockBinding", envir = baseenv())
  unlock(name, namespace)
  assign(name, value, envir = namespace)
  lockBinding(name, namespace)
}

test_that("answers are those of pbkrtest's own methods", {
  for (name in names(fits)) {
    fit <- fits[[name]]
    reml <- update(fit, REML = TRUE)
    theirs <- own("vcovAdj")(reml)
    expect_equal(as.matrix(pbkrtest::vcovAdj(fit)), as.matrix(theirs), tolerance = 1e-5, info = name)
    L <- diag(length(fixef(fit)))[-1L, , drop = FALSE]
    for (small in list(update(fit, smaller[[name]]), smaller[[name]], L, L[1L, ])) {
      a <- pbkrtest::KRmodcomp(fit, small)
      b <- own("KRmodcomp")(fit, small)
      expect_s3_class(a, class(b), exact = TRUE)
      expect_equal(names(a), names(b))
      compared <- setdiff(names(b), not_compared(name))
      expect_equal(a[compared], b[compared], tolerance = 1e-5, info = name)
      expect_equal(dim(a$L), dim(b$L))
      a <- pbkrtest::SATmodcomp(fit, small)
      b <- suppressWarnings(own("SATmodcomp")(fit, small))
      expect_equal(a$test, b$test, tolerance = 1e-4, info = name)
      expect_equal(names(a), names(b))
    }
    if (lme4::isREML(fit)) expect_equal(pbkrtest::get_Lb_ddf(fit, L), own("get_Lb_ddf")(fit, L), tolerance = 1e-5)
    expect_equal(pbkrtest::KRmodcomp(fit, L, betaH = 3)$test, own("KRmodcomp")(fit, L, betaH = 3)$test, tolerance = 1e-5)
  }
  fit <- fits$slopes
  small <- update(fit, smaller$slopes)
  expect_equal(printed(pbkrtest::KRmodcomp(fit, small)), printed(own("KRmodcomp")(fit, small)))
  expect_equal(pbkrtest::getKR(pbkrtest::KRmodcomp(small, fit), "ndf"), 1)
})

test_that("what is not for the engine is pbkrtest's own, with its errors", {
  fit <- fits$slopes
  said <- function(expr) tryCatch(expr, error = conditionMessage)
  for (small in list(fit, 3, diag(2), "x", update(fit, . ~ . - Days - I(Days^2) + factor(Days)))) {
    expect_equal(
      said(suppressWarnings(pbkrtest::KRmodcomp(fit, small)$stats$ddf)), said(suppressWarnings(own("KRmodcomp")(fit, small)$stats$ddf))
    )
  }
  theirs <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  changed <- fit
  changed@theta <- 1.1 * fit@theta
  expect_identical(count_calls(pbkrtest::vcovAdj(fit)), 1L)
  expect_equal(pbkrtest::vcovAdj(changed), own("vcovAdj")(changed))
  expect_equal(as.matrix(pbkrtest::vcovAdj(theirs)), as.matrix(own("vcovAdj")(theirs)), tolerance = 1e-6)
})

test_that("packages that ask pbkrtest ask the engine", {
  factors <- fits$factors
  if (requireNamespace("car", quietly = TRUE)) expect_gt(count_calls(car::Anova(factors, test.statistic = "F")), 0L)
  skip_if_no_lmerTest()
  tested <- lmerTest::as_lmerModLmerTest(factors)
  expect_gt(count_calls(anova(tested, ddf = "Kenward-Roger")), 0L)
  expect_gt(count_calls(coef(summary(tested, ddf = "Kenward-Roger"))), 0L)
})
