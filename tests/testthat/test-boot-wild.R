list2env(resampling_bench(), environment())

test_that("wild", {
  skip_on_cran()
  x <- model.matrix(~Days, data)
  leverage <- diag(x %*% solve(crossprod(x)) %*% t(x))
  fixed <- predict(fit, re.form = NA)
  mammen <- function(n) {
    values <- c(-(sqrt(5) - 1) / 2, (sqrt(5) + 1) / 2)
    sample(values, n, replace = TRUE, prob = c(sqrt(5) + 1, sqrt(5) - 1) / (2 * sqrt(5)))
  }
  residuals <- (data$Reaction - fixed) / (1 - leverage)
  expected <- plain(function() with_reaction(fixed + residuals * mammen(18)[data$Subject]))
  expect_equal(bootstrap_errors("wild"), expected, tolerance = 0.08)
  residuals <- (data$Reaction - fixed) / sqrt(1 - leverage)
  expected <- plain(function() with_reaction(fixed + residuals * sample(c(-1, 1), 18, replace = TRUE)[data$Subject]))
  expect_equal(bootstrap_errors("wild", hccme = "hc2", aux = "rademacher"), expected, tolerance = 0.08)
})
