skip_if_not_installed("ggplot2")

days <- quote(lmer(Reaction ~ Days + (Days | Subject), sleepstudy))

test_that("levels that don't determine their effects have no estimates of their own, and the picture says so", {
  data <- sleepstudy[!(sleepstudy$Subject %in% c("308", "309") & sleepstudy$Days > 0), ]
  data$Days[data$Subject == "310"] <- 3
  data$Reaction[2] <- NA
  fit <- lmer(Reaction ~ Days + (Days | Subject), data, na.action = na.exclude)
  found <- ggplot2::fortify(fit, type = "shrinkage")
  expect_identical(as.character(unique(found$level[is.na(found$no_pooling)])), c("308", "310"))
  expect_false(anyNA(found$partial_pooling))
  expect_match(gsub("\n", " ", ggplot2::autoplot(fit)$labels$caption), "2 levels have no arrow")
})

test_that("absorbed factors and lmerTest's fits are drawn, data in chunks are not", {
  data <- withr::with_seed(1, data.frame(f = factor(rep(1:120, each = 10)), g = factor(rep(1:40, 30)), x = rnorm(1200)))
  data$y <- withr::with_seed(2, rnorm(40))[data$g] + data$x + withr::with_seed(3, rnorm(1200))
  fit <- lmer(y ~ x + f + (x | g), data)
  expect_true(is_absorbed(engine_of(fit)$x))
  found <- ggplot2::fortify(fit, type = "shrinkage")
  expect_equal(found$complete_pooling[c(1, 41)], unname(fixef(fit)[c("(Intercept)", "x")]))
  expect_equal(found$partial_pooling, c(coef(fit)$g[["(Intercept)"]], coef(fit)$g$x))
  chunks <- lmer(y ~ x + (x | g), in_chunks(data, 100))
  expect_error(ggplot2::autoplot(chunks), "rows of the data", class = "fastlmer_unsupported_error")
  skip_if_not_installed("lmerTest")
  tested <- lmerTest::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_equal(ggplot2::fortify(tested, type = "shrinkage"), ggplot2::fortify(eval(days), type = "shrinkage"), tolerance = 1e-4)
})

test_that("contours hold their share of the normal distribution", {
  v <- matrix(c(2, 0.6, 0.6, 0.5), 2)
  ring <- normal_contours(c(1, -1), v)
  distance <- stats::mahalanobis(ring[c("x", "y")], c(1, -1), v)
  expect_equal(stats::pchisq(distance, 2), ring$share)
})

test_that("an own estimate that is far off doesn't squeeze the others", {
  arrows <- data.frame(x = 0, y = 0, from_x = c(10, 1), from_y = c(5, 1))
  expect_equal(to_border(arrows, c(-2, 2), c(-2, 2)), data.frame(from_x = c(2, 1), from_y = c(1, 1), far = c(TRUE, FALSE)))
  expect_equal(far_out(c(1:9, 1000, NA), c(0, 12)), c(0, 12))
})

test_that("the pictures look as they did", {
  skip_if_not_installed("vdiffr")
  vdiffr::expect_doppelganger("two effects", ggplot2::autoplot(eval(days)))
  vdiffr::expect_doppelganger("one effect", ggplot2::autoplot(lmer(strength ~ 1 + (1 | batch / cask), Pastes)))
  three <- suppressMessages(lmer(angle ~ recipe * temperature + (recipe | replicate), cake))
  vdiffr::expect_doppelganger("three effects", ggplot2::autoplot(three))
})
