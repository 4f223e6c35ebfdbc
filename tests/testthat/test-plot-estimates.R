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

test_that("own estimates are as exact as a decomposition's where predictors are far from zero", {
  data <- transform(sleepstudy, stamp = 1.6e9 + 86400 * Days)
  fit <- suppressWarnings(lmer(Reaction ~ stamp + (1 | Subject) + (0 + stamp | Subject), data))
  slopes <- ggplot2::fortify(fit, type = "shrinkage", effects = "stamp")$no_pooling
  centred <- sapply(split(data, data$Subject), function(rows) coef(lm(Reaction ~ Days, rows))[[2]]) / 86400
  expect_equal(slopes, unname(centred), tolerance = 1e-6)
})
