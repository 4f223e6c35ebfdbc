list2env(resampling_bench(), environment())

test_that("residual", {
  skip_on_cran()
  modes <- ranef(fit)$Subject[[1]]
  modes <- (modes - mean(modes)) / sqrt(mean((modes - mean(modes))^2)) * sqrt(VarCorr(fit)$Subject[1])
  residuals <- residuals(fit) - mean(residuals(fit))
  residuals <- residuals / sqrt(mean(residuals^2)) * sigma(fit)
  fixed <- predict(fit, re.form = NA)
  expected <- plain(function() with_reaction(fixed + sample(modes, replace = TRUE)[data$Subject] + sample(residuals, replace = TRUE)))
  expect_equal(bootstrap_errors("residual"), expected, tolerance = 0.08)
})

test_that("reflation: drawn effects have the estimated covariance", {
  slopes <- lmer(Reaction ~ Days + (Days | Subject), data)
  record <- engine_of(slopes)
  effects <- Map(reflated, term_effects(record, slopes@u), term_covariances(record))[[1]]
  expect_equal(crossprod(effects) / 18, matrix(VarCorr(slopes)$Subject, 2), tolerance = 1e-8, ignore_attr = TRUE)
  expect_equal(colMeans(effects), c(0, 0))
  expect_equal(random_part(record, term_effects(record, slopes@u)) + fixed_part(record), unname(fitted(slopes)), tolerance = 1e-8)
})
