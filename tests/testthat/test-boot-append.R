fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
other <- lmer(Reaction ~ Days + (1 | Subject), sleepstudy)

test_that("500 replicates and 500 more are the 1000 of one call, bit for bit", {
  for (threads in c(1, 2)) {
    whole <- bootMer(fit, fixef, nsim = 1000, seed = 5, rng = "pcg64")
    part <- bootMer(fit, fixef, nsim = 500, seed = 5, rng = "pcg64", threads = threads)
    both <- more_replicates(part, fit, 500, threads = threads)
    expect_identical(both$t, whole$t)
    expect_identical(both$R, whole$R)
    expect_identical(both$seed, whole$seed)
    expect_equal(attr(both, "draws"), attr(whole, "draws"))
    expect_equal(confint(both), confint(whole))
    expect_identical(attr(both, "bootFail"), attr(whole, "bootFail"))
    expect_equal(attr(both, "boot.all.msgs"), attr(whole, "boot.all.msgs"), ignore_attr = TRUE)
  }
  kept <- bootMer(fit, sigma, nsim = 20, seed = 5, rng = "pcg64", use.u = TRUE)
  expect_identical(
    more_replicates(kept, fit, 30)$t, bootMer(fit, sigma, nsim = 50, seed = 5, rng = "pcg64", use.u = TRUE)$t
  )
  # a statistic that isn't recognised runs on each fit
  slow <- function(f) unlist(lapply(1, function(i) getME(f, "theta")))
  expect_identical(
    more_replicates(bootMer(fit, slow, nsim = 3, seed = 1, rng = "pcg64"), fit, 4)$t,
    bootMer(fit, slow, nsim = 7, seed = 1, rng = "pcg64")$t
  )
})

test_that("bootstraps of several seeds are put together, and go on", {
  one <- bootMer(fit, fixef, nsim = 30, seed = 1, rng = "pcg64")
  two <- bootMer(fit, fixef, nsim = 20, seed = 2, rng = "pcg64")
  both <- c(one, two)
  expect_s3_class(both, c("bootMer", "boot"), exact = TRUE)
  expect_identical(both$t, rbind(one$t, two$t))
  expect_identical(both$R, 50L)
  expect_identical(append(one, two)$t, both$t)
  expect_identical(more_replicates(both, fit, 5)$t[51:55, ], bootMer(fit, fixef, nsim = 25, seed = 2, rng = "pcg64")$t[21:25, ])
  expect_identical(more_replicates(both, fit, 5, seed = 1)$t[51:55, ], bootMer(fit, fixef, nsim = 35, seed = 1, rng = "pcg64")$t[31:35, ])
  plain <- bootMer(fit, fixef, nsim = 10, seed = 1)
  further <- more_replicates(plain, fit, 10, seed = 2)
  expect_identical(further$t, rbind(plain$t, bootMer(fit, fixef, nsim = 10, seed = 2)$t))
  expect_identical(boot_intervals(both, "shortest")$estimate, unname(fixef(fit)))
})

test_that("what doesn't belong together is refused", {
  one <- bootMer(fit, fixef, nsim = 10, seed = 1, rng = "pcg64")
  expect_error(c(one, bootMer(other, fixef, nsim = 10, seed = 2, rng = "pcg64")), "bootstraps of different models")
  expect_error(c(one, bootMer(fit, sigma, nsim = 10, seed = 2, rng = "pcg64")), "bootstraps of different statistics")
  expect_error(c(one, bootMer(fit, fixef, nsim = 10, seed = 2, rng = "pcg64", use.u = TRUE)), "drawn in different ways")
  expect_error(c(one, boot_resample(fit, fixef, 10, "residual", seed = 2)), "drawn in different ways")
  expect_error(c(one, one), "replicates of the seed 1 would be there twice")
  expect_error(c(one, bootMer(fit, fixef, nsim = 3, seed = 1, rng = "pcg64")), "would be there twice")
  plain <- bootMer(fit, fixef, nsim = 10, seed = 1)
  expect_error(c(plain, plain), "the same replicates twice")
  expect_error(c(one, 1), "only results of bootMer()", fixed = TRUE)
  expect_error(more_replicates(one, other, 5), "'fit' isn't the model that was bootstrapped")
  expect_error(more_replicates(one, 3, 5), "'fit' must be the linear mixed model")
  expect_error(more_replicates(1, fit, 5), "'boot' must be a result of bootMer()", fixed = TRUE)
  expect_error(more_replicates(boot_resample(fit, fixef, 10, "case", seed = 2), fit, 5), "parametric bootstraps")
})
