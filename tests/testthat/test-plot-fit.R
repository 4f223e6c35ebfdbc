skip_if_not_installed("ggplot2")

test_that("a wrong argument is named with what is possible", {
  fit <- lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)
  expect_error(ggplot2::autoplot(fit, type = "no"), "'type' must be one of \"shrinkage\"", class = "fastlmer_argument_error")
  expect_error(ggplot2::autoplot(fit, group = "no"), "'group' .*\"plate\", \"sample\"", class = "fastlmer_argument_error")
  expect_error(ggplot2::autoplot(fit, effects = "no"), "'effects' .* '\\(Intercept\\)'", class = "fastlmer_argument_error")
  expect_error(ggplot2::autoplot(fit, colour = 3), "'colour' isn't an argument .*'group', 'effects'", class = "fastlmer_argument_error")
  expect_identical(unique(ggplot2::fortify(fit, type = "shrinkage")$group), "plate")
  expect_identical(unique(ggplot2::fortify(fit, type = "shrinkage", group = "sample")$group), "sample")
})

test_that("without a type fortify() is lme4's", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_identical(ggplot2::fortify(fit), lme4::fortify.merMod(fit))
})
