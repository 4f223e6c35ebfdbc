large <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
small <- lmer(Reaction ~ 1 + (Days | Subject), lme4::sleepstudy)

test_that("statistics are differences of deviances on the draws of the smaller model", {
  test <- boot_lrt(large, small, nsim = 3, seed = 1)
  ml <- refitML(small)
  y <- simulate(ml, 3, seed = 1)
  expected <- vapply(y, function(y) deviance(exact_fit(ml, y)) - deviance(exact_fit(refitML(large), y)), 0)
  expect_equal(test$ref, unname(expected), tolerance = 1e-5)
  expect_equal(test$test["LRT", "stat"], as.numeric(2 * (logLik(refitML(large)) - logLik(ml))))
  expect_equal(test$test["LRT", "df"], 1)
  expect_equal(boot_lrt(large, . ~ . - Days, nsim = 3, seed = 1)$ref, test$ref)
  expect_output(print(test), "PBtest")
  expect_identical(boot_lrt(large, small, nsim = 4, seed = 1, rng = "pcg64", threads = 1)$ref,
    boot_lrt(large, small, nsim = 4, seed = 1, rng = "pcg64", threads = 2)$ref)
})

test_that("the result agrees with pbkrtest's", {
  skip_if_not_installed("pbkrtest")
  slopes <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy, REML = FALSE)
  intercepts <- lmer(Reaction ~ Days + (1 | Subject), lme4::sleepstudy, REML = FALSE)
  ours <- boot_lrt(slopes, intercepts, nsim = 200, seed = 1)
  theirs <- suppressMessages(suppressWarnings(pbkrtest::PBmodcomp(slopes, intercepts, nsim = 200, seed = 1)))
  expect_equal(ours$test["LRT", ], theirs$test["LRT", ], tolerance = 1e-5)
  expect_gt(suppressWarnings(ks.test(ours$ref, as.numeric(theirs$ref)))$p.value, 0.001)
  expect_true(all(names(ours) %in% names(theirs)))
})

test_that("offsets, weights and subsets; what can't be compared", {
  fits <- resampling_fits()
  for (name in c("weights", "offset", "subset")) {
    test <- suppressMessages(boot_lrt(fits[[name]], . ~ . - Days, nsim = 20, seed = 1))
    expect_gt(sum(test$ref > 0), 15)
  }
  expect_error(boot_lrt(fits$missing, . ~ . - with_na), "different responses")
  expect_error(boot_lrt(small, large), "more parameters")
  expect_error(boot_lrt(large, lm(Reaction ~ Days, lme4::sleepstudy)), "must be linear mixed models")
})

test_that("the chi-squared p-value is R's to twelve digits, in the far tail too", {
  for (df in c(1:5, 10, 50, 100)) {
    x <- c(1e-8, 0.1, 1, 3.84, 10, 50, 200, 1000)
    expect_lt(max(abs(engine_chi_squared_tail(x, df) / pchisq(x, df, lower.tail = FALSE) - 1)), 1e-12)
  }
  test <- boot_lrt(large, small, nsim = 2, seed = 1)$test
  expect_equal(test["LRT", "p.value"], pchisq(test["LRT", "stat"], 1, lower.tail = FALSE), tolerance = 1e-12)
})
