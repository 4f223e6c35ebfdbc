hat_models <- function() {
  list(
    quote(lmer(Reaction ~ Days + (Days | Subject), sleep)),
    quote(lmer(Reaction ~ Days + (Days | Subject), sleep, weights = w, offset = o, REML = FALSE)),
    quote(lmer(Reaction ~ with_na + (1 | Subject), sleep)),
    quote(lmer(Reaction ~ with_na + (1 | Subject), sleep, na.action = na.exclude)),
    quote(lmer(Reaction ~ 0 + three + (1 | Subject) + (0 + Days | Subject), sleep)),
    quote(lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)),
    quote(lmer(strength ~ 1 + (1 | batch) + (1 | sample), Pastes)),
    quote(lmer(angle ~ recipe * temperature + (temp | recipe:replicate) + (1 | replicate), cake)),
    quote(lmer(log(TICKS + 1) ~ cHEIGHT + (1 | YEAR) + (1 | LOCATION) + (1 | BROOD), grouseticks)),
    quote(lmer(Yield ~ 1 + (1 | Batch), Dyestuff2)),
    quote(lmer(y ~ f + (1 | g), hundred))
  )
}

test_that("hat values, residuals by their standard deviations and distances are lme4's", {
  env <- list2env(list(sleep = sleep_data(), hundred = withr::with_seed(1, hundred_effects())), parent = globalenv())
  for (call in hat_models()) {
    label <- deparse1(call[[2L]])
    fit <- suppressMessages(eval(call, env))
    theirs <- function(name) lme4_internal(name)(fit)
    expect_equal(hatvalues(fit), theirs("hatvalues.merMod"), tolerance = 1e-8, label = label)
    expect_equal(rstudent(fit), theirs("rstudent.merMod"), tolerance = 1e-8, label = label)
    expect_equal(cooks.distance(fit), theirs("cooks.distance.merMod"), tolerance = 1e-8, label = label)
    expect_equal(rstandard(fit), rstudent(fit), tolerance = 1e-12)
  }
})

test_that("they are the derivatives of the fitted values", {
  fit <- lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)
  for (i in c(1, 77)) {
    moved <- Penicillin
    moved$diameter[i] <- moved$diameter[i] + 1
    there <- lmer(diameter ~ 1 + (1 | plate) + (1 | sample), moved, start = getME(fit, "theta"), control = lmerControl(optimizer = NULL))
    expect_equal(fitted(there)[[i]] - fitted(fit)[[i]], hatvalues(fit)[[i]], tolerance = 1e-8)
  }
})

test_that("all of the matrix is lme4's", {
  fit <- lmer(Yield ~ 1 + (1 | Batch), Dyestuff)
  full <- hatvalues(fit, fullHatMatrix = TRUE)
  expect_identical(dim(full), c(30L, 30L))
  expect_equal(unname(Matrix::diag(full)), unname(hatvalues(fit)), tolerance = 1e-10)
})

test_that("they are kept with the fit, and belong to its theta", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  other <- refit(fit, rev(sleepstudy$Reaction))
  expect_identical(hatvalues(fit), hatvalues(fit))
  expect_false(isTRUE(all.equal(hatvalues(other), hatvalues(fit))))
  expect_equal(hatvalues(other), lme4_internal("hatvalues.merMod")(other), tolerance = 1e-8)
})

test_that("threads give the same bits, and fits of others are taken", {
  fit <- lmer(y ~ service + (1 | s) + (1 | d), lme4::InstEval)
  one <- withr::with_options(list(fastlmer.threads = 1), hatvalues(fit))
  rm("hat", envir = engine_of(fit)$cache)
  expect_identical(withr::with_options(list(fastlmer.threads = 3), hatvalues(fit)), one)
  theirs <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_equal(hatvalues(theirs), lme4_internal("hatvalues.merMod")(theirs), tolerance = 1e-8)
  counts <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), lme4::cbpp, family = binomial)
  expect_warning(expect_length(hatvalues(counts), 56), "hat matrix")
})
