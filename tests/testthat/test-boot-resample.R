fit <- lmer(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)

test_that("parametric: bootMer()", {
  boot <- boot_resample(fit, fixef, 10, "parametric", seed = 3)
  expect_identical(boot$t, bootMer(fit, fixef, 10, seed = 3)$t)
  expect_identical(boot$resampling, "parametric")
})

test_that("weights, offsets, missing rows, factors and rank-deficient models", {
  fits <- resampling_fits()
  for (name in names(fits)) {
    for (type in c("residual", "case", "wild", "reb")) {
      if (type %in% c("wild", "reb") && name == "crossed") next
      boot <- boot_resample(fits[[name]], fixef, 20, type, seed = 1)
      expect_true(all(is.finite(boot$t)), label = paste(name, type))
      expect_true(all(abs(colMeans(boot$t) - boot$t0) < 1.5 * apply(boot$t, 2, sd)), label = paste(name, type))
    }
  }
})

test_that("the object goes where bootMer()'s goes", {
  boot <- boot_resample(fit, fixef, 60, "residual", seed = 1)
  expect_s3_class(boot, c("bootMer", "boot"), exact = TRUE)
  expect_output(print(boot), "ORDINARY NONPARAMETRIC BOOTSTRAP")
  expect_identical(dim(suppressWarnings(confint(boot))), c(2L, 2L))
})
