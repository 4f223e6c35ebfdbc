skip_if_not_installed("ggplot2")

fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)

# A table that is the same on every machine.
fixed_table <- function(sizes = c(6, 12, 24), effects = c(0, 3, 6)) {
  table <- expand.grid(Days = effects, Subject = sizes)[2:1]
  power <- round(stats::pnorm(table$Days * sqrt(table$Subject) / 6 - 1.6), 2)
  structure(
    data.frame(
      table, nsim = 100, power = power, conf.low = pmax(power - 0.08, 0), conf.high = pmin(power + 0.08, 1), singular = 0.1, failed = 0
    ),
    class = c("power_table", "data.frame"), along = "Subject", effects = "Days", method = "z", alpha = 0.05, formula = y ~ Days,
    tested = "Days", coefficients = "Days", conf.level = 0.95, test = rbind(c(0, 1))
  )
}

test_that("there is a point with its interval for each design", {
  table <- simulate_power(fit, "Days", "Subject", c(6, 12), list(Days = c(3, 6)), nsim = 20, method = "z", seed = 1)
  picture <- plot(table)
  expect_identical(picture$data, as.data.frame(table))
  expect_identical(ggplot2::fortify(table), as.data.frame(table))
  points <- ggplot2::layer_data(picture, 3)
  expect_equal(nrow(points), 4)
  expect_equal(points$y[order(points$group, points$x)], table$power[c(1, 3, 2, 4)])
  expect_equal(points$ymin[order(points$group, points$x)], table$conf.low[c(1, 3, 2, 4)])
  expect_identical(picture$labels$title, "Power of the Wald test of Days")
  expect_match(picture$labels$caption, "20 draws for each design; singular fits")
  other <- ggplot2::layer_data(plot(table, along = "Days"), 3)
  expect_equal(sort(unique(round(other$x))), c(3, 6))
})

test_that("the level is drawn where the tested effect is zero, the target unless it isn't wanted", {
  lines <- function(picture) {
    found <- Filter(function(layer) inherits(layer$geom, "GeomHline"), picture$layers)
    vapply(found, function(layer) layer$data$yintercept, 0)
  }
  expect_identical(lines(plot(fixed_table())), c(0.8, 0.05))
  expect_match(plot(fixed_table())$labels$subtitle, "dotted: the level, where an effect of zero should lie")
  expect_identical(lines(plot(fixed_table(effects = c(3, 6)), target = 0.9)), 0.9)
  expect_identical(lines(plot(fixed_table(), target = NULL)), 0.05)
  table <- fixed_table()
  attr(table, "coefficients") <- c("Days", "other")
  expect_identical(lines(plot(table)), 0.8)
})

test_that("one design is one point, and further effects have panels", {
  single <- simulate_power(fit, "Days", nsim = 5, method = "z", seed = 1)
  expect_equal(ggplot2::layer_data(plot(single), 2)$y, single$power)
  model <- lmer(Reaction ~ Days + I(Days^2) + (1 | Subject), sleepstudy)
  effects <- list(Days = c(5, 10), "I(Days^2)" = c(0, 1))
  table <- simulate_power(model, "I(Days^2)", "Subject", c(6, 18), effects, nsim = 5, method = "z", seed = 1)
  built <- ggplot2::ggplot_build(plot(table))
  expect_equal(nrow(built$layout$layout), 2)
  expect_identical(attr(table, "coefficients"), "I(Days^2)")
})

test_that("nonsense is refused by name", {
  expect_error(plot(fixed_table(), along = "subject"), "'along' must be one of \"Subject\", \"Days\"", class = "fastlmer_argument_error")
  expect_error(plot(fixed_table(), target = 80), "'target' must be a number between 0 and 1")
})

test_that("pictures are as they were", {
  skip_if_not_installed("vdiffr")
  vdiffr::expect_doppelganger("sizes and effects", plot(fixed_table()))
  vdiffr::expect_doppelganger("effects", plot(fixed_table(18, 0:8)))
})
