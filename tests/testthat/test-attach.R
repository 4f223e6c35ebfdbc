# Which lmer() a script gets, by the order in which it attaches packages: the table of ?fastlmer.
lmer_after <- function(...) {
  attach <- paste0("suppressPackageStartupMessages(library(", c(...), "));", collapse = " ")
  script <- paste(
    attach, "fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy);",
    "cat(environmentName(environment(lmer)), class(fit), fastlmer::is_fastlmer(fit))"
  )
  paths <- paste(.libPaths(), collapse = .Platform$path.sep)
  system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", "-e", shQuote(script)),
    stdout = TRUE, stderr = FALSE, env = paste0("R_LIBS=", shQuote(paths)))
}

test_that("lme4 may be attached before or after", {
  skip_on_cran()
  expect_identical(lmer_after("fastlmer"), "fastlmer lmerMod TRUE")
  expect_identical(lmer_after("lme4", "fastlmer"), "fastlmer lmerMod TRUE")
  expect_identical(lmer_after("fastlmer", "lme4"), "fastlmer lmerMod TRUE")
})

test_that("with lmerTest or afex it makes lmerTest's class, in whatever order they come", {
  skip_on_cran()
  skip_if_not_installed("afex")
  expect_identical(lmer_after("lmerTest", "fastlmer"), "fastlmer lmerModLmerTest TRUE")
  expect_identical(lmer_after("fastlmer", "lmerTest"), "fastlmer lmerModLmerTest TRUE")
  expect_identical(lmer_after("fastlmer", "afex"), "fastlmer lmerModLmerTest TRUE")
})
