test_that("a list is taken for control with lme4's warning, and nothing else is", {
  data <- lme4::sleepstudy
  call <- function(lmer, control) lmer(Reaction ~ Days + (1 | Subject), data, control = control)
  for (control in list(list(calc.derivs = FALSE), 5, NULL)) {
    said <- lapply(list(fastlmer::lmer, lme4::lmer), function(lmer) {
      tryCatch(call(lmer, control), error = conditionMessage, warning = conditionMessage)
    })
    expect_identical(said[[1L]], said[[2L]])
    expect_type(said[[1L]], "character")
  }
  fit <- suppressWarnings(call(fastlmer::lmer, list(calc.derivs = FALSE)))
  expect_null(fit@optinfo$derivs)
})

test_that("the option lmerControl counts where control isn't given", {
  expect_identical(default_control(), lmerControl())
  withr::local_options(lmerControl = list(check.nobs.vs.nlev = "warning"))
  expect_identical(default_control(), lmerControl())
  expect_identical(default_control()$checkControl$check.nobs.vs.nlev, "warning")
  data <- data.frame(y = c(1, 3, 2, 5), g = factor(1:4))
  said <- lapply(list(fastlmer::lmer, lme4::lmer), function(lmer) {
    warnings <- capture_warnings(error <- tryCatch(lmer(y ~ (1 | g), data), error = conditionMessage))
    list(warnings, error)
  })
  expect_identical(said[[1L]], said[[2L]])
  expect_match(said[[1L]][[1L]], "number of levels of each grouping factor")
})

test_that("an optimizer is named only in a call of lmerControl(), and the engine's runs unless one is", {
  expect_true(names_optimizer(quote(lmerControl(optimizer = "nloptwrap"))))
  expect_true(names_optimizer(quote(lme4::lmerControl("bobyqa"))))
  expect_false(names_optimizer(quote(lmerControl(calc.derivs = FALSE))))
  expect_false(names_optimizer(quote(my_control)))
  expect_false(names_optimizer(quote(list(optimizer = "bobyqa"))))
  expect_true(uses_engine(lmerControl(), FALSE))
  expect_false(uses_engine(lmerControl(), TRUE))
  expect_false(uses_engine(lmerControl(optCtrl = list(maxeval = 10)), FALSE))
})
