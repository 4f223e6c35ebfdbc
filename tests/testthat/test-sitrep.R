report_of <- function(...) paste(format(fastlmer_sitrep(...)), collapse = "\n")

test_that("a report names versions, threads and what is set", {
  report <- withr::with_options(list(fastlmer.threads = 2, fastlmer.chunk = 10), fastlmer_sitrep())
  expect_s3_class(report, "fastlmer_sitrep")
  expect_identical(report$versions[["fastlmer"]], packageDescription("fastlmer")$Version)
  expect_identical(report$versions[["lme4"]], packageDescription("lme4")$Version)
  expect_match(report$versions[["engine"]], "^[0-9]+\\.[0-9]+\\.[0-9]+$")
  expect_identical(report$threads, 2L)
  expect_identical(report$options[c("fastlmer.chunk", "fastlmer.threads")], list(fastlmer.chunk = 10, fastlmer.threads = 2))
  expect_type(report$lme4, "logical")
  expect_false(anyNA(report$lme4))
  text <- paste(format(report), collapse = "\n")
  expect_match(text, "fastlmer.chunk = 10, fastlmer.strict = TRUE, fastlmer.threads = 2", fixed = TRUE)
  expect_output(print(report), "by lme4's version", fixed = TRUE)
  expect_null(report$fit)
})

test_that("memory that the machine says is available is the report's", {
  skip_if_not(file.exists("/proc/meminfo"))
  line <- grep("^MemTotal:", readLines("/proc/meminfo"), value = TRUE)
  total <- as.numeric(gsub("[^0-9]", "", line)) * 1024
  memory <- fastlmer_sitrep()$machine$memory
  expect_gt(memory, 0)
  expect_lte(memory, total)
})

test_that("a report says which lmer() a script gets", {
  at_prompt <- function(...) in_new_process(quietly(...), "with(fastlmer::fastlmer_sitrep()$lmer, cat(from, class, engine))")
  expect_identical(at_prompt("fastlmer"), "package:fastlmer lmerMod TRUE")
  expect_identical(at_prompt("lme4"), "package:lme4 lmerMod FALSE")
  skip_if_not_installed("lmerTest")
  expect_identical(at_prompt("fastlmer", "lmerTest"), "fastlmer:lmerTest lmerModLmerTest TRUE")
  expect_identical(at_prompt("lmerTest"), "package:lmerTest lmerModLmerTest FALSE")
})

test_that("other packages are named with the methods that we registered there", {
  loadNamespace("lme4")
  packages <- fastlmer_sitrep()$packages
  expect_identical(packages$loaded, packages$package %in% loadedNamespaces())
  expect_identical(is.na(packages$version), !nzchar(vapply(packages$package, function(p) system.file(package = p), "")))
  skip_if_not_installed("pbkrtest")
  loadNamespace("pbkrtest")
  expect_gt(with(fastlmer_sitrep()$packages, methods[package == "pbkrtest"]), 0)
})

test_that("a fit is described: whose it is, its size, its criterion", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  facts <- fastlmer_sitrep(fit)$fit
  expect_true(facts$engine)
  expect_identical(facts$levels, c(Subject = 18L))
  expect_identical(c(facts$rows, facts$columns, facts$effects, facts$theta), c(180L, 2L, 36L, 3L))
  expect_equal(facts$criterion, c(REML = REMLcrit(fit)))
  expect_match(report_of(fit), "180 rows, 2 fixed effects, 36 random effects (Subject: 18 levels), 3 variance parameters", fixed = TRUE)
  theirs <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE)
  expect_match(report_of(theirs), "not made by the engine, which can take it", fixed = TRUE)
  expect_equal(fastlmer_sitrep(theirs)$fit$criterion, c(deviance = -2 * c(logLik(theirs))))
  generalised <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  expect_match(report_of(generalised), "not the engine's", fixed = TRUE)
  expect_error(fastlmer_sitrep(3), "'fit' must be a fit by lmer()", fixed = TRUE)
})
