skip_if_not_installed("ggplot2")

large <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
slopes <- boot_lrt(large, . ~ . - Days, nsim = 50, seed = 1)
variance <- boot_lrt(large, lmer(Reaction ~ Days + (1 | Subject), sleepstudy), nsim = 50, seed = 1)

# A test that is the same on every machine: draws at the quantiles of half a chi-squared distribution, the others at zero.
fixed_test <- function(observed, size = 400L) {
  p <- stats::ppoints(size)
  larger <- sum(stats::qchisq(pmax(2 * p - 1, 0), 1) > observed)
  structure(list(
    test = data.frame(
      stat = observed, df = c(1, NA), p.value = c(stats::pchisq(observed, 1, lower.tail = FALSE), (1 + larger) / (1 + size / 2)),
      row.names = c("LRT", "PBtest")
    ),
    samples = c(nsim = size, npos = size %/% 2L), n.extreme = larger, LRTstat = c(tobs = observed, df = 1, p = NA),
    ref = stats::qchisq(pmax(2 * p - 1, 0), 1), formula.large = y ~ x + (1 | g), formula.small = y ~ x + (1 | h)
  ), class = c("boot_lrt", "PBmodcomp"), tested = c(fixed = 0, variances = 1, covariances = 0))
}

test_that("data are the draws", {
  data <- ggplot2::fortify(slopes)
  expect_named(data, c("replicate", "statistic", "larger"))
  expect_identical(data$statistic, pmax(slopes$ref, 0))
  expect_identical(sum(data$larger), as.integer(slopes$n.extreme))
  expect_identical(ggplot2::autoplot(slopes)$data, data)
})

test_that("bars are the draws, the curve is chi-squared's density, and the line is at the data's statistic", {
  test <- fixed_test(3)
  picture <- plot(test)
  bars <- ggplot2::layer_data(picture, 1)
  expect_equal(sum((bars$ymax - bars$ymin) * (bars$xmax - bars$xmin)), 1)
  larger <- bars[bars$fill == picture_colours[["orange"]], ]
  expect_equal(sum((larger$ymax - larger$ymin) * (larger$xmax - larger$xmin)), mean(test$ref > 3))
  curves <- ggplot2::layer_data(picture, 2)
  plain <- curves[curves$linetype == "solid", ]
  expect_equal(plain$y, dchisq(plain$x, 1))
  mixed <- curves[curves$linetype != "solid", ]
  expect_equal(mixed$y, dchisq(mixed$x, 1) / 2)
  expect_equal(ggplot2::layer_data(picture, 3)$xintercept, 3)
})

test_that("tails are shares and probabilities", {
  test <- fixed_test(3)
  picture <- plot(test, "tail")
  curves <- ggplot2::layer_data(picture, 1)
  expect_equal(10^curves$y, pchisq(curves$x, 1, lower.tail = FALSE) * ifelse(curves$linetype == "solid", 1, 0.5))
  steps <- ggplot2::layer_data(picture, 2)
  shares <- vapply(steps$x, function(x) mean(test$ref > x), 0)
  # it begins at one, and ends level
  shares[c(1L, nrow(steps))] <- c(1, shares[[nrow(steps) - 1L]])
  expect_equal(10^steps$y, shares)
})

test_that("a mixture is shown for one variance at its boundary only", {
  expect_equal(attr(slopes, "tested"), c(fixed = 1, variances = 0, covariances = 0))
  expect_equal(attr(variance, "tested"), c(fixed = 0, variances = 1, covariances = 1))
  expect_length(lrt_distributions(slopes), 1)
  expect_length(lrt_distributions(variance), 2)
  both <- lrt_distributions(variance)[[2L]]
  expect_equal(both$tail(3), (pchisq(3, 1, lower.tail = FALSE) + pchisq(3, 2, lower.tail = FALSE)) / 2)
  expect_match(both$name, "half 1 df, half 2 df")
  expect_equal(lrt_distributions(fixed_test(3))[[2L]]$tail(3), pchisq(3, 1, lower.tail = FALSE) / 2)
})

test_that("the subtitle has the p-values of the test", {
  subtitle <- plot(slopes)$labels$subtitle
  expect_match(subtitle, paste("p =", p_text(slopes$test["PBtest", "p.value"]), "by the bootstrap"), fixed = TRUE)
  expect_match(subtitle, paste("p =", p_text(slopes$test["LRT", "p.value"]), "by chi-squared, 1 df"), fixed = TRUE)
  expect_match(subtitle, "no draw is larger")
  expect_match(plot(fixed_test(3))$labels$caption, "400 draws from the smaller model, 200 statistics above zero\nlarger: y ~ x + (1 | g)",
    fixed = TRUE)
  expect_identical(p_text(0.0312), "0.031")
  expect_identical(p_text(3e-9), "3e-09")
})

test_that("a statistic far beyond the draws is pointed to", {
  picture <- plot(fixed_test(1000))
  expect_lt(max(ggplot2::layer_data(picture, 2)$x), 20)
  expect_s3_class(picture$layers[[3L]]$geom, "GeomSegment")
  expect_match(ggplot2::layer_data(picture, 4)$label, "1000")
})

test_that("what can't be drawn is said", {
  expect_error(plot(slopes, "violin"), "'type' must be one of \"density\", \"tail\"", class = "fastlmer_argument_error")
  slopes$ref[] <- NA
  expect_error(plot(slopes), "none of the draws could be fitted", class = "fastlmer_data_error")
})

test_that("pictures are as they were", {
  skip_if_not_installed("vdiffr")
  vdiffr::expect_doppelganger("density", plot(fixed_test(3)))
  vdiffr::expect_doppelganger("tail", plot(fixed_test(3), "tail"))
  vdiffr::expect_doppelganger("far beyond", plot(fixed_test(1000)))
})
