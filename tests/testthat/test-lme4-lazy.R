fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
# At the same theta. A new one for each test: lme4's devfun() writes into the fit that it came from.
by_lme4 <- function() {
  lme4::lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy, start = fit@theta, control = lmerControl(optimizer = NULL))
}

several <- function(lmer, ...) {
  lmer(Reaction ~ Days + (Days | Subject) + (1 | half) + (0 + three | half), sleep_data(), weights = w, offset = o, ...)
}

test_that("pp and resp hold what lme4's hold, for several terms with weights and offset", {
  # At the same theta, so that all may agree to rounding.
  control <- lmerControl(optimizer = NULL)
  start <- c(0.9, 0.1, 0.2, 0.5, 1, 0.1, 0, 0.8, -0.1, 0.7)
  ours <- several(fastlmer::lmer, control = control, start = start)
  theirs <- several(lme4::lmer, control = control, start = start)
  for (name in names(theirs@pp$.refClassDef@fieldClasses)) {
    if (name != "Ptr") expect_equal(ours@pp$field(name), theirs@pp$field(name), tolerance = 1e-8, label = name)
  }
  for (name in names(theirs@resp$.refClassDef@fieldClasses)) {
    if (name != "Ptr") expect_equal(ours@resp$field(name), theirs@resp$field(name), tolerance = 1e-8, label = name)
  }
  expect_equal(ours@devcomp, theirs@devcomp, tolerance = 1e-8)
})

test_that("C++ takes over where lme4's own code works on the fit", {
  ours <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  theirs <- by_lme4()
  devfun <- getME(ours, "devfun")
  expect_equal(devfun(c(1, 0, 0.2)), getME(by_lme4(), "devfun")(c(1, 0, 0.2)), tolerance = 1e-10)
  expect_equal(ours@pp$theta, c(1, 0, 0.2))
  expect_equal(ours@theta, fit@theta)
  expect_equal(c(logLik(lme4::refitML(fit))), c(logLik(lme4::refitML(theirs))), tolerance = 1e-8)
  expect_equal(fixef(refit(fit, 2 * lme4::sleepstudy$Reaction)), 2 * fixef(theirs), tolerance = 1e-4)
  expect_equal(confint(fit, parm = "Days", quiet = TRUE), confint(lme4::lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy),
    parm = "Days", quiet = TRUE
  ), tolerance = 1e-3)
})

test_that("no vector is shared between a slot and what C++ writes into", {
  ours <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  before <- list(ours@theta + 0, ours@beta + 0, ours@u + 0)
  getME(ours, "devfun")(c(2, 0, 2))
  expect_identical(list(ours@theta, ours@beta, ours@u), before)
})

test_that("a fit is saved whole, before and after its lazy parts were used", {
  file <- tempfile(fileext = ".rds")
  touched <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  getME(touched, "L")
  for (object in list(fit, touched)) {
    saveRDS(object, file)
    back <- readRDS(file)
    expect_true(is_fastlmer(back))
    expect_equal(vcov(back), vcov(fit))
    expect_equal(getME(back, "L"), getME(fit, "L"))
    expect_equal(ranef(back), ranef(fit))
    expect_equal(getME(back, "devfun")(c(1, 0, 0.2)), getME(by_lme4(), "devfun")(c(1, 0, 0.2)), tolerance = 1e-10)
  }
})
