# Standard errors by dense algebra: from the inverse of the whole penalised system (Henderson) in plain R, with lme4's matrices.
dense_errors <- function(fit, x = lme4::getME(fit, "X"), z = as.matrix(lme4::getME(fit, "Z"))) {
  lambda <- as.matrix(Matrix::t(lme4::getME(fit, "Lambdat")))
  own <- cbind(lme4::getME(fit, "X"), as.matrix(lme4::getME(fit, "Z")) %*% lambda)
  p <- ncol(own) - ncol(lambda)
  system <- crossprod(own * sqrt(weights(fit, "prior"))) + diag(rep(c(0, 1), c(p, ncol(lambda))))
  rows <- cbind(x, z %*% lambda)
  # in columns of unit size, since predictors come in wild units
  size <- sqrt(diag(system))
  unname(sigma(fit) * sqrt(rowSums((sweep(rows, 2, size, "/") %*% solve(system / tcrossprod(size))) * sweep(rows, 2, size, "/"))))
}

# The same from V, n x n: the error of the best linear unbiased predictor.
errors_of_v <- function(fit) {
  x <- lme4::getME(fit, "X")
  z <- as.matrix(lme4::getME(fit, "Z"))
  lambda <- as.matrix(Matrix::t(lme4::getME(fit, "Lambdat")))
  psi <- sigma(fit)^2 * tcrossprod(lambda)
  v <- z %*% psi %*% t(z) + sigma(fit)^2 * diag(1 / weights(fit, "prior"))
  inverse <- solve(v)
  gain <- psi %*% t(z) %*% inverse
  phi <- solve(t(x) %*% inverse %*% x)
  left <- x - z %*% gain %*% x
  unname(sqrt(rowSums((left %*% phi) * left) + diag(z %*% (psi - gain %*% z %*% psi) %*% t(z))))
}

quietly <- function(expr) suppressMessages(suppressWarnings(expr))

se_of <- function(...) unname(predict(..., se.fit = TRUE)$se.fit)

error_models <- function() {
  data <- sleep_data()
  data$tiny <- 1e-9 * data$w
  data$huge <- 1e9 * (data$Days + 1)
  list2env(list(errors_data = data), globalenv())
  list(
    quietly(lmer(Reaction ~ Days + (Days | Subject), data)),
    quietly(lmer(Reaction ~ Days + three + (Days || Subject), data, REML = FALSE)),
    quietly(lmer(Reaction ~ Days + (Days | Subject) + (1 | three), data, weights = w + 2)),
    quietly(lmer(Reaction ~ 0 + three + (1 | Subject / three), data, offset = o)),
    quietly(lmer(Reaction ~ Days + I(2 * Days) + (w | Subject), data)),
    quietly(lmer(Reaction ~ with_na + (1 | Subject), data)),
    quietly(lmer(Reaction ~ tiny + huge + (tiny | Subject) + (0 + huge | Subject), data)),
    quietly(lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)),
    quietly(lmer(strength ~ 1 + (1 | batch / cask), Pastes)),
    quietly(lmer(Yield ~ 1 + (1 | Batch), Dyestuff2)),
    quietly(lmer(angle ~ recipe * temperature + (temp | recipe:replicate), cake))
  )
}

test_that("standard errors are those of the whole system, and of V", {
  for (fit in error_models()) {
    n <- nobs(fit)
    expect_equal(se_of(fit), dense_errors(fit), tolerance = 1e-7)
    if (!"tiny" %in% all.vars(formula(fit))) expect_equal(se_of(fit), errors_of_v(fit), tolerance = 1e-6)
    nothing <- matrix(0, n, length(fit@u))
    expect_equal(se_of(fit, re.form = NA), dense_errors(fit, z = nothing), tolerance = 1e-7)
    expect_equal(
      se_of(fit, re.form = NA), unname(sqrt(diag(lme4::getME(fit, "X") %*% as.matrix(vcov(fit)) %*% t(lme4::getME(fit, "X"))))),
      tolerance = 1e-7
    )
    expect_equal(se_of(fit, random.only = TRUE), dense_errors(fit, x = 0 * lme4::getME(fit, "X")), tolerance = 1e-7)
  }
})

test_that("new data, formulas and lme4's own fits give the same standard errors", {
  data <- sleep_data()
  for (make in list(lmer, lme4::lmer)) {
    fit <- make(Reaction ~ Days + (Days | Subject), data)
    rows <- c(3, 180, 50)
    new <- data[rows, ]
    expect_equal(se_of(fit, new), dense_errors(fit)[rows], tolerance = 1e-8)
    expect_named(predict(fit, new, se.fit = TRUE), c("fit", "se.fit"))
    expect_equal(predict(fit, new, se.fit = TRUE)$fit, predict(fit, new), tolerance = 1e-12)
    z <- as.matrix(lme4::getME(fit, "Z"))
    z[, seq(2, 36, 2)] <- 0
    expect_equal(se_of(fit, new, re.form = ~ (1 | Subject)), dense_errors(fit, z = z)[rows], tolerance = 1e-8)
    expect_equal(predict(fit, new, re.form = ~ (1 | Subject), se.fit = TRUE)$fit, predict(fit, new, re.form = ~ (1 | Subject)))
  }
})

