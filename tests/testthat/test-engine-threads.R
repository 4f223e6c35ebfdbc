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

test_that("the threads that a call names are those that the engine is asked for", {
  n <- 20000
  data <- data.frame(y = sin(seq_len(n)), x = cos(seq_len(n)), g = factor(seq_len(n) %% 50))
  asked <- new.env()
  test <- environment()
  # the number is the last argument, or among the options that are
  spy <- function(name) {
    force(name)
    original <- get(name, asNamespace("fastlmer"))
    withr::defer(utils::assignInNamespace(name, original, "fastlmer"), envir = test)
    counting <- function(...) {
      last <- ...elt(...length())
      assign(name, if (is.list(last)) last$threads else last, envir = asked)
      original(...)
    }
    utils::assignInNamespace(name, counting, "fastlmer")
  }
  for (name in c("engine_copy", "engine_side_by_side", "engine_design", "engine_fit")) spy(name)
  withr::local_options(fastlmer.threads = 2)
  lmer(y ~ x + (1 | g), data)
  expect_identical(as.list(asked, sorted = TRUE), list(engine_copy = 2L, engine_design = 2L, engine_fit = 2L, engine_side_by_side = 2L))
  fit <- lmer(y ~ x + (1 | g), data, threads = 3)
  expect_identical(as.list(asked, sorted = TRUE), list(engine_copy = 3L, engine_design = 3L, engine_fit = 3L, engine_side_by_side = 3L))
  refit(fit, data$y + 1)
  expect_identical(asked$engine_fit, 2L)
  refit(fit, data$y + 1, threads = 4)
  expect_identical(asked$engine_fit, 4L)
  after <- list(
    engine_hat_values = function(...) hatvalues(fit, ...),
    engine_condvar = function(...) ranef(fit, ...),
    engine_kr = function(...) vcov_kr(fit, ...),
    engine_fit = function(...) convergence(fit, ...),
    engine_side_by_side = function(...) predict(fit, data, ...),
    engine_predictor = function(...) predict(fit, data, se.fit = TRUE, ...),
    engine_prediction_variances = function(...) predict(fit, data, se.fit = TRUE, ...)
  )
  for (name in setdiff(names(after), ls(asked))) spy(name)
  for (name in names(after)) {
    kept <- engine_mark(fit)$cache
    rm(list = setdiff(ls(kept), c("facts", "design")), envir = kept)
    after[[name]](threads = 3)
    expect_identical(asked[[name]], 3L, label = name)
  }
  after <- c(after, lapply(list(test_kr, rstandard, rstudent, cooks.distance), function(method) function(...) method(fit, ...)))
  for (call in after) expect_error(call(threads = 0), "'threads' must be a number of threads")
})
