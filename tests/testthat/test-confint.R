test_that("bootstrap intervals have lme4's numbers, names and order", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy, REML = FALSE)
  for (arguments in list(list(), short_names(FALSE), list(boot.type = "norm"), list(boot.type = "basic", level = 0.9),
    list(parm = "beta_"), list(parm = c(".sig01", "Days")), list(parm = 4:5))) {
    arguments <- c(list(fit, method = "boot", nsim = 60, seed = 2, quiet = TRUE), arguments)
    expect_warning(ours <- do.call(confint, arguments), NA)
    theirs <- suppressMessages(do.call(lme4_function("confint.merMod"), arguments))
    expect_equal(ours, theirs, tolerance = 1e-4)
  }
  two <- lmer(Reaction ~ Days + (I(Days > 4) + Days | Subject) + (0 + Days | half), sleep_data(), REML = FALSE)
  for (names in list(short_names(TRUE), short_names(FALSE))) {
    arguments <- c(list(two, method = "boot", nsim = 80, seed = 1, quiet = TRUE), names)
    expect_equal(do.call(confint, arguments), suppressMessages(do.call(lme4_function("confint.merMod"), arguments)), tolerance = 1e-3)
  }
  if (has_reCovs()) {
    independent <- lmer(Reaction ~ Days + diag(Days | Subject) + (1 | half), sleep_data(), REML = FALSE)
    arguments <- list(independent, method = "boot", nsim = 80, seed = 1, quiet = TRUE)
    expect_true(is_fastlmer(independent))
    expect_equal(do.call(confint, arguments), suppressMessages(do.call(lme4_function("confint.merMod"), arguments)), tolerance = 1e-3)
  }
  expect_message(confint(fit, method = "boot", nsim = 80, seed = 1), "Computing bootstrap confidence intervals")
})

test_that("both names of the argument for short names are taken, with lme4's word about the older one", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  conditions <- function(confint) {
    with_conditions(confint(fit, method = "boot", nsim = 80, seed = 1, quiet = TRUE, oldNames = FALSE))$conditions
  }
  said <- function(texts) unique(grep("oldNames", texts, value = TRUE))
  expect_identical(said(conditions(stats::confint)), said(conditions(lme4_function("confint.merMod"))))
  expect_equal(
    confint(fit, method = "boot", nsim = 80, seed = 1, quiet = TRUE, signames = FALSE),
    suppressWarnings(confint(fit, method = "boot", nsim = 80, seed = 1, quiet = TRUE, oldNames = FALSE))
  )
})

test_that("variances and covariances may be asked for in place of standard deviations and correlations", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  # of 79 replicates the limits are the second and the last but one, whatever the scale
  interval <- function(...) confint(fit, method = "boot", nsim = 79, seed = 1, quiet = TRUE, ...)
  sd <- interval(parm = c(".sig01", ".sigma", "Days"))
  variance <- interval(parm = c(".sig01", ".sigma", "Days"), boot.scale = "vcov")
  expect_equal(variance, rbind(sd[1:2, ]^2, sd[3L, , drop = FALSE]), tolerance = 1e-6)
  covariance <- bootMer(fit, function(f) VarCorr(f)$Subject[2L], nsim = 79, seed = 1)
  number <- if (lme4_takes("confint.merMod", "signames")) 3L else 2L
  expect_equal(interval(parm = number, boot.scale = "vcov"), confint(covariance), ignore_attr = TRUE)
})

test_that("a statistic of the user's, and arguments of bootMer()", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  ours <- confint(fit, method = "boot", nsim = 50, FUN = function(f) c(s = sigma(f)), rng = "pcg64", seed = 4)
  boot <- bootMer(fit, function(f) c(s = sigma(f)), nsim = 50, rng = "pcg64", seed = 4)
  expect_equal(ours, confint(boot))
})

test_that("the statistic is computed for all replicates at once", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  for (scale in c("sdcor", "vcov")) {
    FUN <- variance_and_fixed_parameters(fit, TRUE, scale)
    expect_false(is.null(vectorised_statistic(FUN, fit, engine_of(fit), FUN(fit))))
  }
})

test_that("profile and Wald intervals are lme4's", {
  fit <- lmer(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)
  lme4_confint <- lme4_function("confint.merMod")
  expect_equal(confint(fit, method = "Wald"), lme4_confint(fit, method = "Wald"))
  expect_equal(suppressMessages(confint(fit, parm = "beta_")), suppressMessages(lme4_confint(fit, parm = "beta_")), tolerance = 1e-3)
  arguments <- c(list(fit, parm = "theta_", quiet = TRUE), short_names(FALSE))
  expect_equal(do.call(confint, arguments), do.call(lme4_confint, arguments), tolerance = 1e-3)
})

test_that("shortest intervals are those of boot_intervals()", {
  fit <- lmer(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)
  ours <- confint(fit, method = "boot", nsim = 100, seed = 1, boot.type = "shortest", level = 0.9, quiet = TRUE)
  perc <- confint(fit, method = "boot", nsim = 100, seed = 1, level = 0.9, quiet = TRUE)
  expect_identical(dimnames(ours), dimnames(perc))
  boot <- bootMer(fit, function(f) c(sigma(f), fixef(f)), nsim = 100, seed = 1)
  expected <- boot_intervals(boot, "shortest", 0.9)
  expect_equal(unname(ours[-1L, ]), unname(as.matrix(expected[c("conf.low", "conf.high")])), tolerance = 1e-12)
  expect_true(all(ours[, 2L] - ours[, 1L] <= perc[, 2L] - perc[, 1L] + 1e-8))
})

test_that("a bootstrap's own confint() has the shortest intervals beside lme4's", {
  fit <- lmer(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)
  boot <- bootMer(fit, function(f) c(sigma = sigma(f), fixef(f)), nsim = 100, seed = 1)
  theirs <- lme4_function("confint.bootMer")
  for (type in c("perc", "norm", "basic")) {
    expect_identical(confint(boot, level = 0.9, type = type), theirs(boot, level = 0.9, type = type))
  }
  expect_identical(confint(boot), theirs(boot))
  shortest <- confint(boot, level = 0.9, type = "shortest")
  expect_identical(dimnames(shortest), dimnames(theirs(boot, level = 0.9)))
  expected <- boot_intervals(boot, "shortest", 0.9)
  expect_equal(unname(shortest), unname(as.matrix(expected[c("conf.low", "conf.high")])))
  expect_identical(confint(boot, c("sigma", "Days"), 0.9, "shortest"), shortest[c("sigma", "Days"), ])
  expect_identical(confint(boot, 2:3, 0.9, type = "short"), shortest[2:3, ])
  expect_error(confint(boot, "none", type = "shortest"), "no statistic is called")
  expect_error(confint(boot, type = "longest"), "shortest")
  resampled <- boot_resample(fit, fixef, 50, "residual", seed = 1)
  expect_identical(dim(confint(resampled, type = "shortest")), c(2L, 2L))
  resampled$t[3L, ] <- NA
  expect_false(anyNA(confint(resampled, type = "shortest")))
})

test_that("lme4's method is put back when this package is unloaded", {
  skip_on_cran()
  said <- in_new_process(
    "invisible(loadNamespace('lme4'))", "before <- getS3method('confint', 'bootMer')", "invisible(loadNamespace('fastlmer'))",
    "cat(identical(getS3method('confint', 'bootMer'), before), '')", "unloadNamespace('fastlmer')",
    "cat(identical(getS3method('confint', 'bootMer'), before), '')"
  )
  expect_identical(trimws(said), "FALSE TRUE")
})
