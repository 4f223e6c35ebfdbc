fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
# At the same theta. A new one for each test: lme4's devfun() writes into the fit that it came from.
by_lme4 <- function() {
  lme4::lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy, start = fit@theta, control = lmerControl(optimizer = NULL))
}

several <- function(lmer, ...) {
  lmer(Reaction ~ Days + (Days | Subject) + (1 | half) + (0 + three | half), sleep_data(), weights = w, offset = o, ...)
}

test_that("the class is lme4's, exactly", {
  theirs <- by_lme4()
  expect_identical(class(fit), class(theirs))
  expect_identical(class(fit@pp), class(theirs@pp))
  expect_identical(class(fit@resp), class(theirs@resp))
  expect_true(methods::validObject(fit))
})

test_that("every component that getME() knows is lme4's", {
  components <- setdiff(eval(formals(utils::getS3method("getME", "merMod", envir = asNamespace("lme4")))$name), "devfun")
  theirs <- by_lme4()
  for (name in components) {
    expect_equal(getME(fit, name), getME(theirs, name), tolerance = 1e-7, label = name)
  }
})

test_that("a saved fit opens where only lme4 is", {
  skip_on_cran()
  file <- tempfile(fileext = ".rds")
  # The tests' own environment descends from fastlmer's namespace, and a formula made here would take that into the file.
  saveRDS(evalq(fastlmer::lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy), globalenv()), file)
  script <- sprintf(
    "library(lme4); fit <- readRDS('%s'); x <- list(ranef(fit), predict(fit), refit(fit, sleepstudy$Reaction)); %s; cat(REMLcrit(fit))",
    file, "stopifnot(!'fastlmer' %in% loadedNamespaces())"
  )
  output <- system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", "-e", shQuote(script)), stdout = TRUE, stderr = FALSE)
  expect_equal(as.numeric(output), unname(lme4::REMLcrit(fit)), tolerance = 1e-6)
})

test_that("lmerTest takes the fit", {
  skip_if_no_lmerTest()
  coerced <- lmerTest::as_lmerModLmerTest(fit)
  expect_true(is_fastlmer(coerced))
  expect_equal(coef(summary(coerced)), coef(summary(lmerTest::as_lmerModLmerTest(by_lme4()))), tolerance = 1e-4)
})

test_that("a worker on another process takes a fit and makes one", {
  skip_on_cran()
  cluster <- parallel::makePSOCKcluster(1L)
  tryCatch(
    {
      parallel::clusterCall(cluster, function(paths) .libPaths(paths), .libPaths())
      parallel::clusterEvalQ(cluster, library(fastlmer))
      updated <- parallel::clusterCall(cluster, function(fit) fixef(update(fit)), fit)[[1L]]
      made <- parallel::clusterEvalQ(cluster, lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy))[[1L]]
    },
    finally = parallel::stopCluster(cluster)
  )
  expect_equal(updated, fixef(fit), tolerance = 1e-4)
  expect_true(is_fastlmer(made))
  expect_equal(vcov(made), vcov(fit))
})
