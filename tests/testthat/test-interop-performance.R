test_that("check_convergence() has the exact derivatives", {
  skip_if_not_installed("performance")
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  checked <- performance::check_convergence(fit)
  expect_true(checked)
  expect_equal(attr(checked, "gradient"), max(abs(solve(fit@optinfo$derivs$Hessian, fit@optinfo$derivs$gradient))), tolerance = 1e-6)
  expect_false(performance::check_convergence(fit, tolerance = -1))
})

test_that("singular fits and fits of others are judged too", {
  skip_if_not_installed("performance")
  expect_true(performance::check_convergence(suppressMessages(lmer(Yield ~ 1 + (1 | Batch), Dyestuff2))))
  fit <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  theirs <- performance::check_convergence(fit)
  expect_equal(attr(theirs, "gradient"), max(abs(solve(fit@optinfo$derivs$Hessian, fit@optinfo$derivs$gradient))), tolerance = 1e-6)
})
