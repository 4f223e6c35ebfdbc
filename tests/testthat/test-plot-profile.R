skip_if_not_installed("ggplot2")

fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
profiles <- profile(fit)

# A profile that is the same on every machine: splines through given points, one of which has a boundary at zero.
fixed_profile <- function() {
  zeta <- seq(-3.6, 3.6, 0.4)
  b <- zeta[zeta > -1.8]
  rows <- rbind(
    data.frame(.zeta = zeta, a = 10 + 2 * zeta + 0.1 * zeta^2, sigma = 1 + 0.05 * zeta),
    data.frame(.zeta = b, a = 10 + 0.6 * b, sigma = (1.6 + b) / 3 + 0.05 * (1.6 + b)^2)
  )
  rows$.par <- factor(rep(c("a", ".sigma"), c(length(zeta), length(b))), c("a", ".sigma"))
  names(rows)[[3L]] <- ".sigma"
  splines <- lapply(c(a = "a", .sigma = ".sigma"), function(name) {
    own <- rows[rows$.par == name, ]
    profile_splines(name, own[[name]], own$.zeta)
  })
  structure(rows,
    forward = lapply(splines, `[[`, "forward"), backward = lapply(splines, `[[`, "backward"), lower = c(NA, 0), upper = c(NA, Inf),
    class = c("thpr", "data.frame")
  )
}

test_that("intervals are those of confint()", {
  data <- ggplot2::fortify(profiles, type = "intervals", level = c(0.9, 0.5))
  expect_identical(unique(data$level), c(0.5, 0.9))
  for (level in c(0.5, 0.9)) {
    own <- data[data$level == level, ]
    expect_equal(as.matrix(own[c("conf.low", "conf.high")]), confint(profiles, level = level), ignore_attr = TRUE)
  }
  expect_equal(data$estimate[5:6], unname(fixef(refitML(fit))), tolerance = 1e-5)
  expect_equal(data$estimate[[4L]], sigma(refitML(fit)), tolerance = 1e-4)
  some <- ggplot2::fortify(profiles, type = "intervals", which = "Days", level = 0.95)
  expect_equal(c(some$conf.low, some$conf.high), unname(confint(profiles)["Days", ]))
})

test_that("curves are the profile's splines, up to the highest level", {
  data <- ggplot2::fortify(profiles)
  expect_named(data, c("parameter", "value", "zeta"))
  days <- data[data$parameter == "Days", ]
  expect_equal(days$zeta, stats::predict(attr(profiles, "forward")$Days, days$value)$y)
  expect_equal(range(days$zeta), c(-1, 1) * 1.05 * qnorm(0.995), tolerance = 1e-5)
  picture <- plot(profiles)
  expect_identical(picture$data, data)
  drawn <- ggplot2::layer_data(picture, 1)
  ends <- sapply(c(0.5, 0.8, 0.9, 0.95, 0.99), function(level) confint(profiles, level = level))
  expect_setequal(signif(drawn$x, 6), signif(ends, 6))
  bars <- ggplot2::layer_data(ggplot2::autoplot(profiles, absolute = TRUE, which = "Days", level = 0.95), 1)
  expect_equal(c(bars$x, bars$xend, bars$y), c(unname(confint(profiles)["Days", ]), qnorm(0.975)))
})

test_that("densities hold the levels between the intervals' ends", {
  level <- c(0.5, 0.95)
  areas <- profile_areas(profiles, names(attr(profiles, "forward")), level)
  for (part in split(areas, list(areas$parameter, areas$level))) {
    area <- sum(diff(part$value) * (part$density[-1L] + part$density[-nrow(part)]) / 2)
    expect_equal(area, part$level[[1L]], tolerance = 2e-3, label = part$parameter[[1L]])
  }
  data <- ggplot2::fortify(profiles, type = "density", which = "(Intercept)")
  expect_equal(data$value[which.max(data$density)], unname(fixef(fit)[1]), tolerance = 0.01)
})

test_that("parameters have their names in words, those of lme4's profiles too where it has them", {
  expect_identical(
    levels(ggplot2::fortify(profiles)$parameter),
    c(if (has_signames()) c(
      "SD of (Intercept) by Subject", "SD of Days by Subject", "cor. of Days and (Intercept) by Subject"
    ) else c(
      "SD of (Intercept) by Subject", "cor. of Days and (Intercept) by Subject", "SD of Days by Subject"
    ), "residual SD (sigma)", "(Intercept)", "Days")
  )
  expect_identical(parameter_words("cor_a.b.(Intercept)|g:h"), "cor. of a.b and (Intercept) by g:h")
  expect_identical(parameter_words(c("var_x|g", "sigma", "x")), c("variance of x by g", "residual SD (sigma)", "x"))
  theirs <- suppressWarnings(lme4_function("profile.merMod")(lmer(Yield ~ 1 + (1 | Batch), Dyestuff, REML = FALSE)))
  expect_identical(levels(ggplot2::fortify(theirs)$parameter), c(".sig01", "residual SD (sigma)", "(Intercept)"))
  for (type in c("zeta", "density", "pairs", "intervals")) expect_s3_class(ggplot2::ggplot_build(plot(theirs, type)), "ggplot_built")
  expect_identical(in_lines("recipeB:temperature.L and some", 16), "recipeB:\ntemperature.L\nand some")
})

test_that("theta_ and beta_ are chosen as by lme4, and nonsense is refused by name", {
  expect_identical(profile_choice(profiles, "beta_"), c("(Intercept)", "Days"))
  expect_length(profile_choice(profiles, "theta_"), 4)
  expect_error(plot(profiles, which = "days"), "'which' must be numbers up to 6 or names among '.sig01'", class = "fastlmer_argument_error")
  expect_error(plot(profiles, "lines"), "'type' must be one of \"zeta\", \"density\", \"pairs\", \"intervals\"")
  expect_error(plot(profiles, level = 95), "'level' must be numbers between 0 and 1")
  expect_error(plot(profiles, "pairs", which = "Days"), "two at least for pairs")
})

test_that("many parameters are rows, or are refused where they can't be read", {
  data <- withr::with_seed(1, data.frame(f = factor(rep(1:30, 10)), g = gl(10, 30), y = rnorm(300)))
  many <- profile(suppressMessages(lmer(y ~ f + (1 | g), data)), which = "beta_")
  picture <- plot(many)
  expect_match(picture$labels$title, "Intervals")
  expect_equal(nrow(ggplot2::layer_data(picture, 2)), 30)
  expect_error(plot(many, "pairs"), "30 parameters' pairs can't be read: choose 12 or less by 'which'")
})

test_that("pictures are as they were", {
  skip_if_not_installed("vdiffr")
  profile <- fixed_profile()
  vdiffr::expect_doppelganger("zeta", plot(profile))
  vdiffr::expect_doppelganger("absolute zeta", plot(profile, absolute = TRUE, level = c(0.5, 0.95)))
  vdiffr::expect_doppelganger("density", plot(profile, "density"))
  vdiffr::expect_doppelganger("pairs", plot(profile, "pairs"))
  vdiffr::expect_doppelganger("intervals", plot(profile, "intervals"))
})
