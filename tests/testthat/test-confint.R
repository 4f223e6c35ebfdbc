lme4_confint <- function(...) get("confint.merMod", envir = asNamespace("lme4"))(...)

test_that("bootstrap intervals have lme4's numbers and names", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy, REML = FALSE)
  for (arguments in list(list(), list(oldNames = FALSE), list(boot.type = "norm"), list(boot.type = "basic", level = 0.9),
    list(parm = "beta_"), list(parm = c(".sig01", "Days")), list(parm = 4:5))) {
    arguments <- c(list(fit, method = "boot", nsim = 60, seed = 2, quiet = TRUE), arguments)
    expect_warning(ours <- do.call(confint, arguments), NA)
    theirs <- suppressMessages(do.call(lme4_confint, arguments))
    expect_equal(ours, theirs, tolerance = 1e-4)
  }
  two <- lmer(Reaction ~ Days + (1 | Subject) + (0 + Days | Subject), lme4::sleepstudy, REML = FALSE)
  expect_equal(
    suppressMessages(confint(two, method = "boot", nsim = 40, seed = 1)),
    suppressMessages(lme4_confint(two, method = "boot", nsim = 40, seed = 1)), tolerance = 1e-4
  )
  expect_message(confint(fit, method = "boot", nsim = 40, seed = 1), "Computing bootstrap confidence intervals")
})

test_that("a statistic of the user's, and arguments of bootMer()", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  ours <- confint(fit, method = "boot", nsim = 50, FUN = function(f) c(s = sigma(f)), rng = "pcg64", seed = 4)
  boot <- bootMer(fit, function(f) c(s = sigma(f)), nsim = 50, rng = "pcg64", seed = 4)
  expect_equal(ours, confint(boot))
})

test_that("the statistic is computed for all replicates at once", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  FUN <- variance_and_fixed_parameters(fit, TRUE)
  expect_false(is.null(vectorised_statistic(FUN, fit, engine_of(fit), FUN(fit))))
})

test_that("profile and Wald intervals are lme4's", {
  fit <- lmer(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)
  expect_equal(confint(fit, method = "Wald"), lme4_confint(fit, method = "Wald"))
  expect_equal(suppressMessages(confint(fit, parm = "beta_")), suppressMessages(lme4_confint(fit, parm = "beta_")), tolerance = 1e-3)
})
