skip_if_not_installed("ggplot2")

test_that("the likelihood on a contour is that of its level, by brute force", {
  data <- withr::with_seed(1, transform(sleepstudy, x = Days + rnorm(180), g = Subject))
  model <- lmer(Reaction ~ Days + x + (1 | g), data, REML = FALSE)
  contour <- ggplot2::fortify(profile(model), type = "pairs", which = c("Days", "x"), level = c(0.8, 0.99))
  expect_identical(unique(as.character(contour$parameter)), "Days")
  for (level in c(0.8, 0.99)) {
    own <- contour[contour$level == level, ][seq(1, 101, 10), ]
    rise <- mapply(function(by_days, by_x) {
      held <- lmer(Reaction ~ 1 + (1 | g), data, REML = FALSE, offset = by_days * Days + by_x * x)
      deviance(held) - deviance(model)
    }, own$value, own$other_value)
    # the first point is on a trace, those between such points are interpolated, for two columns that are nearly the same
    expect_equal(rise[c(1, 11)], rep(qchisq(level, 2), 2), tolerance = 1e-4)
    expect_lt(max(abs(rise / qchisq(level, 2) - 1)), 0.05)
  }
})

test_that("a variance and a fixed effect have contours that are symmetric in the effect", {
  model <- lmer(Yield ~ 1 + (1 | Batch), Dyestuff, REML = FALSE)
  contour <- ggplot2::fortify(profile(model, signames = FALSE), type = "pairs", which = c(1, 3), level = 0.5)
  estimate <- fixef(model)
  expect_equal(max(contour$other_value) - estimate, estimate - min(contour$other_value), tolerance = 1e-3, ignore_attr = TRUE)
  expect_identical(levels(contour$parameter), c("SD of (Intercept) by Batch", "(Intercept)"))
})

test_that("regions stop at a boundary, and undetermined correlations are named", {
  small <- suppressMessages(lmer(Yield ~ 1 + (1 | Batch), Dyestuff2))
  contour <- ggplot2::fortify(profile(small), type = "pairs")
  expect_gte(min(contour$value[contour$parameter == "SD of (Intercept) by Batch"]), 0)
  data <- withr::with_seed(3, data.frame(y = rnorm(60), x = rnorm(60), g = gl(10, 6)))
  flat <- profile(suppressMessages(lmer(y ~ x + (x | g), data)))
  expect_named(which(vapply(split(flat$.zeta, flat$.par), is_flat, NA)), if (has_signames()) ".sig03" else ".sig02")
  expect_match(plot(flat)$labels$caption, "undetermined, all values are as likely: cor. of x and (Intercept) by g", fixed = TRUE)
  expect_false(any(grepl("^cor", levels(droplevels(ggplot2::fortify(flat, type = "pairs")$parameter)))))
  curve <- ggplot2::fortify(flat, type = "density")
  expect_true(all(is.na(curve$density[grepl("^cor", curve$parameter)])))
  for (type in c("density", "pairs", "intervals")) expect_s3_class(ggplot2::ggplot_build(plot(flat, type)), "ggplot_built")
})
