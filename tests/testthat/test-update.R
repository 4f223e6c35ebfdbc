# Evaluates an expression in a namespace-like environment whose `lmer` is lme4's, with the given variables beside.
in_package <- function(expr, ...) {
  eval(substitute(expr), list2env(list(...), parent = list2env(list(lmer = lme4::lmer), parent = asNamespace("lme4"))))
}

lme4_fits <- function(expr) {
  made <- new.env()
  made$count <- 0
  counting <- bquote(assign("count", get("count", .(made)) + 1, .(made)))
  suppressMessages(trace("lFormula", counting, where = asNamespace("lme4"), print = FALSE))
  on.exit(suppressMessages(untrace("lFormula", where = asNamespace("lme4"))))
  force(expr)
  made$count
}

test_that("our fit is updated by our lmer(), whoever asks", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  updated <- in_package(update(fit, . ~ . - Days), fit = fit)
  expect_true(is_fastlmer(updated))
  expect_identical(updated@call[[1L]], quote(lmer))
  reference <- lmer(Reaction ~ (Days | Subject), sleepstudy)
  expect_equal(updated@call, reference@call)
  expect_equal(updated@theta, reference@theta)
  written <- fastlmer::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_identical(update(written, REML = FALSE)@call[[1L]], quote(fastlmer::lmer))
  expect_true(is_fastlmer(in_package(update(written, REML = FALSE), written = written)))
  expect_identical(update(fit, REML = FALSE, evaluate = FALSE)[[1L]], quote(lmer))
})

test_that("a fit written inside a package that imports lme4 is updated by ours", {
  fit <- in_package(
    {
      lmer <- fastlmer::lmer
      fit <- lmer(Reaction ~ Days + (1 | Subject), d)
      rm(lmer)
      fit
    },
    d = sleepstudy
  )
  expect_true(is_fastlmer(update(fit, REML = FALSE)))
  expect_true(is_fastlmer(eval(update(fit, REML = FALSE, evaluate = FALSE), environment(formula(fit)))))
  expect_identical(lme4_fits(drop1(fit)), 0)
  expect_equal(drop1(fit)$AIC, drop1(lme4::lmer(Reaction ~ Days + (1 | Subject), sleepstudy))$AIC, tolerance = 1e-6)
})

test_that("others' fits are updated by theirs", {
  fit <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_false(is_fastlmer(update(fit, . ~ . - Days)))
  skip_if_not_installed("lmerTest")
  skip_on_old_devfun <- tryCatch(lmerTest::lmer(Reaction ~ Days + (1 | Subject), sleepstudy), error = function(e) NULL)
  skip_if(is.null(skip_on_old_devfun), "lmerTest can't fit with this version of lme4")
  theirs <- lmerTest::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_s4_class(update(theirs, . ~ . - Days), "lmerModLmerTest")
  expect_false(is_fastlmer(update(theirs, . ~ . - Days)))
})

test_that("the call is evaluated where the formula was written, else where update() is called", {
  local_fit <- function(d) lmer(Reaction ~ Days + (1 | Subject), d)
  fit <- local_fit(sleepstudy[1:120, ])
  expect_identical(nobs(update(fit, REML = FALSE)), 120L)
  # the formula comes from elsewhere, and the data are only here
  fit_of <- function(formula) {
    rows <- sleepstudy[1:100, ]
    fit <- lmer(formula, rows)
    update(fit, . ~ . - Days)
  }
  formula <- Reaction ~ Days + (1 | Subject)
  environment(formula) <- globalenv()
  expect_identical(nobs(fit_of(formula)), 100L)
  # data of the formula's place, and a new argument of the caller's
  with_weights <- function(fit) {
    heavy <- rep(2, 120)
    update(fit, weights = heavy)
  }
  expect_identical(unname(weights(with_weights(fit))), rep(2, 120))
  expect_error(update(lmer(Reaction ~ Days + (1 | Subject), sleepstudy), . ~ . + nothing), "nothing")
})

test_that("bootstraps of other packages that update our fits call no lmer() of lme4", {
  skip_if_not_installed("pbkrtest")
  large <- lmer(Reaction ~ Days + (1 | Subject), sleepstudy, REML = FALSE)
  small <- lmer(Reaction ~ 1 + (1 | Subject), sleepstudy, REML = FALSE)
  expect_identical(lme4_fits(pbkrtest::PBmodcomp(large, small, nsim = 5, cl = 1)), 0)
  # as newer versions do it
  by_update <- function(fit, responses) {
    vapply(responses, function(response) {
      drawn <- sleepstudy
      drawn$Reaction <- response
      logLik(update(fit, data = drawn))
    }, 0)
  }
  environment(by_update) <- list2env(list(lmer = lme4::lmer), parent = asNamespace("lme4"))
  responses <- simulate(small, nsim = 4, seed = 1)
  values <- NULL
  expect_identical(lme4_fits(values <- by_update(large, responses)), 0)
  expect_equal(values, vapply(responses, function(y) logLik(refit(large, y)), 0), tolerance = 1e-7)
})

test_that("update() of a refitted model says that it fits the old response", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  y <- simulate(fit, seed = 1)[[1L]]
  refitted <- refit(fit, y)
  expect_warning(old <- update(refitted, REML = FALSE), "refit(update(...), newresp)", fixed = TRUE, class = "fastlmer_refitted_update")
  expect_equal(logLik(old), logLik(update(fit, REML = FALSE)))
  expect_warning(update(refitML(refitted), . ~ . - Days), class = "fastlmer_refitted_update")
  expect_warning(update(refitted, . ~ . - Days, evaluate = FALSE), class = "fastlmer_refitted_update")
  # nothing to say where the response is the same, new or asked for
  expect_no_warning(update(refit(fit), REML = FALSE))
  expect_no_warning(update(refit(fit, sleepstudy$Reaction), REML = FALSE))
  expect_no_warning(update(refitted, y ~ .))
  drawn <- transform(sleepstudy, Reaction = y)
  expect_no_warning(update(refitted, data = drawn))
  expect_no_warning(update(refit(fit, y, rename.response = TRUE), REML = FALSE))
  expect_warning(update(refit(fit, simulate(fit, nsim = 2, seed = 1))[[2L]], REML = FALSE), class = "fastlmer_refitted_update")
})
