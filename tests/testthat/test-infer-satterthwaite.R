# Satterthwaite's degrees of freedom beside lmerTest's, at the same estimates.

# Degrees of freedom, as shares of what they are.
expect_same_df <- function(ours, theirs, label, tolerance = 1e-5) {
  expect_identical(dimnames(ours), dimnames(theirs))
  expect_equal(as.matrix(ours), as.matrix(theirs), tolerance = tolerance, label = label)
}

test_that("coefficients, and terms of all types, have lmerTest's tests", {
  skip_if_no_lmerTest()
  models <- tested_models()
  expect_gt(length(models), 25L)
  for (name in names(models)) {
    fits <- both_tests(models[[name]], reml = !name %in% c("sleepstudy: Days | S", "cake: slope", "Pastes: batch/cask"))
    expect_s4_class(fits$ours, "lmerModLmerTest")
    expect_same_df(summary(fits$ours)$coefficients, summary(fits$theirs)$coefficients, name)
    if (name == "sleepstudy: intercept only" || length(fits$ours@beta) < 2L) next
    for (type in c("I", "II", "III")) {
      tables <- suppressMessages(lapply(fits, anova, type = type))
      expect_same_df(tables$ours, tables$theirs, paste(name, type))
      expect_identical(attributes(tables$ours)[c("heading", "class")], attributes(tables$theirs)[c("heading", "class")])
    }
  }
})

test_that("contrasts of one and of several degrees of freedom have lmerTest's tests", {
  skip_if_no_lmerTest()
  fits <- both_tests(quote(lmer(angle ~ recipe * temperature + (1 | recipe:replicate), cake)))
  p <- length(fits$ours@beta)
  random <- function(rows) withr::with_seed(rows, matrix(rnorm(rows * p), rows))
  contrasts <- list(random(1), random(3), diag(p)[4:8, ], random(2)[c(1, 2, 1), ])
  for (contrast in contrasts) {
    tests <- lapply(fits, lmerTest::contestMD, contrast)
    expect_equal(tests$ours, tests$theirs, tolerance = 1e-6)
  }
  expect_error(lmerTest::contest(fits$ours, 1:3), "ncol(L) == length(model@beta) is not TRUE", fixed = TRUE)
})

# Second derivatives of a function by Richardson's extrapolation of central differences.
differences_of <- function(f, x) numDeriv::hessian(f, x, method.args = list(eps = 1e-3, r = 6))

test_that("the parameters' covariance is that of the criterion, nearer than lmerTest's", {
  skip_if_not_installed("lmerTest")
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  parts <- satterthwaite_parts(fit)
  x <- getME(fit, "X")
  z <- as.matrix(getME(fit, "Z"))
  deviance <- function(varpar) {
    lambda <- kronecker(diag(18), matrix(c(varpar[1:2], 0, varpar[3]), 2))
    v <- varpar[4]^2 * (tcrossprod(z %*% lambda) + diag(180))
    inverse <- chol2inv(chol(v))
    information <- crossprod(x, inverse %*% x)
    residual <- sleepstudy$Reaction - x %*% solve(information, crossprod(x, inverse %*% sleepstudy$Reaction))
    2 * sum(log(diag(chol(v)))) + as.numeric(determinant(information)$modulus) + sum(residual * (inverse %*% residual))
  }
  expected <- 2 * solve(differences_of(deviance, c(fit@theta, sigma(fit))))
  expect_equal(parts$vcov_varpar, expected, tolerance = 1e-5)
  expect_length(parts$Jac_list, 4L)
})

test_that("units of predictors and of the response don't matter", {
  skip_if_not_installed("lmerTest")
  sleep <- sleep_data()
  plain <- as_lmer_test(lmer(Reaction ~ Days + (Days | Subject), sleep))
  for (unit in c(1e-9, 1e9)) {
    sleep$x <- sleep$Days * unit
    sleep$y <- sleep$Reaction * unit
    wild <- as_lmer_test(lmer(y ~ x + (x | Subject), sleep))
    expect_equal(unname(summary(wild)$coefficients[, "df"]), unname(summary(plain)$coefficients[, "df"]), tolerance = 1e-6)
  }
})

