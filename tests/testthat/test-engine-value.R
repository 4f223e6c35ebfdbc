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
