test_that("simulated errors are refits' errors, and quantiles of them the limits", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  new <- data.frame(Days = c(2, 5), Subject = c("308", "337"))
  got <- predict(fit, new, interval = "confidence", se.fit = TRUE, method = "simulate", nsim = 40, seed = 3)
  # by hand: the same draws, refitted one by one
  set.seed(3)
  u <- matrix(rnorm(36 * 40), 36)
  e <- matrix(rnorm(180 * 40), 180)
  z <- as.matrix(lme4::getME(fit, "Z"))
  b <- sigma(fit) * as.matrix(Matrix::t(lme4::getME(fit, "Lambdat"))) %*% u
  errors <- vapply(1:40, function(i) {
    again <- suppressMessages(refit(fit, as.numeric(lme4::getME(fit, "X") %*% fixef(fit) + z %*% b[, i] + sigma(fit) * e[, i])))
    truth <- cbind(1, new$Days) %*% fixef(fit) + c(b[1, i] + 2 * b[2, i], b[19, i] + 5 * b[20, i])
    predict(again, new) - drop(truth)
  }, numeric(2))
  expect_identical(levels(sleepstudy$Subject)[c(1, 10)], new$Subject)
  expect_equal(unname(got$se.fit), unname(apply(errors, 1, sd)), tolerance = 1e-5)
  limits <- t(apply(errors, 1, function(x) quantiles_of(x, c(0.025, 0.975))))
  expect_equal(unname(got$fit[, "lwr"] - got$fit[, "fit"]), -unname(limits[, 2]), tolerance = 1e-5)
  expect_equal(unname(got$fit[, "upr"] - got$fit[, "fit"]), -unname(limits[, 1]), tolerance = 1e-5)
})

test_that("with many groups simulated standard errors come near those of the normal theory", {
  data <- withr::with_seed(7, data.frame(g = factor(rep(1:200, 10)), h = factor(rep(1:20, each = 100)), x = rnorm(2000)))
  data$w <- 1 + seq_len(2000) %% 3
  data$y <- withr::with_seed(8, data$x + rnorm(200)[data$g] + rnorm(20)[data$h] + rnorm(2000) / sqrt(data$w))
  new <- data.frame(g = c("1", "none"), h = c("3", "7"), x = c(1, -1))
  fits <- list(lmer(y ~ x + (x || g) + (1 | h), data, weights = w), lmer(y ~ x + (1 | g) + (1 | h), data, weights = w))
  for (fit in fits) {
    for (interval in c("confidence", "prediction")) {
      normal <- predict(fit, new, allow.new.levels = TRUE, se.fit = TRUE, interval = interval)
      drawn <- predict(
        fit, new, allow.new.levels = TRUE, se.fit = TRUE, interval = interval, method = "simulate", nsim = 400, seed = 1
      )
      expect_equal(drawn$se.fit, normal$se.fit, tolerance = 0.15)
      width <- function(x) x$fit[, "upr"] - x$fit[, "lwr"]
      expect_equal(width(drawn), width(normal), tolerance = 0.15)
    }
    fixed <- predict(fit, new["x"], re.form = NA, se.fit = TRUE, method = "simulate", nsim = 400, seed = 2)
    expect_equal(fixed$se.fit, predict(fit, new["x"], re.form = NA, se.fit = TRUE)$se.fit, tolerance = 0.15)
  }
})

test_that("what can't be simulated is refused", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_error(predict(fit, sleepstudy[1:2, ], se.fit = TRUE, method = "simulate", nsim = 1), "'nsim' must be a number of at least 2")
  streamed <- lmer(Reaction ~ Days + (Days | Subject), in_chunks(sleepstudy, 40))
  expect_error(predict(streamed, sleepstudy[1:2, ], se.fit = TRUE, method = "simulate"), "needs the rows of the data")
  expect_identical(
    predict(fit, sleepstudy[1:2, ], se.fit = TRUE, method = "simulate", nsim = 5, seed = 1),
    predict(fit, sleepstudy[1:2, ], se.fit = TRUE, method = "simulate", nsim = 5, seed = 1)
  )
})