test_that("levels that the fit hasn't seen have the variance of their effects", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  new <- data.frame(Days = c(0, 5, 9), Subject = c("308", "new", NA))
  got <- predict(fit, new, allow.new.levels = TRUE, se.fit = TRUE)
  expect_equal(got$fit, predict(fit, new, allow.new.levels = TRUE))
  sigma_b <- as.matrix(VarCorr(fit)$Subject)
  z <- cbind(1, new$Days)
  expected <- sqrt(rowSums((z %*% as.matrix(vcov(fit))) * z) + rowSums((z %*% sigma_b) * z))
  expect_equal(unname(got$se.fit[2:3]), expected[2:3], tolerance = 1e-8)
  expect_equal(got$se.fit[[1L]], dense_errors(fit)[[1L]], tolerance = 1e-8)
})

test_that("lme4's standard errors are ours where it has them and levels are known", {
  skip_if_not("se.fit" %in% names(formals(getFromNamespace("predict.merMod", "lme4"))))
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  theirs <- getFromNamespace("predict.merMod", "lme4")
  for (arguments in list(list(NULL), list(NULL, re.form = NA), list(sleepstudy[c(5, 90), ], re.form = NA), list(sleepstudy))) {
    got <- do.call(predict, c(list(fit), arguments, se.fit = TRUE))
    expected <- do.call(theirs, c(list(fit), arguments, se.fit = TRUE))
    expect_identical(names(got), names(expected))
    expect_equal(unname(got$fit), unname(expected$fit), tolerance = 1e-12)
    expect_equal(unname(got$se.fit), unname(expected$se.fit), tolerance = 1e-8)
  }
})

test_that("intervals are estimate and quantiles, of a new response with all that it has", {
  data <- sleep_data()
  fit <- lmer(Reaction ~ Days + (Days | Subject), data, weights = w + 2)
  new <- data[c(1, 44), ]
  got <- predict(fit, new, se.fit = TRUE, interval = "confidence", level = 0.9)
  expect_identical(dimnames(got$fit), list(rownames(new), c("fit", "lwr", "upr")))
  expect_equal(got$fit[, "upr"], got$fit[, "fit"] + qnorm(0.95) * got$se.fit, tolerance = 1e-12)
  expect_equal(got$fit[, "lwr"], got$fit[, "fit"] - qnorm(0.95) * got$se.fit, tolerance = 1e-12)
  t10 <- predict(fit, new, interval = "confidence", df = 10)
  expect_equal(t10[, "upr"], t10[, "fit"] + qt(0.975, 10) * got$se.fit, tolerance = 1e-12)
  half <- function(interval) unname((interval[, "upr"] - interval[, "lwr"]) / 2 / qnorm(0.975))
  expect_equal(half(predict(fit, new, interval = "prediction")), unname(sqrt(got$se.fit^2 + sigma(fit)^2)), tolerance = 1e-10)
  weighted <- half(predict(fit, new, interval = "prediction", weights = c(1, 4)))
  expect_equal(weighted, unname(sqrt(got$se.fit^2 + sigma(fit)^2 / c(1, 4))), tolerance = 1e-10)
  own <- half(predict(fit, interval = "prediction"))
  expect_equal(own, sqrt(dense_errors(fit)^2 + sigma(fit)^2 / weights(fit)), tolerance = 1e-8)
  # without random effects a new response is of a new subject
  z <- cbind(1, new$Days)
  effects <- rowSums((z %*% as.matrix(VarCorr(fit)$Subject)) * z)
  se <- se_of(fit, new, re.form = NA)
  anyone <- half(predict(fit, new["Days"], re.form = NA, interval = "prediction"))
  expect_equal(anyone, sqrt(se^2 + effects + sigma(fit)^2), tolerance = 1e-10)
  # with some, the rest is new
  some <- half(predict(fit, new, re.form = ~ (1 | Subject), interval = "prediction"))
  slope <- new$Days^2 * VarCorr(fit)$Subject[2, 2]
  expect_equal(some, sqrt(se_of(fit, new, re.form = ~ (1 | Subject))^2 + slope + sigma(fit)^2), tolerance = 1e-10)
})

test_that("missing values and na.action do to standard errors what they do to predictions", {
  data <- sleep_data()
  fit <- lmer(Reaction ~ with_na + (1 | Subject), data, na.action = na.exclude)
  got <- predict(fit, se.fit = TRUE)
  expect_identical(is.na(got$se.fit), is.na(got$fit))
  expect_identical(names(got$se.fit), names(predict(fit)))
  expect_equal(got$fit, predict(fit), tolerance = 1e-12)
  new <- data[1:4, ]
  new$with_na <- c(1, NA, 2, 3)
  for (action in list(na.pass, na.omit, na.exclude)) {
    got <- predict(fit, new, na.action = action, se.fit = TRUE, interval = "prediction")
    expect_identical(names(got$se.fit), names(predict(fit, new, na.action = action)))
    expect_identical(is.na(got$fit[, "lwr"]), is.na(predict(fit, new, na.action = action)))
    expect_equal(got$fit[, "fit"], predict(fit, new, na.action = action))
  }
  expect_false(anyNA(predict(fit, new[-2, ], se.fit = TRUE)$se.fit))
})

