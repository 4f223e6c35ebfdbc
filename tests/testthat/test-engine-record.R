fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)

test_that("is_fastlmer() knows the engine's fits", {
  expect_true(is_fastlmer(fit))
  expect_false(is_fastlmer(lme4::lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)))
  expect_false(is_fastlmer(stats::lm(Reaction ~ Days, lme4::sleepstudy)))
  expect_false(is_fastlmer(NULL))
})

test_that("what lme4 makes out of a fit is lme4's", {
  expect_false(is_fastlmer(getFromNamespace("refitML.merMod", "lme4")(fit)))
})

test_that("a fit by lme4 gives the same record as the engine's own", {
  formula <- Reaction ~ Days + (Days | Subject) + (1 | half) + (0 + three | half)
  control <- lmerControl(optimizer = NULL)
  ours <- engine_of(lmer(formula, sleep_data(), weights = w, offset = o, control = control))
  theirs <- engine_of(lme4::lmer(formula, sleep_data(), weights = w, offset = o, control = control))
  numbers <- function(z) if (!is.null(z)) matrix(z, nrow(z))
  expect_equal(lapply(ours$z, numbers), lapply(theirs$z, numbers))
  for (name in setdiff(names(theirs), c("z", "cache"))) expect_equal(ours[[name]], theirs[[name]], tolerance = 1e-8, label = name)
  expect_null(engine_of(suppressWarnings(lme4::glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), lme4::cbpp, binomial))))
})

test_that("the pointer to the cross-products is made again after loading", {
  back <- unserialize(serialize(fit, NULL))
  record <- engine_of(back)
  expect_false(engine_is_nil(engine_pointer(record)))
  expect_equal(engine_condvar(engine_pointer(record), fit@theta, 1L), engine_condvar(engine_pointer(engine_of(fit)), fit@theta, 1L))
})

# Fits of lme4's class that say nothing of what is inside.
modular_fit <- function(change, formula = Reaction ~ Days + (1 | Subject), ..., REML = FALSE) {
  parts <- change(lme4::lFormula(formula, lme4::sleepstudy, ..., REML = REML))
  devfun <- do.call(lme4::mkLmerDevfun, parts)
  lme4::mkMerMod(environment(devfun), lme4::optimizeLmer(devfun), parts$reTrms, fr = parts$fr)
}

test_that("a fit with another Zt, Lambda, weights or offset than its terms' is never recomputed as theirs", {
  related <- t(chol(0.5^abs(outer(1:18, 1:18, "-"))))
  changes <- list(
    relatedness = function(parts) {
      parts$reTrms$Zt <- methods::as(related %*% parts$reTrms$Zt, "CsparseMatrix")
      parts
    },
    "multiple membership" = function(parts) {
      parts$reTrms$Zt <- methods::as((parts$reTrms$Zt + parts$reTrms$Zt[, 180:1]) / 2, "CsparseMatrix")
      parts
    },
    "one effect for two levels" = function(parts) {
      parts$reTrms$Zt[1L, ] <- parts$reTrms$Zt[1L, ] + parts$reTrms$Zt[2L, ]
      parts
    },
    "half of Lambda" = function(parts) {
      parts$reTrms$Lambdat@x[1:9] <- 0.5
      parts$reTrms$Lambdat <- Matrix::forceSymmetric(Matrix::tcrossprod(parts$reTrms$Lambdat))
      parts$reTrms$Lambdat <- methods::as(Matrix::chol(parts$reTrms$Lambdat + related %*% t(related)), "CsparseMatrix")
      parts$reTrms$Lind <- rep(1L, length(parts$reTrms$Lambdat@x))
      parts
    }
  )
  for (change in names(changes)) {
    fit <- modular_fit(changes[[change]])
    expect_identical(class(fit)[1L], "lmerMod")
    expect_null(engine_of(fit), label = change)
    again <- refit(fit, lme4::sleepstudy$Reaction)
    expect_equal(logLik(again), logLik(fit), tolerance = 1e-6, label = change)
    expect_equal(again@theta, fit@theta, tolerance = 1e-3, label = change)
    ours <- bootMer(fit, fixef, nsim = 2, seed = 1)
    theirs <- lme4::bootMer(fit, fixef, nsim = 2, seed = 1)
    expect_identical(ours$t, theirs$t)
  }
  weighted <- modular_fit(identity, weights = rep(1:2, 90), offset = rep(0:1, 90))
  expect_false(is.null(engine_of(weighted)))
  for (name in c("(weights)", "(offset)")) {
    other <- weighted
    other@frame[[name]] <- NULL
    expect_null(engine_of(other))
  }
})

test_that("an unchanged fit by lme4's modular functions is ours to recompute", {
  for (formula in list(Reaction ~ Days + (Days | Subject), Reaction ~ Days + (Days || Subject), Reaction ~ 1 + (0 + Days | Subject))) {
    fit <- modular_fit(identity, formula)
    expect_false(is.null(engine_of(fit)))
    expect_equal(logLik(refit(fit, lme4::sleepstudy$Reaction)), logLik(fit), tolerance = 1e-6)
  }
})

test_that("fits of gamm4 and blme keep their own refit()", {
  skip_if_not_installed("gamm4")
  skip_if_not_installed("blme")
  data <- lme4::sleepstudy
  smooth <- gamm4::gamm4(Reaction ~ s(Days), random = ~ (1 | Subject), data = data, REML = FALSE)$mer
  expect_null(engine_of(smooth))
  expect_equal(logLik(refit(smooth, data$Reaction)), logLik(smooth), tolerance = 1e-6)
  # few groups, so that without its prior the variance would be zero
  few <- data.frame(y = sin(3 * (1:40)), g = gl(4, 10))
  prior <- tryCatch(blme::blmer(y ~ 1 + (1 | g), few, REML = FALSE), error = function(e) skip("this blme doesn't know this lme4"))
  expect_gt(prior@theta, 0.05)
  again <- refit(prior, few$y)
  expect_identical(class(again), class(prior))
  expect_equal(again@theta, prior@theta, tolerance = 1e-3)
  expect_null(engine_of(prior))
})
