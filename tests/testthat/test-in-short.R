# Once and small what only slow files test at length: tools/test.R says which those are, and leaves them out of the fast tests.

fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)

test_that("allFit() finds the same optimum by another optimizer", {
  again <- allFit(fit, meth.tab = cbind(optimizer = "bobyqa", method = ""), verbose = FALSE)
  expect_s3_class(again, "allFit")
  expect_true(is_fastlmer(again[[1L]]))
  expect_equal(fixef(again[[1L]]), fixef(fit), tolerance = 1e-5)
})

test_that("a profile has the estimates in it, ends where confint() ends, and is drawn", {
  profiled <- profile(fit, which = "beta_")
  at_estimate <- profiled[profiled$.zeta == 0 & profiled$.par == "Days", ]
  expect_equal(at_estimate$Days, fixef(fit)[["Days"]], tolerance = 1e-6)
  expect_equal(confint(profiled), confint(fit, parm = "beta_"), tolerance = 1e-6)
  skip_if_not_installed("ggplot2")
  expect_s3_class(ggplot2::ggplot_build(ggplot2::autoplot(profiled)), "ggplot_built")
})

test_that("what was saved of a bootstrap is restored, and drawn", {
  file <- withr::local_tempfile(fileext = ".rds")
  boot <- bootMer(fit, fixef, nsim = 20, seed = 1)
  save_replicates(boot, file)
  expect_identical(restore_replicates(file, fit)$t, boot$t)
  skip_if_not_installed("ggplot2")
  expect_s3_class(ggplot2::ggplot_build(ggplot2::autoplot(boot)), "ggplot_built")
})

test_that("simulated prediction errors are as large as those of the normal theory", {
  new <- data.frame(Days = 5, Subject = "308")
  errors <- function(...) predict(fit, new, se.fit = TRUE, ...)$se.fit
  expect_equal(errors(method = "simulate", nsim = 200, seed = 1), errors(), tolerance = 0.2)
})

test_that("a report names the versions and describes a fit", {
  report <- fastlmer_sitrep(fit)
  expect_identical(report$versions[["lme4"]], packageDescription("lme4")$Version)
  expect_output(print(report), "180")
})

test_that("degrees of freedom are those of a balanced design by each method, for lmerTest and emmeans too", {
  expect_equal(test_kr(fit)$df, c(17, 17), tolerance = 1e-6)
  expect_equal(unname(satterthwaite_df(satterthwaite_parts(fit))), c(17, 17), tolerance = 1e-6)
  skip_if_not_installed("lmerTest")
  expect_equal(unname(summary(as_lmer_test(fit))$coefficients[, "df"]), c(17, 17), tolerance = 1e-6)
  skip_if_not_installed("emmeans")
  expect_equal(as.data.frame(emmeans::emmeans(fit, "Days", lmer.df = "kenward-roger"))$df, 17, tolerance = 1e-6)
})
