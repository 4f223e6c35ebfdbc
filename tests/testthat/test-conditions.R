test_that("errors have classes beside their texts", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_error(refit(fit, 1:3), "180 observations", class = "fastlmer_data_error")
  formula <- Reaction ~ Days + (Days | Subject)
  expect_error(lmer(formula, sleepstudy, threads = 0), "'threads' must be", class = "fastlmer_argument_error")
  expect_error(lmer(formula, sleepstudy, control = 1), "'control' is not a list", class = "fastlmer_argument_error")
  streamed <- lmer(Reaction ~ Days + (Days | Subject), function(i) if (i == 1) sleepstudy)
  expect_error(simulate(streamed), "needs the rows", class = "fastlmer_unsupported_error")
  expect_error(engine_fit(NULL, matrix(1), list(), list(), NULL, 1, TRUE, NULL, list()), "empty", class = "fastlmer_call_error")
  for (kind in c("argument", "data")) {
    error <- tryCatch(fail(kind, "100%", " sure"), error = identity)
    expect_identical(class(error), c(paste0("fastlmer_", kind, "_error"), "fastlmer_error", "error", "condition"))
    expect_identical(conditionMessage(error), "100% sure")
    expect_null(conditionCall(error))
  }
})

test_that("warnings have classes", {
  d <- transform(sleepstudy, exact = 2 * Days + 1)
  expect_warning(suppressMessages(lmer(exact ~ Days + (1 | Subject), d)), class = "fastlmer_warning")
})

test_that("an error that another way hides is seen where we are strict", {
  formula <- Reaction ~ Days + (Days | Subject)
  expected <- lmer(formula, sleepstudy)
  whole <- random_terms
  withr::defer(utils::assignInNamespace("random_terms", whole, "fastlmer"))
  utils::assignInNamespace("random_terms", function(...) stop("a defect"), "fastlmer")
  expect_error(lmer(formula, sleepstudy), "a defect")
  withr::local_options(fastlmer.strict = NULL)
  expect_equal(lmer(formula, sleepstudy)@theta, expected@theta, tolerance = 1e-5)
})

test_that("what isn't for us at all is no defect", {
  expect_null(reveal(NULL))
  expect_null(reveal(tryCatch(not_ours(), error = identity)))
  expect_null(reveal(simpleWarning("of the data")))
  expect_error(reveal(simpleError("a defect")), "a defect")
})