test_that("an absorbed factor and data in chunks give what the same model gives without", {
  skip_if_not_installed("lmerTest")
  hundred <- comparison_data()$hundred
  absorbed <- lmer(y ~ f + (1 | g), hundred)
  expect_false(is.null(engine_mark(absorbed)$absorbed))
  contrasts(hundred$f) <- stats::contr.treatment(100L)
  dense <- lmer(y ~ f + (1 | g), hundred)
  expect_null(engine_mark(dense)$absorbed)
  df <- lapply(list(absorbed, dense), function(fit) unname(satterthwaite_df(satterthwaite_parts(fit))))
  expect_equal(df[[1]], df[[2]], tolerance = 1e-6)

  pair <- stream_pair(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_true(is_streamed(pair$stream))
  parts <- lapply(pair[c("memory", "stream")], satterthwaite_parts)
  expect_equal(parts$stream, parts$memory, tolerance = 1e-6)
  expect_equal(summary(pair$stream, ddf = "Satterthwaite")$coefficients, summary(pair$memory, ddf = "Satterthwaite")$coefficients,
    tolerance = 1e-8)
})

test_that("threads change no bit", {
  data <- withr::with_seed(3, data.frame(g = gl(300, 70), h = factor(sample(90, 21000, TRUE)), x = rnorm(21000), y = rnorm(21000)))
  data$y <- data$y + 0.3 * as.numeric(data$g) %% 7 + data$x * (as.numeric(data$h) %% 5)
  parts <- lapply(c(1, 3), function(threads) {
    withr::local_options(fastlmer.threads = threads)
    satterthwaite_parts(lmer(y ~ x + (x | g) + (x | h), data))
  })
  expect_identical(parts[[1]], parts[[2]])
})

test_that("fits from a file are taken, fits changed by hand are not", {
  skip_if_not_installed("lmerTest")
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  file <- withr::local_tempfile()
  saveRDS(fit, file)
  expect_equal(satterthwaite_parts(readRDS(file)), satterthwaite_parts(fit))
  changed <- fit
  changed@theta <- c(1, 0, 0.1)
  expect_null(satterthwaite_parts(changed))
  changed <- fit
  changed@beta <- changed@beta + 1
  expect_null(satterthwaite_parts(changed))
  # another response's parts are not this one's
  other <- refit(fit, sleepstudy$Reaction^1.1)
  expect_false(isTRUE(all.equal(satterthwaite_parts(other)$vcov_varpar, satterthwaite_parts(fit)$vcov_varpar)))
  # a fit by lme4
  theirs <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_equal(satterthwaite_parts(theirs)$vcov_varpar, satterthwaite_parts(fit)$vcov_varpar, tolerance = 1e-4)
  expect_null(satterthwaite_parts(lme4::glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), lme4::cbpp, binomial)))
})

test_that("flat directions are left out with lmerTest's warning", {
  skip_if_not_installed("lmerTest")
  data <- transform(sleepstudy, id = factor(seq_len(180)))
  fit <- suppressMessages(lmer(Reaction ~ Days + (1 | Subject) + (1 | id), data, control = lmerControl(check.nobs.vs.nlev = "ignore",
    check.nobs.vs.nRE = "ignore")))
  expect_warning(parts <- satterthwaite_parts(fit), "Model may not have converged with 1 eigenvalue close to zero", fixed = TRUE)
  plain <- satterthwaite_parts(lmer(Reaction ~ Days + (1 | Subject), sleepstudy))
  expect_equal(satterthwaite_df(parts), satterthwaite_df(plain), tolerance = 1e-5)
})
