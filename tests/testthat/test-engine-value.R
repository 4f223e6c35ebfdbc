test_that("an engine error reaches the user as it is, with a class and without the engine's call", {
  # extendr passes texts to R as a printf format, where a percent sign is fatal: ours must not go that way.
  text <- "100% of `a %in% b` in %s %d %n \u00e9"
  error <- tryCatch(fastlmer:::engine_fail(text, FALSE), error = identity)
  expect_s3_class(error, "fastlmer_error")
  expect_identical(conditionMessage(error), text)
  expect_null(conditionCall(error))
})

test_that("a panic becomes an R error and the session lives on", {
  error <- tryCatch(fastlmer:::engine_fail("50% off", TRUE), error = identity)
  expect_s3_class(error, "fastlmer_panic")
  expect_match(conditionMessage(error), "internal error in fastlmer's engine: 50% off", fixed = TRUE)
  expect_error(fastlmer:::engine_fail("again", FALSE), "^again$", class = "fastlmer_error")
})

test_that("memory that R can't give is R's own error, and the next call works", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  failing <- function(count, call) {
    on.exit(fastlmer:::engine_fail_allocation(0))
    fastlmer:::engine_fail_allocation(count)
    call
  }
  for (count in c(1, 2, 7, 20)) {
    error <- tryCatch(failing(count, refit(fit, sleepstudy$Reaction)), error = identity)
    expect_match(conditionMessage(error), "cannot allocate|too large|too long")
    expect_false(inherits(error, "fastlmer_error"))
  }
  expect_error(failing(1, simulate(fit, 3, seed = 1)), "cannot allocate|too large|too long")
  expect_error(failing(1, bootMer(fit, fixef, 10, seed = 1)), "cannot allocate|too large|too long")
  expect_equal(logLik(refit(fit, sleepstudy$Reaction)), logLik(fit))
  expect_identical(lmer(Reaction ~ Days + (Days | Subject), sleepstudy)@theta, fit@theta)
})

test_that("what R puts off until a failure is done where the engine runs out of memory", {
  done <- FALSE
  careful <- function() {
    on.exit(done <<- TRUE)
    fastlmer:::engine_fail_allocation(1)
    fastlmer:::engine_normal_quantile(0.5)
  }
  expect_error(careful())
  fastlmer:::engine_fail_allocation(0)
  expect_true(done)
  expect_identical(fastlmer:::engine_normal_quantile(0.5), 0)
})

test_that("vectors whose elements R has yet to make are made where R may fail", {
  on.exit(fastlmer:::engine_fail_allocation(0))
  first <- 5:9 # its elements aren't in memory
  fastlmer:::engine_fail_allocation(1)
  expect_error(fastlmer:::engine_number_levels(first), "cannot allocate|too large|too long")
  expect_identical(fastlmer:::engine_number_levels(first), list(codes = 1:5, levels = 5:9))
  fastlmer:::engine_fail_allocation(1)
  saved <- list(version = 1, factor = 1:2, k = 2:3, constant = 3:4)
  expect_error(fastlmer:::engine_products_load(saved), "cannot allocate|too large|too long")
})

test_that("a session that has reached its limit of memory goes on", {
  skip_on_cran()
  child <- quote({
    library(fastlmer)
    said <- function(code) {
      tryCatch(
        {
          code
          "nothing"
        },
        error = conditionMessage
      )
    }
    n <- 2e5
    d <- data.frame(x = rnorm(n), g = gl(200, n / 200), y = rnorm(n))
    fit <- lmer(y ~ x + (1 | g), d)
    before <- fit@theta
    ends <- seq_len(4e7)
    mem.maxVSize(ceiling(sum(gc()[, 2L])) + 100)
    texts <- c(said(fastlmer:::engine_number_levels(ends)), said(simulate(fit, 500, seed = 1)), said(bootMer(fit, fitted, 500, seed = 1)))
    texts <- c(texts, said(refit(fit, d$y)))
    mem.maxVSize(Inf)
    writeLines(c(texts, identical(lmer(y ~ x + (1 | g), d)@theta, before), nrow(as.data.frame(refit(fit, simulate(fit, 3, seed = 1))))))
  })
  script <- withr::local_tempfile(lines = deparse(child), fileext = ".R")
  said <- system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", script), stdout = TRUE, stderr = FALSE)
  expect_match(said[1:3], "cannot allocate vector of size|vector memory (exhausted|limit)")
  expect_identical(said[4:6], c("nothing", "TRUE", "3"))
})
