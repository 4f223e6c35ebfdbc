list2env(resampling_bench(), environment())

test_that("random-effect block, types 0 and 1", {
  skip_on_cran()
  fixed <- predict(fit, re.form = NA)
  marginal <- data$Reaction - fixed
  means <- tapply(marginal, data$Subject, mean)
  within <- split(marginal - means[data$Subject], data$Subject)
  drawn <- function(means, within) {
    with_reaction(fixed + sample(means, replace = TRUE)[data$Subject] +
      unlist(lapply(within[sample(18, replace = TRUE)], sample, replace = TRUE)))
  }
  expect_equal(bootstrap_errors("reb"), plain(function() drawn(means, within)), tolerance = 0.08)
  means <- (means - mean(means)) / sqrt(mean((means - mean(means))^2)) * sqrt(VarCorr(fit)$Subject[1])
  within <- lapply(within, function(e) e / sqrt(mean(unlist(within)^2)) * sigma(fit))
  expect_equal(bootstrap_errors("reb", reb_type = 1), plain(function() drawn(means, within)), tolerance = 0.08)
})

test_that("random-effect block, type 2: adjusted afterwards", {
  FUN <- function(f) c(fixef(f), as.data.frame(VarCorr(f))$vcov)
  raw <- boot_resample(fit, FUN, 300, "reb", seed = 1)
  adjusted <- boot_resample(fit, FUN, 300, "reb", reb_type = 2, seed = 1)
  expect_equal(colMeans(adjusted$t), adjusted$t0, tolerance = 1e-6)
  expect_lt(abs(cor(log(adjusted$t[, 3]), log(adjusted$t[, 4]))), 1e-8)
  expect_equal(apply(log(adjusted$t[, 3:4]), 2, sd), apply(log(raw$t[, 3:4]), 2, sd), tolerance = 1e-8)
  expect_equal(scale(adjusted$t[, 1:2], scale = FALSE), scale(raw$t[, 1:2], scale = FALSE), tolerance = 1e-8, ignore_attr = TRUE)
  expect_error(boot_resample(fit, function(f) sum(residuals(f)), 5, "reb", reb_type = 2), "needs a random intercept")
})
