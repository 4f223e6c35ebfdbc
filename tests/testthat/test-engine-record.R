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
