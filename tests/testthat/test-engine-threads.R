test_that("the option comes first, then the machine, then the limit of a check", {
  withr::local_options(fastlmer.threads = 3)
  withr::local_envvar("_R_CHECK_LIMIT_CORES_" = NA)
  expect_identical(default_threads(), 3L)
  withr::local_options(fastlmer.threads = NULL)
  expect_identical(default_threads(), max(1L, min(8L, parallel::detectCores()), na.rm = TRUE))
  withr::local_envvar("_R_CHECK_LIMIT_CORES_" = "TRUE")
  expect_lte(default_threads(), 2L)
})

test_that("what is no number of threads is an error that says so", {
  for (threads in list(0, -1, NA_real_, "two", 1:2, NULL, TRUE)) {
    expect_error(checked_threads(threads), "'threads' must be a number of threads, 1 or more")
  }
  expect_identical(checked_threads(2.9), 2L)
  expect_identical(checked_threads(1e9), 1024L)
  withr::local_options(fastlmer.threads = "many")
  expect_error(bootMer(lmer(Reaction ~ Days + (1 | Subject), lme4::sleepstudy), fixef, nsim = 2), "'threads' must be a number")
})

test_that("a small model is for one thread, a large one for as many as there are", {
  withr::local_options(fastlmer.threads = 5)
  expect_identical(threads_for(19999), 1L)
  expect_identical(threads_for(20000), 5L)
})
