skip_if_not_installed("ggplot2")

days <- quote(lmer(Reaction ~ Days + (Days | Subject), sleepstudy))

test_that("the estimates are lmList()'s, coef()'s and fixef()'s", {
  calls <- list(
    days, quote(lmer(Reaction ~ Days + (Days || Subject), sleepstudy)), quote(lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy))
  )
  for (call in calls) {
    fit <- eval(call)
    data <- ggplot2::fortify(fit, type = "shrinkage")
    expect_identical(names(data), c("group", "level", "effect", "rows", "no_pooling", "partial_pooling", "complete_pooling"))
    expect_identical(levels(data$effect), c("(Intercept)", "Days"))
    own <- as.matrix(coef(lme4::lmList(Reaction ~ Days | Subject, sleepstudy)))
    expect_equal(data$no_pooling, as.vector(own), tolerance = 1e-10)
    expect_equal(data$partial_pooling, unlist(coef(fit)$Subject, use.names = FALSE))
    expect_equal(data$complete_pooling, rep(unname(fixef(fit)), each = 18))
    expect_identical(as.character(data$level), rep(levels(sleepstudy$Subject), 2))
  }
  fit <- eval(days)
  expect_equal(attr(ggplot2::fortify(fit, type = "shrinkage"), "covariance"), VarCorr(fit)$Subject[1:2, 1:2])
  expect_identical(ggplot2::autoplot(fit)$data, ggplot2::fortify(fit, type = "shrinkage"))
})

test_that("what isn't a level's own is held where the fit has it", {
  data <- withr::with_seed(5, transform(sleepstudy, f = factor(sample(3, 180, TRUE)), w = runif(180, 0.5, 2), z = rnorm(180)))
  fit <- suppressMessages(lmer(Reaction ~ Days + z + (Days | Subject) + (1 | f), data, weights = w, offset = 10 * z))
  found <- ggplot2::fortify(fit, type = "shrinkage", group = "Subject")
  rest <- data$Reaction - 10 * data$z - fixef(fit)[["z"]] * data$z - ranef(fit)$f[data$f, 1]
  own <- t(sapply(levels(data$Subject), function(level) coef(lm(rest ~ Days, data, weights = w, subset = Subject == level))))
  expect_equal(found$no_pooling, as.vector(own), tolerance = 1e-9)
  # the model's estimates are then the mean of both, weighted by their precisions
  one <- data$Subject == "308"
  z <- cbind(1, data$Days)[one, ]
  own_precision <- crossprod(z, data$w[one] * z) / sigma(fit)^2
  between <- solve(attr(found, "covariance"))
  both <- solve(own_precision + between, own_precision %*% own[1, ] + between %*% fixef(fit)[1:2])
  expect_equal(found$partial_pooling[found$level == "308"], as.vector(both), tolerance = 1e-8)
})

test_that("cells of random effects have the cells' means for their average", {
  fit <- suppressMessages(lmer(angle ~ recipe + (0 + recipe | replicate), cake))
  data <- ggplot2::fortify(fit, type = "shrinkage")
  means <- tapply(cake$angle, cake$recipe, mean)
  expect_equal(data$complete_pooling[c(1, 16, 31)], as.vector(means))
  own <- tapply(cake$angle, list(cake$replicate, cake$recipe), mean)
  expect_equal(data$no_pooling, as.vector(own))
  expect_equal(data$partial_pooling - data$complete_pooling, unlist(ranef(fit)$replicate, use.names = FALSE))
})

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

test_that("own estimates are as exact as a decomposition's where predictors are far from zero", {
  data <- transform(sleepstudy, stamp = 1.6e9 + 86400 * Days)
  fit <- suppressWarnings(lmer(Reaction ~ stamp + (1 | Subject) + (0 + stamp | Subject), data))
  slopes <- ggplot2::fortify(fit, type = "shrinkage", effects = "stamp")$no_pooling
  centred <- sapply(split(data, data$Subject), function(rows) coef(lm(Reaction ~ Days, rows))[[2]]) / 86400
  expect_equal(slopes, unname(centred), tolerance = 1e-6)
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

test_that("a wrong argument is named with what is possible", {
  fit <- lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)
  expect_error(ggplot2::autoplot(fit, type = "no"), "'type' must be one of \"shrinkage\"", class = "fastlmer_argument_error")
  expect_error(ggplot2::autoplot(fit, group = "no"), "'group' .*\"plate\", \"sample\"", class = "fastlmer_argument_error")
  expect_error(ggplot2::autoplot(fit, effects = "no"), "'effects' .* '\\(Intercept\\)'", class = "fastlmer_argument_error")
  expect_error(ggplot2::autoplot(fit, colour = 3), "'colour' isn't an argument .*'group', 'effects'", class = "fastlmer_argument_error")
  expect_identical(unique(ggplot2::fortify(fit, type = "shrinkage")$group), "plate")
  expect_identical(unique(ggplot2::fortify(fit, type = "shrinkage", group = "sample")$group), "sample")
})

test_that("without a type fortify() is lme4's", {
  expect_identical(ggplot2::fortify(eval(days)), lme4::fortify.merMod(eval(days)))
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