test_that("absorbed factors and streamed fits have standard errors", {
  data <- withr::with_seed(3, data.frame(f = factor(sample(120, 1000, TRUE)), g = factor(sample(30, 1000, TRUE)), x = rnorm(1000)))
  data$y <- withr::with_seed(4, rnorm(1000) + rnorm(30)[data$g] + rnorm(120)[data$f])
  fit <- lmer(y ~ x + f + (x | g), data)
  expect_false(is.null(engine_mark(fit)$absorbed))
  got <- se_of(fit, data[1:30, ])
  fixed <- se_of(fit, data[1:30, ], re.form = NA)
  expect_false(isTRUE(engine_mark(fit)$formed))
  expect_equal(got, dense_errors(fit)[1:30], tolerance = 1e-7)
  expect_equal(fixed, dense_errors(fit, z = matrix(0, 1000, length(fit@u)))[1:30], tolerance = 1e-7)
  data <- sleep_data()
  whole <- lmer(Reaction ~ Days + three + (Days | Subject), data)
  fit <- lmer(Reaction ~ Days + three + (Days | Subject), in_chunks(data, 37))
  expect_equal(predict(fit, data[1:5, ], se.fit = TRUE), predict(whole, data[1:5, ], se.fit = TRUE), tolerance = 1e-6)
  expect_error(predict(fit, se.fit = TRUE), "needs the rows of the data")
})

test_that("threads and saving change nothing", {
  data <- withr::with_seed(5, data.frame(g = factor(sample(300, 30000, TRUE)), h = factor(sample(90, 30000, TRUE)), x = rnorm(30000)))
  data$y <- withr::with_seed(6, rnorm(30000) + rnorm(300)[data$g] + rnorm(90)[data$h])
  fit <- lmer(y ~ x + (x | g) + (1 | h), data)
  one <- withr::with_options(list(fastlmer.threads = 1), predict(fit, data, se.fit = TRUE))
  two <- withr::with_options(list(fastlmer.threads = 2), predict(fit, data, se.fit = TRUE))
  expect_identical(one, two)
  expect_identical(predict(unserialize(serialize(fit, NULL)), data[1:3, ], se.fit = TRUE), predict(fit, data[1:3, ], se.fit = TRUE))
})

test_that("new parameters are lme4's, and standard errors are at them", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  other <- list(beta = c(240, 11), theta = c(1.1, 0.1, 0.3), sigma = 20)
  new <- sleepstudy[c(2, 33), ]
  got <- suppressMessages(predict(fit, new, newparams = other, se.fit = TRUE))
  expect_equal(got$fit, suppressMessages(predict(fit, new, newparams = other)), tolerance = 1e-12)
  moved <- suppressMessages(getFromNamespace("setParams", "lme4")(fit, other))
  expect_equal(unname(got$se.fit), dense_errors(moved)[c(2, 33)], tolerance = 1e-7)
  expect_error(quietly(predict(fit, new, newparams = list(beta = 1), se.fit = TRUE)), "length mismatch in beta")
})

test_that("wrong arguments are told by name, and other errors are lme4's", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  new <- data.frame(Days = 1:2, Subject = c("308", "new"))
  expect_error(predict(fit, new, se.fit = TRUE), "new levels detected in newdata: new")
  expect_error(predict(fit, new["Days"], se.fit = TRUE), "Subject")
  expect_error(predict(fit, new["Subject"], interval = "confidence"), "Days")
  expect_error(predict(fit, new, interval = "both"), "should be one of")
  expect_error(predict(fit, new, interval = "confidence", level = 95), "'level' must be a number between 0 and 1")
  expect_error(predict(fit, new, interval = "confidence", df = -1), "'df' must be a positive number")
  expect_error(predict(fit, new, re.form = NA, interval = "prediction", weights = -1), "'weights' must be positive numbers")
  expect_error(predict(fit, new, re.form = NA, interval = "prediction", weights = 1:3), "'weights' must be one number or 2")
  expect_error(predict(fit, new, allow.new.levels = TRUE, random.only = TRUE, interval = "prediction"), "leave 'random.only' out")
  expect_error(predict(fit, new, terms = "x", se.fit = TRUE), "not yet implemented")
  data <- sleep_data()
  slope <- lmer(Reaction ~ 1 + (Days | Subject), data)
  expect_error(predict(slope, new["Subject"], re.form = NA, interval = "prediction"), "needs the variables of the random effects")
  fit <- lmer(Reaction ~ Days + (1 | Subject), data, offset = o)
  expect_error(predict(fit, new[1L, ], se.fit = TRUE), "'offset' (o) can't be evaluated in 'newdata'", fixed = TRUE)
  glmer <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  expect_equal(predict(glmer, cbpp[1:3, ]), getFromNamespace("predict.merMod", "lme4")(glmer, cbpp[1:3, ]))
})
