skip_if_not_installed("ggplot2")

fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
by_row <- influence(fit)

test_that("leverages are hat values, against rstudent()", {
  picture <- plot(by_row, "leverage", fit = fit)
  expect_equal(picture$data$leverage, unname(hatvalues(fit)))
  expect_equal(picture$data$value, unname(rstudent(fit)))
  expect_equal(picture$data$cook, unname(cooks.distance(fit)))
  out <- abs(rstudent(fit)) > 3 | hatvalues(fit) > 2 * mean(hatvalues(fit))
  expect_identical(picture$data$deleted[picture$data$stands_out], names(which(out)))
  expect_identical(ggplot2::fortify(influence(fit, do.coef = FALSE), type = "leverage", fit = fit), picture$data)
})

test_that("what leverages need is said", {
  expect_error(plot(by_row, "leverage"), "needs 'fit'")
  expect_error(plot(influence(fit, "Subject"), "leverage", fit = fit), "without 'groups'")
  expect_error(plot(influence(fit, do.coef = FALSE)), "leverages only")
})
